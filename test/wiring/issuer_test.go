package wiring

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/test/cloud"
)

// Without this, every login of the other tests would prove nothing of the token that it was made with.
func TestTheCloudsTakeTokensOfThisClusterAlone(t *testing.T) {
	const role, audience, name = "arn:aws:iam::123456789012:role/of-this-cluster", "sts.amazonaws.com", "of-this-cluster"
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: name}}
	if err := world.Client.Create(t.Context(), account); err != nil {
		t.Fatal(err)
	}
	if err := world.AWS.AddRole(cloud.Role{ARN: role, WebIdentity: &cloud.WebIdentity{}}); err != nil {
		t.Fatal(err)
	}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{audience}}}
	if err := world.Client.SubResource("token").Create(t.Context(), account, request); err != nil {
		t.Fatal(err)
	}
	issuer, err := world.Issuer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	forged, err := cloud.WebIdentityToken(issuer, "system:serviceaccount:default:"+name, audience, time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for token, want := range map[string]int{request.Status.Token: http.StatusOK, forged: http.StatusBadRequest} {
		form := url.Values{
			"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"}, "RoleArn": {role}, "RoleSessionName": {name}, "WebIdentityToken": {token},
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://sts.eu-west-1.amazonaws.com/", strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		res, err := world.Internet.Transport().RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("forged: %t: status %d, want %d", token == forged, res.StatusCode, want)
		}
	}
}

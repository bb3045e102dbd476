package node

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
)

// Where nodes run is asked once, however many there are.
func TestTheNodesAreAskedForOnce(t *testing.T) {
	const nodes = 1200
	requests := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests++
		limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
		from, _ := strconv.Atoi(r.URL.Query().Get("continue"))
		list := corev1.NodeList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "NodeList"}}
		for n := from; n < min(from+limit, nodes); n++ {
			list.Items = append(list.Items, corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint(n)}, Spec: corev1.NodeSpec{ProviderID: "aws:///eu-west-1a/i-0"}})
		}
		if next := from + limit; next < nodes {
			list.Continue = strconv.Itoa(next)
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(list); err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	k, err := cluster.New(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	i, err := Guess(t.Context(), k)
	if err != nil || requests != 1 {
		t.Errorf("%d requests for %d nodes, %v", requests, nodes, err)
	}
	if !i.Known() || !i.May("123456789012.dkr.ecr.eu-west-1.amazonaws.com") || i.May("europe-docker.pkg.dev") {
		t.Errorf("%+v", i)
	}
}

func TestCloudOfAHost(t *testing.T) {
	for host, want := range map[string]string{
		"123456789012.dkr.ecr.eu-west-1.amazonaws.com": ECR, "123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu": ECR, "123456789012.dkr.ecr.us-isof-south-1.csp.hci.ic.gov": ECR,
		"123456789012.dkr-ecr.eusc-de-east-1.on.amazonwebservices.eu": ECR, "123456789012.dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk": ECR,
		"europe-docker.pkg.dev": Google, "eu.gcr.io": Google, "acme.azurecr.cn": ACR, "ghcr.io": "", "123456789012.dkr.ecr.eu-west-1.evil.example": "",
	} {
		if got := CloudOf(host); got != want {
			t.Errorf("%s: %q, want %q", host, got, want)
		}
	}
}

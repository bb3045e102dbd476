package cloud

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/regcred/regcred/test/cloud/facts"
)

// The emulators answer at the hosts that the clouds have, and at no other.

func TestAWSHasItsRealNames(t *testing.T) {
	aws := startAWS(t, Options{})
	for _, fact := range facts.AWSEndpoints {
		if _, ok := aws.internet.route(fact.Host); !ok {
			t.Errorf("%s of %s is not there", fact.Host, fact.Service)
		}
	}
	for _, fact := range facts.ECRHosts {
		if _, region, ok := parseECRHost(fact.Host); !ok || region != fact.Region {
			t.Errorf("%s is no registry in %s", fact.Host, fact.Region)
		}
	}
	for _, host := range []string{
		"api.ecr-fips.us-east-1.amazonaws.com", "ecr-fips.eu-west-1.amazonaws.com", "sts-fips.eu-west-1.amazonaws.com", "sts.eu-west-1.api.amazonaws.com",
		"api.ecr.eu-west-1.amazonaws.com.cn", "api.ecr.cn-north-1.amazonaws.com", "api.sts.eu-west-1.amazonaws.com", "ecr.eu-west-1.api.aws.evil.example",
		"vpce-0a-b.api.ecr.eu-west-1.vpce.amazonaws.com.evil.example",
	} {
		if _, ok := aws.internet.route(host); ok {
			t.Errorf("%s is there, and AWS does not have it", host)
		}
	}
	if _, ok := aws.internet.route(facts.AWSVPCEndpoint); !ok {
		t.Errorf("%s is not there", facts.AWSVPCEndpoint)
	}
}

func TestGoogleHasItsRealHosts(t *testing.T) {
	google := startGoogle(t, GoogleOptions{})
	for _, host := range append(facts.GoogleHosts, facts.GoogleUniverse.Hosts...) {
		if _, ok := google.internet.route(host); !ok {
			t.Errorf("%s is not there", host)
		}
	}
	for _, host := range []string{"docker.pkg.dev", "docker.rep.pkg.dev", "k8s.gcr.io", "docker.europe.rep.pkg.dev", "europe-west1-docker.rep.pkg.dev"} {
		if _, ok := google.internet.route(host); ok {
			t.Errorf("%s is there, and Google does not have it", host)
		}
	}
}

func TestJFrogHasTheHostsOfItsForms(t *testing.T) {
	for form, fact := range facts.JFrogHosts {
		j := startJFrog(t, JFrogOptions{Host: fact.URL[len("https://"):]})
		host, port, err := net.SplitHostPort(fact.Host)
		if err != nil {
			host = fact.Host
		}
		if !j.isHost(host) {
			t.Errorf("%s: %s is not there", form, fact.Host)
		}
		if repository, ok := j.subDomain(host); ok && repository != fact.Repository {
			t.Errorf("%s: %s is of %s, want %s", form, fact.Host, repository, fact.Repository)
		}
		if port == "" && j.isHost("other."+j.options.Host) == (j.options.Host == DefaultJFrogHost) {
			t.Errorf("%s: a label below the platform's host is only one on a domain of one's own", form)
		}
	}
}

func TestJFrogTakesARoleOfAWSAtItsPath(t *testing.T) {
	aws := startAWS(t, Options{})
	for _, j := range []*JFrog{startJFrog(t, JFrogOptions{AWS: aws}), startJFrog(t, JFrogOptions{})} {
		want := http.StatusNotFound
		if j.options.AWS != nil {
			want = http.StatusUnauthorized // nothing is signed
		}
		if got := postJFrog(t, j, facts.JFrogAWSPath, "", map[string]any{"expires_in": 3600}); got.status != want {
			t.Errorf("status %d, want %d", got.status, want)
		}
	}
	signed, err := url.Parse(facts.JFrogAWSRequest)
	if err != nil {
		t.Fatal(err)
	}
	if "sts:"+signed.Query().Get("Action") != ActionGetCallerIdentity || signed.Query().Get("Version") != stsVersion {
		t.Errorf("%s is no request that STS answers", signed)
	}
}

func TestJFrogRefusesAWrongAudienceAsItDoes(t *testing.T) {
	j := startJFrog(t, JFrogOptions{})
	got := postJFrog(t, j, jfrogExchangePath, "", map[string]any{
		"grant_type": jfrogExchangeGrant, "subject_token_type": jfrogIDToken, "provider_name": "cluster",
		"subject_token": identityToken(t, jfrogIssuer, jfrogSubject, "other", time.Hour),
	})
	if got.status != facts.JFrogWrongAudience.Status || !strings.Contains(facts.JFrogWrongAudience.Body, `"`+got.code()+`"`) {
		t.Errorf("status %d, code %s", got.status, got.code())
	}
}

func TestGoogleTakesTheScope(t *testing.T) {
	g := startGoogle(t, GoogleOptions{})
	g.AddIdentityProvider(googlePool)
	token := identityToken(t, issuer, subject, "https://iam.googleapis.com/"+googlePool.Name, time.Hour)
	for scope, want := range map[string]int{facts.GoogleScope: http.StatusOK, facts.GoogleScope + ".other": http.StatusBadRequest} {
		if got := googleExchange(t, g, token, map[string]string{"scope": scope}); got.status != want {
			t.Errorf("%s: status %d, want %d", scope, got.status, want)
		}
	}
}

func TestAzureHasItsClouds(t *testing.T) {
	for _, fact := range facts.AzureClouds {
		if got := "https://" + azureAuthorityOf("myregistry."+fact.Suffix) + "/"; got != fact.Authority {
			t.Errorf("registries at %s trust %s, want %s", fact.Suffix, got, fact.Authority)
		}
	}
}

func TestARegistryOfAzureSpeaksItsOwnWords(t *testing.T) {
	azure, err := StartAzure(AzureOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = azure.Close() }()
	for host, fact := range map[string]facts.Error{"closed.azurecr.io": facts.ACRErrors["firewall"], "open.azurecr.io": facts.ACRErrors["unauthorized"]} {
		if err := azure.AddRegistry(AzureRegistry{Host: host, Firewall: host == "closed.azurecr.io"}); err != nil {
			t.Fatal(err)
		}
		form := url.Values{"grant_type": {"access_token"}, "service": {host}, "access_token": {"none"}}
		res, err := (&http.Client{Transport: azure.Transport()}).PostForm("https://"+host+azureExchangePath, form) //nolint:noctx // the server is the test's own
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		var got, want any
		if err != nil || res.StatusCode != fact.Status || json.Unmarshal(body, &got) != nil || json.Unmarshal([]byte(fact.Body), &want) != nil {
			t.Fatalf("%s: status %d, %s, %v", host, res.StatusCode, body, err)
		}
		if diff := cmp.Diff(codesOf(want), codesOf(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", host, diff)
		}
	}
}

// An answer of STS that passes has the form of its other errors.
func TestSTSErrsAsItDoes(t *testing.T) {
	type document struct {
		XMLName xml.Name
		Error   struct{ Type, Code string }
	}
	a := startAWS(t, Options{})
	res, err := (&http.Client{Transport: a.Transport()}).PostForm("https://sts.eu-west-1.amazonaws.com/", url.Values{ //nolint:noctx // the server is the test's own
		"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"}, "RoleSessionName": {"regcred"}, "WebIdentityToken": {"none"},
		"RoleArn": {"arn:aws:iam::123456789012:role/none"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var got document
	if err := xml.NewDecoder(res.Body).Decode(&got); err != nil || got.Error.Code != "InvalidIdentityToken" {
		t.Fatalf("%+v, %v", got, err)
	}
	for code, fact := range facts.STSErrors {
		var want document
		if err := xml.Unmarshal([]byte(fact.Body), &want); err != nil {
			t.Fatal(err)
		}
		if want.Error.Code = got.Error.Code; res.StatusCode != fact.Status || res.Header.Get("Content-Type") != fact.ContentType || got != want {
			t.Errorf("%s: %d %s %+v, want %+v", code, res.StatusCode, res.Header.Get("Content-Type"), got, want)
		}
	}
}

func TestGoogleTakesTheAudiencesOfItsClusters(t *testing.T) {
	g := startGoogle(t, GoogleOptions{})
	for _, name := range []string{"projects/my-project/locations/europe-west1/clusters/my-cluster", "projects/my-project/locations/global/memberships/my-cluster"} {
		g.AddCluster(GoogleCluster{Name: name, Issuer: "https://cluster.example"})
	}
	for kind, audience := range facts.GoogleAudiences {
		claims := jwt.RegisteredClaims{Issuer: "https://cluster.example", Subject: "system:serviceaccount:a:b", Audience: jwt.ClaimStrings{"my-project.svc.id.goog"}}
		if member, failed := g.federate(audience, claims); failed != nil || member == "" {
			t.Errorf("%s: %+v", kind, failed)
		}
		if _, failed := g.federate(audience+"x", claims); failed == nil {
			t.Errorf("%s: a cluster that nobody has is trusted", kind)
		}
	}
}

// A fact that only one side is tested against is an agreement with nobody.
func TestProvidersAndEmulatorsAreTestedAgainstEveryFact(t *testing.T) {
	var names []string
	pkgs, err := filepath.Glob("facts/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range pkgs {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if values, ok := d.(*ast.GenDecl); ok && (values.Tok == token.VAR || values.Tok == token.CONST) {
				for _, s := range values.Specs {
					names = append(names, s.(*ast.ValueSpec).Names[0].Name)
				}
			}
		}
	}
	if len(names) < 10 {
		t.Fatalf("the facts are %v", names)
	}
	for side, pattern := range map[string]string{"emulator": "*_test.go", "provider": "../../providers/*/*_test.go"} {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			t.Fatal(paths, err)
		}
		var all []byte
		for _, path := range paths {
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, raw...)
		}
		for _, name := range names {
			if !regexp.MustCompile(`\bfacts\.` + name + `\b`).Match(all) {
				t.Errorf("no %s is tested against facts.%s", side, name)
			}
		}
	}
}

// codesOf are the code and message of the first error of a registry's answer.
func codesOf(answer any) string {
	errs, _ := answer.(map[string]any)["errors"].([]any)
	if len(errs) == 0 {
		return ""
	}
	first, _ := errs[0].(map[string]any)
	return fmt.Sprint(first["code"], ": ", first["message"])
}

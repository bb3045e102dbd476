package migrate

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
)

// A cluster need not know External Secrets, nor let everybody read it: each is said once, and all else is read.
func TestAClusterWithoutExternalSecrets(t *testing.T) {
	for status, want := range map[int]string{
		http.StatusNotFound:  "not looked for: ecrauthorizationtokens, gcraccesstokens, acraccesstokens, clustergenerators, externalsecrets, pushsecrets of External Secrets, which the cluster does not know",
		http.StatusForbidden: "not read: ecrauthorizationtokens, gcraccesstokens, acraccesstokens, clustergenerators, externalsecrets, pushsecrets of External Secrets, if the cluster knows them (needs the right to list them)",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if !strings.Contains(r.URL.Path, "external-secrets.io") {
				fmt.Fprint(w, `{"kind":"List","apiVersion":"v1","items":[]}`)
				return
			}
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"%s","code":%d}`, strings.ReplaceAll(http.StatusText(status), " ", ""), status)
		}))
		k, err := cluster.New(&rest.Config{Host: server.URL})
		if err != nil {
			t.Fatal(err)
		}
		f, err := find(t.Context(), k, "")
		if err != nil {
			t.Fatal(err)
		}
		p := planOf(f)
		if said := slices.Concat(p.Notes, p.NotRead); len(said) != 1 || said[0] != want || len(k.Gaps()) > 0 {
			t.Errorf("%d: %q, %q", status, said, k.Gaps())
		}
		server.Close()
	}
}

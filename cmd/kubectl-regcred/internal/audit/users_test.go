package audit

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
)

// The first of those who name a Secret are named, in order, and only those of its namespace count.
func TestWhoNamesASecret(t *testing.T) {
	account := "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: builder, namespace: team-a}\nimagePullSecrets: [{name: a}]\n"
	pod := "apiVersion: v1\nkind: Pod\nmetadata: {name: NAME, namespace: SPACE}\nspec: {imagePullSecrets: [{name: a}], containers: [{name: c, image: nginx}]}\n"
	documents := []string{strings.Replace(secretItem, "name: a", "name: a, namespace: team-a", 1) + "\n", strings.Replace(secretItem, "name: a", "name: lonely, namespace: team-a", 1) + "\n", account}
	for _, name := range []string{"web", "db", "cache"} {
		documents = append(documents, strings.NewReplacer("NAME", name, "SPACE", "team-a").Replace(pod))
	}
	documents = append(documents, strings.NewReplacer("NAME", "alien", "SPACE", "team-b").Replace(pod))
	i, gaps, err := readFrom("-", strings.NewReader(strings.Join(documents, "---\n")))
	if err != nil || len(gaps.NotRead)+len(gaps.Skipped) > 0 {
		t.Fatalf("%q, %v", gaps, err)
	}
	secrets := i.list()
	if len(secrets) != 2 || secrets[0].Used != 4 || !slices.Equal(secrets[0].Users, []string{"pod/cache", "pod/db", "pod/web"}) || secrets[1].Used != 0 {
		t.Fatalf("%+v", secrets)
	}
	var text bytes.Buffer
	(&Report{Secrets: secrets}).human(&text, output.Style{}, true, time.Now())
	for _, want := range []string{"  4: pod/cache,pod/db,pod/web,...\n", "  0\n"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in\n%s", want, text.String())
		}
	}
}

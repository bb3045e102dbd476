package why

import (
	"fmt"
	"strings"
	"testing"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
)

// One token that has expired is one paragraph, in however many namespaces, and for however many images.
func TestOneCauseIsOneParagraph(t *testing.T) {
	var pulls []Pull
	for n := range 214 {
		for _, image := range []string{"a", "b", "c"} {
			p := Pull{Namespace: fmt.Sprintf("team-%03d", n), Who: []string{"pod/" + image}, Image: "ghcr.io/acme/" + image, Credential: "cregcred/shared", Entry: "prod"}
			p.end(Fails, v1alpha1.CauseTokenExpired, "the token of entry prod in Secret shared has expired")
			other := Pull{Namespace: p.Namespace, Who: p.Who, Image: p.Image}
			other.end(Fails, CauseSecretMissing, "Secret gone does not exist in namespace %s, and ghcr.io/acme/%s needs it", p.Namespace, image)
			pulls = append(pulls, p, other)
		}
	}
	second := Pull{Namespace: "team-000", Who: []string{"pod/x"}, Image: "ghcr.io/acme/x", Credential: "cregcred/other"}
	second.end(Fails, v1alpha1.CauseTokenExpired, "the token of entry prod in Secret other has expired")
	lost := Pull{Namespace: "team-000", Who: []string{"pod/y"}, Image: "ghcr.io/acme/a"}
	lost.end(Fails, CauseSecretMissing, "Secret lost does not exist in namespace team-000, and ghcr.io/acme/a needs it")
	var shown strings.Builder
	write(&shown, output.Style{}, &Report{Pulls: grouped(append(pulls, second, lost))}, false)
	text := shown.String()
	if n := strings.Count(text, "Fails: "); n != 4 {
		t.Errorf("%d paragraphs:\n%s", n, text)
	}
	for _, want := range []string{
		"  the token of entry prod in Secret shared has expired\n  who: 642 pods in namespaces team-000, team-001, team-002, team-003, team-004\n       and 209 more\n  image: ghcr.io/acme/a, ghcr.io/acme/b, ghcr.io/acme/c\n",
		"  for example: Secret gone", "Secret lost", "Secret other",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}

// Package why says why an image is not pulled, or would not be: the cause and the cure in a sentence, and then the way that the kubelet
// goes, step by step. It decides as the controller does, by controllers/diagnosis, and adds what only a reader of Secrets can see.
package why

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/check"
)

// Report is what the command prints.
type Report struct {
	Pulls   []Pull   `json:"pulls"`
	NotRead []string `json:"notRead,omitempty"`
}

// Result is whether the pull works.
type Result string

// The results.
const (
	Works     Result = "Works"
	Fails     Result = "Fails"
	Undecided Result = "Undecided"
)

// The causes that only the reader of Secrets sees, beside those of package v1alpha1.
const (
	CauseSecretMissing   = "SecretMissing"
	CauseSecretType      = "SecretOfWrongType"
	CauseSecretMalformed = "SecretMalformed"
	CauseAccountMissing  = "ServiceAccountMissing"
	CauseLoginExpired    = "LoginExpired"
)

// Pull is one image, and who pulls it.
type Pull struct {
	Namespace string   `json:"namespace"`
	Who       []string `json:"who"`
	Image     string   `json:"image"`
	Result    Result   `json:"result"`
	Cause     string   `json:"cause,omitempty"`
	// Note names cause and cure in a sentence.
	Note string `json:"note"`
	// Chain is the kubelet's way, step by step.
	Chain check.Checks `json:"chain,omitempty"`
}

func (p *Pull) end(result Result, cause, format string, args ...any) {
	p.Result, p.Cause, p.Note = result, cause, fmt.Sprintf(format, args...)
}

// grouped joins the pulls of a namespace that fail for the same cause: what is said of one is said of all.
func grouped(pulls []Pull) []Pull {
	var groups []Pull
	for _, p := range pulls {
		at := slices.IndexFunc(groups, func(g Pull) bool {
			return g.Namespace == p.Namespace && g.Cause == p.Cause && g.Note == p.Note && g.Image == p.Image
		})
		if at < 0 {
			groups = append(groups, p)
			continue
		}
		groups[at].Who = append(groups[at].Who, p.Who...)
	}
	slices.SortStableFunc(groups, func(a, b Pull) int {
		return cmp.Or(cmp.Compare(a.Cause, b.Cause), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Image, b.Image))
	})
	return groups
}

// short are at most five names.
func short(names []string) string {
	const most = 5
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

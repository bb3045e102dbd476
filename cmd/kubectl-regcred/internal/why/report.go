// Package why says why an image is not pulled, or would not be: the cause and the cure in a sentence, and then the way that the kubelet
// goes, step by step. It decides as the controller does, by controllers/diagnosis, and adds what only a reader of Secrets can see.
package why

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/check"
	"github.com/regcred/regcred/controllers/diagnosis"
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
	CauseSecretEmpty     = "SecretEmpty"
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
	// Credential and Entry are what should have brought the login, where that is known.
	Credential string `json:"credential,omitempty"`
	Entry      string `json:"entry,omitempty"`
	// Note names cause and cure in a sentence.
	Note string `json:"note"`
	// Chain is the kubelet's way, step by step.
	Chain check.Checks `json:"chain,omitempty"`
}

func (p *Pull) end(result Result, cause, format string, args ...any) {
	p.Result, p.Cause, p.Note = result, cause, fmt.Sprintf(format, args...)
}

// grouped joins the pods that pull one image in a namespace, and fail alike: what is said of one is said of all.
func grouped(pulls []Pull) []Pull {
	type key struct{ namespace, image, cause, note string }
	known := map[key]int{}
	var groups []Pull
	for _, p := range pulls {
		k := key{p.Namespace, p.Image, p.Cause, p.Note}
		if at, again := known[k]; again {
			groups[at].Who = append(groups[at].Who, p.Who...)
			continue
		}
		known[k], groups = len(groups), append(groups, p)
	}
	slices.SortStableFunc(groups, func(a, b Pull) int {
		return cmp.Or(cmp.Compare(a.Cause, b.Cause), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Image, b.Image))
	})
	return groups
}

// group is what one cure helps.
type group struct {
	*Pull
	who, namespaces, images []string
	// several is whether the sentence is that of the first, and differs in the others.
	several bool
}

// topic is what pulls have in common that fail for one reason: the credential that should have helped or, without one, the sentence but for
// the names of namespace and image.
func (p *Pull) topic() [4]string {
	if p.Credential != "" {
		return [4]string{string(p.Result), p.Cause, p.Credential, p.Entry}
	}
	text := strings.ReplaceAll(p.Note, "namespace "+p.Namespace, "namespace")
	if i, ok := diagnosis.ParseImage(p.Image); ok {
		text = strings.ReplaceAll(text, i.String(), i.Host)
	}
	return [4]string{string(p.Result), p.Cause, "", text}
}

// byCause joins the pulls that one cure helps, over namespaces and images.
func byCause(pulls []Pull) []*group {
	known := map[[4]string]*group{}
	var groups []*group
	for i := range pulls {
		p := &pulls[i]
		g := known[p.topic()]
		if g == nil {
			g = &group{Pull: p}
			known[p.topic()], groups = g, append(groups, g)
		}
		g.several = g.several || g.Note != p.Note
		g.who = append(g.who, p.Who...)
		for all, one := range map[*[]string]string{&g.namespaces: p.Namespace, &g.images: p.Image} {
			if !slices.Contains(*all, one) {
				*all = append(*all, one)
			}
		}
	}
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

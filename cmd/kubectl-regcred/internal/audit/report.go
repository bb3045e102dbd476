package audit

import (
	"io"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
)

// Report is what the command prints.
type Report struct {
	Findings []Finding `json:"findings"`
	Secrets  []Secret  `json:"secrets"`
	// Known is how many findings the baseline and --ignore hold back.
	Known   int      `json:"known,omitempty"`
	NotRead []string `json:"notRead,omitempty"`
	// Skipped are documents of --from that are no objects of Kubernetes.
	Skipped []string `json:"skipped,omitempty"`
}

// Secret is a pull Secret, without what must not be shown.
type Secret struct {
	Namespace string   `json:"namespace"`
	Name      string   `json:"name"`
	Registry  []string `json:"registries"`
	// Keeper is the credential or the tool that keeps it, as far as its metadata says.
	Keeper    string       `json:"keptBy,omitempty"`
	CreatedAt metav1.Time  `json:"createdAt,omitzero"`
	ExpiresAt *metav1.Time `json:"expiresAt,omitempty"`
	// Used is how many ServiceAccounts and workloads name it. Others may use it, too.
	Used int `json:"namedBy"`
	// Users are the first of them.
	Users []string `json:"users,omitempty"`
}

// mostUsers is how many of those who name a Secret are named.
const mostUsers = 3

// users are the ServiceAccounts and workloads that name a Secret, in order.
func (i *inventory) users() map[types.NamespacedName][]string {
	users := map[types.NamespacedName][]string{}
	name := func(namespace, user string, secrets []string) {
		for _, secret := range slices.Compact(slices.Sorted(slices.Values(secrets))) {
			at := types.NamespacedName{Namespace: namespace, Name: secret}
			users[at] = append(users[at], user)
		}
	}
	for at, linked := range i.accounts {
		name(at.Namespace, "serviceaccount/"+at.Name, linked)
	}
	for _, w := range i.workloads {
		name(w.namespace, strings.ToLower(w.kind)+"/"+w.name, w.secrets)
	}
	for at, all := range users {
		slices.Sort(all)
		users[at] = slices.Compact(all)
	}
	return users
}

// list describes the pull Secrets, in order.
func (i *inventory) list() []Secret {
	used := i.users()
	all := []Secret{}
	for at, s := range i.secrets {
		keeper, _ := s.keeper()
		described := Secret{Namespace: at.Namespace, Name: at.Name, Registry: append([]string{}, s.config.Keys()...), Keeper: keeper, CreatedAt: s.CreationTimestamp,
			Used: len(used[at]), Users: used[at][:min(mostUsers, len(used[at]))]}
		for _, l := range s.config {
			if !l.ExpiresAt.IsZero() && (described.ExpiresAt == nil || l.ExpiresAt.Before(described.ExpiresAt.Time)) {
				described.ExpiresAt = &metav1.Time{Time: l.ExpiresAt.UTC()}
			}
		}
		all = append(all, described)
	}
	slices.SortFunc(all, func(a, b Secret) int {
		return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name)
	})
	return all
}

var colours = map[Severity]output.Colour{Error: output.Red, Warning: output.Yellow}

// human writes the report for people.
func (r *Report) human(w io.Writer, style output.Style, wide bool, now time.Time) {
	for i := range r.Findings {
		f := &r.Findings[i]
		output.Line(w, style.Paint(colours[f.Severity], f.Code+" "+string(f.Severity))+" "+output.Clean(f.Where()))
		output.Wrap(w, "  ", f.Message)
	}
	if wide {
		r.table(w, now)
	}
	output.Line(w, output.Count(len(r.Secrets), "pull Secret")+", "+output.Count(len(r.Findings), "finding")+r.held())
	if len(r.Findings) > 0 {
		output.Line(w, "The codes: https://github.com/regcred/regcred/blob/main/docs/audit-codes.md")
	}
	for _, gap := range slices.Concat(r.NotRead, r.Skipped) {
		output.Wrap(w, "", gap)
	}
}

func (r *Report) held() string {
	if r.Known == 0 {
		return ""
	}
	return ", " + r.known()
}

func (r *Report) known() string { return output.Number(r.Known) + " known or ignored" }

func (r *Report) table(w io.Writer, now time.Time) {
	var rows output.Rows
	rows.Add("NAMESPACE", "SECRET", "KEPT BY", "AGE", "EXPIRES", "NAMED BY", "REGISTRIES")
	for _, s := range r.Secrets {
		age, expires, keeper := "-", "-", s.Keeper
		if !s.CreatedAt.IsZero() {
			age = output.Span(now.Sub(s.CreatedAt.Time))
		}
		if s.ExpiresAt != nil {
			expires = output.In(s.ExpiresAt.Time, now)
		}
		if keeper == "" {
			keeper = "-"
		}
		rows.Add(s.Namespace, s.Name, keeper, age, expires, s.namedBy(), strings.Join(s.Registry, ","))
	}
	rows.Write(w, output.Style{}, "")
}

// namedBy are those who name a Secret: how many, and the first of them.
func (s *Secret) namedBy() string {
	text := output.Number(s.Used)
	if len(s.Users) > 0 {
		text += ": " + strings.Join(s.Users, ",")
	}
	if s.Used > len(s.Users) {
		text += ",..."
	}
	return text
}

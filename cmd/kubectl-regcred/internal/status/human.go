package status

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
)

// human writes a report for people.
type human struct {
	w     io.Writer
	style output.Style
	wide  bool
	now   time.Time
}

var colours = map[State]output.Colour{Failing: output.Red, Warning: output.Yellow, Fine: output.Green}

func (h human) write(r *Report) {
	switch {
	case len(r.Credentials) > 0:
	case len(r.NotRead) > 0:
		fmt.Fprintln(h.w, "There are no credentials here that you may read.")
	default:
		fmt.Fprintln(h.w, "There are no credentials here.")
	}
	for i := range r.Credentials {
		if c := &r.Credentials[i]; c.State != Fine {
			h.trouble(c)
		}
	}
	width := 0
	for i := range r.Credentials {
		width = max(width, len(output.Clean(r.Credentials[i].ref().Long())))
	}
	for i := range r.Credentials {
		h.credential(&r.Credentials[i], width)
	}
	for _, gap := range r.NotRead {
		output.Wrap(h.w, "", gap)
	}
}

// trouble says in full what is wrong with a credential.
func (h human) trouble(c *Credential) {
	head := fmt.Sprintf("%s: %s", output.Clean(c.ref().Long()), output.Clean(c.Reason))
	if c.FailingSince != nil {
		head += " for " + output.Span(h.now.Sub(c.FailingSince.Time))
	}
	fmt.Fprintln(h.w, h.style.Paint(colours[c.State], head+", "+h.hurts(c)))
	if c.Message != "" && !c.repeats() {
		output.Wrap(h.w, "  ", c.Message)
	}
	for _, e := range c.Entries {
		if e.Reason != "" {
			output.Wrap(h.w, "  "+output.Clean(e.Name)+": ", e.Reason+": "+e.Message)
		}
	}
	for _, f := range c.Failures {
		output.Wrap(h.w, fmt.Sprintf("  %d x ", f.Count), f.Reason+" in "+names(f.Namespaces, int(f.Count))+": "+f.Message)
	}
	if len(c.Expired) > 0 {
		output.Wrap(h.w, "  expired in ", names(c.Expired[:min(5, len(c.Expired))], len(c.Expired)))
	}
	for _, workload := range c.Impact {
		output.Wrap(h.w, "  would not start: ", workload)
	}
	for _, workload := range c.PossibleImpact {
		output.Wrap(h.w, "  may not start: ", workload)
	}
	output.Wrap(h.w, "  cure: ", c.Cure)
	fmt.Fprintln(h.w)
}

// repeats says whether the message of the credential is told again by an entry or for namespaces.
func (c *Credential) repeats() bool {
	return slices.ContainsFunc(c.Entries, func(e Entry) bool { return e.Message != "" && strings.Contains(c.Message, e.Message) }) ||
		slices.ContainsFunc(c.Failures, func(f v1alpha1.FailureGroup) bool { return strings.Contains(c.Message, f.Message) })
}

// hurts says how long pods can still pull. What is in a Secret of somebody else is not known.
func (h human) hurts(c *Credential) string {
	switch {
	case c.Reason == v1alpha1.ReasonSecretConflict:
		return "pods pull by somebody else's login, if at all"
	case c.Reason == v1alpha1.ReasonPartial && !slices.ContainsFunc(c.Failures, func(f v1alpha1.FailureGroup) bool { return f.Reason != v1alpha1.ReasonSecretConflict }):
		return "some namespaces may be unable to pull"
	case c.Reason == v1alpha1.ReasonPartial:
		return "some namespaces cannot pull"
	case c.ExpiresAt == nil && c.State == Failing:
		return "pods cannot pull"
	case c.ExpiresAt == nil:
		return "pods can pull"
	case c.ExpiresAt.After(h.now):
		return "pods can pull for " + output.Span(c.ExpiresAt.Sub(h.now))
	default:
		return "pods cannot pull since " + output.Span(h.now.Sub(c.ExpiresAt.Time))
	}
}

// credential writes the line of a credential, and those of its registries.
func (h human) credential(c *Credential, width int) {
	name := output.Clean(c.ref().Long())
	line := fmt.Sprintf("%s%s   %-7s  %s", name, strings.Repeat(" ", width-len(name)), string(c.Ready), output.Clean(c.Reason))
	if c.Counts != nil {
		line += "  " + folded(c.Counts)
	}
	fmt.Fprintln(h.w, h.style.Paint(colours[c.State], line))
	var rows output.Rows
	for i := range c.Entries {
		e := &c.Entries[i]
		bar := h.bar(e)
		cells := []string{e.Name, bar, h.times(c, e)}
		if h.wide {
			cells = []string{e.Name, e.Provider, bar, h.times(c, e), cmp.Or(strings.Join(e.Hosts, ","), "-")}
		}
		rows.Add(cells...)
	}
	rows.Write(h.w, output.Style{}, "  ")
}

// bar shows what is left of the life of an entry's token.
func (h human) bar(e *Entry) string {
	if e.ExpiresAt == nil && len(e.Hosts) > 0 {
		return output.Bar(h.now, h.now.Add(1), h.now, 10)
	}
	from, to := e.life()
	return output.Bar(from, to, h.now, 10)
}

// times says when the token of an entry ends, when it is replaced and when it was. Of a suspended credential nothing is replaced.
func (h human) times(c *Credential, e *Entry) string {
	var parts []string
	switch {
	case e.ExpiresAt == nil && len(e.Hosts) > 0:
		parts = append(parts, "does not expire")
	case e.ExpiresAt == nil:
		parts = append(parts, "no token")
	case e.ExpiresAt.After(h.now):
		parts = append(parts, "expires "+output.In(e.ExpiresAt.Time, h.now))
	default:
		parts = append(parts, "expired "+output.In(e.ExpiresAt.Time, h.now))
	}
	switch {
	case c.Suspended || e.RefreshAt == nil || e.ExpiresAt == nil:
	case e.RefreshAt.After(h.now):
		parts = append(parts, "refresh "+output.In(e.RefreshAt.Time, h.now))
	default:
		parts = append(parts, "refresh due")
	}
	if e.IssuedAt != nil {
		parts = append(parts, "rotated "+output.In(e.IssuedAt.Time, h.now))
	}
	return strings.Join(parts, ", ")
}

// folded says how many namespaces are as they should be.
func folded(n *v1alpha1.NamespaceCounts) string {
	text := fmt.Sprintf("%d/%d namespaces", n.Current, n.Selected)
	switch {
	case n.Selected == 0:
		return "no namespaces"
	case n.Current == n.Selected:
		text = fmt.Sprintf("%d namespaces, all current", n.Selected)
	}
	if n.Conflicting > 0 {
		text += fmt.Sprintf(", %d conflicting", n.Conflicting)
	}
	return text
}

// names are names of count things, of which some are known.
func names(known []string, count int) string {
	text := strings.Join(known, ", ")
	if more := count - len(known); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

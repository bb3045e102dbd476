package anyorder

import "sigs.k8s.io/controller-runtime/pkg/client"

// settle ends what is nobody's wish: what is suspended, in the way, or has no identity stays as it was. What needs none of that is not touched,
// so that an event that was missed stays so.
func (h *history) settle() {
	h.Helper()
	for ns := range h.occupied {
		h.must(cluster.Client.Delete(h.Context(), secretOf(h.in(ns), many, nil)))
	}
	if !h.valid {
		h.changeIdentity()
	}
	for s, made := range map[*spec]func(spec) client.Object{&h.wishes.many: h.many, &h.wishes.own: h.own} {
		if s.exists && s.suspended {
			s.suspended = false
			h.update(made(*s))
		}
	}
}

// lastEdits are made one after the other where all is well. Each brings a link, or takes it or the Secret away, by an event of its own.
var lastEdits = []func(*history) string{
	func(h *history) string { return h.changeBuilder(func(a *account) { a.labelled = true }) },
	func(h *history) string { return h.changeBuilder(func(a *account) { a.alone = true }) },
	func(h *history) string { return h.changeBuilder(func(a *account) { a.alone = false }) },
	func(h *history) string { return h.changeFirst(func(p *place) { p.alone = true }) },
	func(h *history) string { return h.changeFirst(func(p *place) { p.selected = false }) },
}

// wish has the credential of the cluster want the ServiceAccounts of the first namespace that have a label, which builder has not, and leave
// nothing behind.
func (h *history) wish() string {
	h.Helper()
	s := &h.wishes.many
	existed := s.exists
	s.exists, s.accounts, s.retain = true, 3, false
	if existed {
		h.update(h.many(*s))
	} else {
		h.must(cluster.Client.Create(h.Context(), h.many(*s)))
	}
	h.changeFirst(func(p *place) { p.selected, p.alone = true, false })
	h.wishes.places[second].selected = true // a credential that serves nobody says what it did before
	h.setLabels(second, h.wishes.places[second])
	if a := h.wishes.places[first].accounts[builder]; !a.exists {
		a.exists = true
		h.must(cluster.Client.Create(h.Context(), h.account(first, builder, a)))
	}
	h.changeBuilder(func(a *account) { a.labelled, a.alone = false, false })
	return many + ": serviceAccounts 3, for the last edits"
}

func (h *history) changeBuilder(change func(*account)) string {
	h.Helper()
	a := h.wishes.places[first].accounts[builder]
	change(a)
	return h.setAccountLabels(first, builder, a)
}

func (h *history) changeFirst(change func(*place)) string {
	h.Helper()
	p := h.wishes.places[first]
	change(p)
	return h.setLabels(first, p)
}

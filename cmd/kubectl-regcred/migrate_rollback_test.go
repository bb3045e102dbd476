package main

import (
	"strings"
	"testing"
	"time"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cli"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/migrate"
)

func TestARollbackNamesWhatHasChanged(t *testing.T) {
	m := newMove(t, now.Add(6*time.Hour))
	if r := m.run("", "--apply", "--yes"); r.code != cli.Fine {
		t.Fatalf("%+v", r)
	}
	s := m.secret()
	remove(t, s)
	s.ResourceVersion, s.UID = "", ""
	create(t, s)
	r := m.run("", "--rollback", "--yes", "-o", "json")
	if got := outcome(t, r); r.code != cli.Findings || got.Outcome != migrate.Untouched || !strings.Contains(strings.Join(got.Why, " "), "pull was deleted and made anew") || !m.suspended() {
		t.Errorf("%+v", r)
	}
}

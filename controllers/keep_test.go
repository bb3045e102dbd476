package controllers

import (
	"slices"
	"testing"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/target"
)

// keeper notes which sources are kept.
type keeper struct {
	target.Tokens
	sources []string
}

func (k *keeper) Keep(owner string, sources []string) {
	k.sources = append(k.sources, sources...)
	k.Tokens.Keep(owner, sources)
}

func TestAnEntryWithoutAnIdentityNamesNoSource(t *testing.T) {
	w, ns := newWorld(t)
	lost := registry("prod", "eu-west-1")
	lost.Identity = &v1alpha1.Identity{SecretRef: &v1alpha1.LocalReference{Name: "missing"}}
	kept := &keeper{Tokens: w.Tokens}
	w.Tokens = kept
	w.run(w.apply(ns, nil, lost, registry("stage", "us-east-1")))
	if len(kept.sources) == 0 || slices.Contains(kept.sources, "") {
		t.Errorf("kept the sources %q", kept.sources)
	}
}

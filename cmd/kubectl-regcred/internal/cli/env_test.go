package cli

import (
	"bytes"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

func TestProgressIsForWhatTakesLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stderr bytes.Buffer
		e := &Env{Clock: clock.RealClock{}, IOStreams: genericiooptions.IOStreams{ErrOut: &stderr}}
		e.Progress(t.Context(), "reading")()
		if stderr.Len() > 0 {
			t.Errorf("what takes no time says %q", stderr.String())
		}
		done := e.Progress(t.Context(), "reading")
		<-time.After(2 * patience)
		done()
		if stderr.String() != "reading ...\n" {
			t.Errorf("what takes long says %q", stderr.String())
		}
	})
}

// Bodies of requests hold Secrets: no verbosity shows them.
func TestNoVerbosityShowsBodies(t *testing.T) {
	var log bytes.Buffer
	for _, text := range []string{"7", "8", "10", "99"} {
		if err := (verbosity{&log}).Set(text); err != nil {
			t.Fatal(err)
		}
		if !klog.V(7).Enabled() || klog.V(bodies).Enabled() {
			t.Errorf("-v=%s: 7 is %v, %d is %v", text, klog.V(7).Enabled(), bodies, klog.V(bodies).Enabled())
		}
	}
	for _, text := range []string{"-1", "high", ""} {
		if (verbosity{&log}).Set(text) == nil {
			t.Errorf("-v=%s is taken", text)
		}
	}
	if err := (verbosity{&log}).Set("0"); err != nil {
		t.Fatal(err)
	}
}

func TestFindingsGoBeforeDoubt(t *testing.T) {
	for _, c := range []struct {
		findings, undecided bool
		want                error
	}{{true, true, Exit(Findings)}, {true, false, Exit(Findings)}, {false, true, Exit(Undecided)}, {false, false, nil}} {
		if got := ExitWith(c.findings, c.undecided); !errors.Is(got, c.want) {
			t.Errorf("%v, %v: %v", c.findings, c.undecided, got)
		}
	}
}

package main

import (
	"bytes"
	"flag"
	"io"
	"strings"
	"testing"

	"go.uber.org/zap/zapcore"
)

func TestNoVerbosityShowsBodies(t *testing.T) {
	for arg, want := range map[string]string{"": "0", "--zap-log-level=debug": "0 1", "--zap-log-level=7": "0 1 7", "--zap-log-level=8": "0 1 7", "--zap-log-level=127": "0 1 7"} {
		var o options
		f := flag.NewFlagSet("regcred", flag.ContinueOnError)
		o.bind(f)
		if err := f.Parse(strings.Fields(arg)); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		o.log.DestWriter = &out
		logger := o.logger()
		for _, v := range []int{0, 1, 7, 8, 9, 100} {
			logger.V(v).Info("said", "v", v)
		}
		var got []string
		for line := range strings.Lines(out.String()) {
			_, v, _ := strings.Cut(strings.TrimSpace(line), `"v":`)
			got = append(got, strings.Trim(v, "}"))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q lets through %v, want %s", arg, got, want)
		}
	}
}

// noted is a value that notes when it is written down.
type noted struct{ written bool }

func (n *noted) MarshalLogObject(e zapcore.ObjectEncoder) error {
	n.written = true
	return e.AddReflected("noted", true)
}

func TestTheValuesOfALoggerAreWrittenWhenSomethingIsLogged(t *testing.T) {
	var o options
	o.log.DestWriter = io.Discard
	value := &noted{}
	logger := o.logger().WithValues("target", value).WithValues("id", 1)
	logger.V(1).Info("unheard")
	if value.written {
		t.Error("a value was written down before anything was logged")
	}
	if logger.Info("heard"); !value.written {
		t.Error("a value was not logged")
	}
}

package main

import (
	"bytes"
	"flag"
	"strings"
	"testing"
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

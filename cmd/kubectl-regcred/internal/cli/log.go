package cli

import (
	"flag"
	"fmt"
	"io"
	"strconv"

	"k8s.io/klog/v2"
)

// bodies is the verbosity from which on client-go logs the bodies of requests and of their answers, and with them Secrets.
const bodies = 8

// verbosity is the verbosity of client-go's log, without the levels that show bodies.
type verbosity struct{ w io.Writer }

func (verbosity) String() string { return "0" }

// Type implements pflag.Value.
func (verbosity) Type() string { return "level" }

// Set implements pflag.Value.
func (v verbosity) Set(text string) error {
	level, err := strconv.Atoi(text)
	if err != nil || level < 0 {
		return fmt.Errorf("must be a number from 0 to %d", bodies-1)
	}
	return logTo(v.w, min(level, bodies-1))
}

// logTo sends the log to a stream.
func logTo(w io.Writer, level int) error {
	var flags flag.FlagSet
	klog.InitFlags(&flags)
	for name, value := range map[string]string{"logtostderr": "false", "stderrthreshold": "FATAL", "v": strconv.Itoa(level)} {
		if err := flags.Set(name, value); err != nil {
			return err
		}
	}
	klog.SetOutput(w)
	return nil
}

package guards

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

var (
	failed   = regexp.MustCompile(`(?m)^--- FAIL: Test`)
	panicked = regexp.MustCompile(`(?m)^panic: (.*)`)
	frame    = regexp.MustCompile(`^\t(\S+\.go):\d+`)
)

// sound says that tests have run, and passed.
func sound(out []byte, err error) error {
	if err != nil {
		return fmt.Errorf("the tests fail with the guard: %w: %s", err, bytes.TrimSpace(out))
	}
	if bytes.Contains(out, []byte("[no tests to run]")) {
		return errors.New("there are no such tests")
	}
	return nil
}

// noticed says that a test has failed, or that the product has panicked. A test that hangs, or stumbles over itself, has found nothing out.
func noticed(out []byte, err error) error {
	if err == nil {
		return errors.New("nothing noticed")
	}
	what := ""
	if found := panicked.FindSubmatch(out); found != nil {
		what = string(found[1])
	}
	switch {
	case strings.HasPrefix(what, "test timed out"):
		return fmt.Errorf("a test hangs: %s", bytes.TrimSpace(out))
	case strings.HasPrefix(what, "runtime error") && strings.HasSuffix(origin(string(out)), "_test.go"):
		return fmt.Errorf("a test stumbles over itself: %s", bytes.TrimSpace(out))
	case what == "" && !failed.Match(out):
		return fmt.Errorf("no test has failed: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// origin is the file in which the first panic began: that of the first frame below the runtime and what has recovered.
func origin(out string) string {
	_, trace, _ := strings.Cut(out, " [running]:\n")
	trace, _, _ = strings.Cut(trace, "\n\n")
	if _, below, recovered := strings.Cut(trace, "\npanic("); recovered {
		trace = below
	}
	for line := range strings.Lines(trace) {
		if at := frame.FindStringSubmatch(line); len(at) > 1 && !strings.Contains(at[1], "/src/runtime/") {
			return at[1]
		}
	}
	return ""
}

package docs

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// recordFile is what `make record` has kept of the demo's output.
var recordFile = filepath.Join(root, "test", "demo", "recorded.txt")

// inRecord wants each line to be one of the record, in its order.
func inRecord(code string) error {
	raw, err := os.ReadFile(recordFile)
	if err != nil {
		return err
	}
	rest := strings.Split(string(raw), "\n")
	for line := range strings.Lines(code) {
		line = strings.TrimRight(line, " \n")
		at := slices.IndexFunc(rest, func(recorded string) bool { return strings.TrimRight(recorded, " ") == line })
		if at < 0 {
			return fmt.Errorf("the demo has not printed this, or not after the lines above it: %s", line)
		}
		rest = rest[at+1:]
	}
	return nil
}

var demoOutput = flag.String("demo-output", "", "output of the demo to compare the record with")

var numbers = regexp.MustCompile(`\d+(\.\d+)?|\b(first|second|third|fourth|fifth)\b`)

// TestTheRecordIsWhatTheDemoPrints is for `make nightly`, which has just run the demo: numbers and times differ from run to run.
func TestTheRecordIsWhatTheDemoPrints(t *testing.T) {
	shape := func(path string) []string {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return withoutTheDay(numbers.ReplaceAllString(string(raw), "N"))
	}
	recorded := shape(recordFile)
	if len(recorded) < 60 {
		t.Fatalf("the record has %d lines only", len(recorded))
	}
	if *demoOutput == "" {
		return
	}
	if diff := cmp.Diff(recorded, shape(*demoOutput)); diff != "" {
		t.Errorf("recorded (-) and printed (+); make record writes the record anew:\n%s", diff)
	}
}

package main

import "testing"

func TestFailuresMustHaveGrownExactlyAsWanted(t *testing.T) {
	before := map[string]int{"PullDenied": 2, "Other": 1}
	for _, c := range []struct {
		what  string
		after map[string]int
		want  bool
	}{
		{"as wanted", map[string]int{"PullDenied": 3, "Other": 1, "NotCovered": 1}, true},
		{"one is missing", map[string]int{"PullDenied": 3, "Other": 1}, false},
		{"one counts twice", map[string]int{"PullDenied": 4, "Other": 1, "NotCovered": 1}, false},
		{"one counts that should not", map[string]int{"PullDenied": 3, "Other": 2, "NotCovered": 1}, false},
	} {
		err := compareFailures(before, c.after, map[string]int{"PullDenied": 1, "NotCovered": 1})
		if (err == nil) != c.want {
			t.Errorf("%s: got %v", c.what, err)
		}
	}
}

package main

import (
	"strings"
	"testing"
)

func TestWhatGrowsIsReported(t *testing.T) {
	for name, c := range map[string]struct {
		grow func(i int, s *sample)
		want string
	}{
		"nothing":             {func(int, *sample) {}, ""},
		"the start":           {func(i int, s *sample) { s.heap += float64(max(0, 10-i)) * 10e6 }, ""},
		"heap":                {func(i int, s *sample) { s.heap += float64(i) * 1e6 }, "heap grow"},
		"goroutines":          {func(i int, s *sample) { s.goroutines += float64(i) * 4 }, "goroutines grow"},
		"descriptors":         {func(i int, s *sample) { s.descriptors += float64(i) }, "descriptors grow"},
		"resident memory":     {func(i int, s *sample) { s.rss += int64(i) * 5e6 }, "resident grow"},
		"what comes and goes": {func(i int, s *sample) { s.heap += float64(i%2) * 2e6; s.goroutines += float64(i%3) * 5 }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := &soak{}
			for i := range 30 {
				at := sample{heap: 20e6, goroutines: 200, descriptors: 20, rss: 80e6}
				c.grow(i, &at)
				s.samples = append(s.samples, at)
			}
			err := s.drift()
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	if err := (&soak{samples: make([]sample, 5)}).drift(); err == nil {
		t.Error("five samples are enough")
	}
}

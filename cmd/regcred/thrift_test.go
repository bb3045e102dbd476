package main

import (
	"slices"
	"testing"
)

func TestMemoryIsGivenBackOnceAfterABurst(t *testing.T) {
	const mebibyte = 1 << 20
	for name, c := range map[string]struct {
		// seconds are the bytes that are allocated in each.
		seconds []uint64
		want    []int
	}{
		"in the midst of work, never":      {slices.Repeat([]uint64{50 * mebibyte}, 60), nil},
		"in the first second of rest":      {[]uint64{50 * mebibyte, 50 * mebibyte, mebibyte / 10, mebibyte / 10, mebibyte / 10}, []int{2}},
		"after each of two bursts":         {[]uint64{9 * mebibyte, 0, 0, 9 * mebibyte, 0, 0}, []int{1, 4}},
		"after what is worth no effort":    {[]uint64{2 * mebibyte, 0, 0}, nil},
		"at rest, when it has become much": {slices.Repeat([]uint64{mebibyte / 2}, 20), []int{7, 15}},
	} {
		t.Run(name, func(t *testing.T) {
			var due thrift
			var got []int
			allocated := uint64(0)
			for second, bytes := range c.seconds {
				allocated += bytes
				if due.due(allocated) {
					got = append(got, second)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("memory is given back in the seconds %v, want %v", got, c.want)
			}
		})
	}
}

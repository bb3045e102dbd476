package clockskew

import (
	"testing"
	"time"
)

func TestTheirTimeIsConvertedIfTheClocksDiffer(t *testing.T) {
	now := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	for skew, want := range map[time.Duration]time.Duration{
		0: time.Hour, time.Minute: time.Hour, -time.Minute: time.Hour, 2 * time.Hour: -time.Hour, -2 * time.Hour: 3 * time.Hour,
	} {
		if got := Ours(now.Add(time.Hour), now.Add(skew), now).Sub(now); got != want {
			t.Errorf("their clock is ahead by %s: in %s, want %s", skew, got, want)
		}
	}
	if got := Ours(now.Add(time.Hour), time.Time{}, now).Sub(now); got != time.Hour {
		t.Errorf("their clock is not known: in %s", got)
	}
}

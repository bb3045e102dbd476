package lab

import (
	"slices"
	"testing"
	"time"
)

func TestNobodyIsAtWorkBetweenControllers(t *testing.T) {
	at := func(second int) time.Time { return time.Unix(int64(second), 0) }
	span := func(from, to int) Span {
		if to == 0 {
			return Span{From: at(from)}
		}
		return Span{at(from), at(to)}
	}
	for name, c := range map[string]struct{ works, want []Span }{
		"nobody":                     {nil, []Span{span(10, 0)}},
		"one, that still works":      {[]Span{span(11, 0)}, []Span{span(10, 11)}},
		"one that is gone":           {[]Span{span(5, 20)}, []Span{span(20, 0)}},
		"one after the other":        {[]Span{span(5, 20), span(25, 0)}, []Span{span(20, 25)}},
		"a successor that stood by":  {[]Span{span(5, 20), span(15, 0)}, nil},
		"one that has stood still":   {[]Span{span(5, 20), span(30, 40)}, []Span{span(20, 30), span(40, 0)}},
		"one that was short beside":  {[]Span{span(5, 50), span(15, 20)}, []Span{span(50, 0)}},
		"one that is gone before it": {[]Span{span(1, 5), span(12, 0)}, []Span{span(10, 12)}},
	} {
		t.Run(name, func(t *testing.T) {
			world := &Lab{controllers: []*Controller{{works: c.works}}}
			if got := world.Absences(at(10)); !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/regcred/regcred/test/lab"
)

func (b *bench) reportServed(s served) {
	n, last := b.namespaces, s.last()
	over := fmt.Sprintf("median of %d", len(s.rounds))
	f := b.report.section(fmt.Sprintf("Fan-out: one ClusterRegistryCredential applied, %d Secrets seen by one watch, %s", n, over))
	created := s.each(func(r round) float64 { return r.fanOut.rate(n) })
	f.add(figure{ID: "fan-out", Name: "Secrets", Value: median(created), Unit: "/s", Note: each(created, 0)})
	ofPut := s.each(func(r round) float64 { return r.fanOut.rate(n) / r.fanOut.raw.update })
	f.add(figure{ID: "fan-out-put-ratio", Name: "ratio to raw PUT", Value: median(ofPut), Digits: 2, Target: atLeast(0.7), Note: each(ofPut, 2)})
	ofCreate := s.each(func(r round) float64 { return r.fanOut.rate(n) / r.fanOut.raw.create })
	f.add(figure{ID: "fan-out-create-ratio", Name: "ratio to raw create", Value: median(ofCreate), Digits: 2, Note: each(ofCreate, 2)})
	f.add(figure{ID: "fan-out-effort-ratio", Name: "the same by processor time", Value: median(s.each(func(r round) float64 { return r.fanOut.ease() })), Digits: 2,
		Note: each(s.each(func(r round) float64 { return r.fanOut.ease() }), 2)})
	calls := s.each(func(r round) float64 { return float64(r.fanOut.calls) })
	f.add(figure{ID: "fan-out-calls", Name: "cloud calls, worst", Value: slices.Max(calls), Target: exactly(1)})
	f.add(figure{ID: "fan-out-reads", Name: "reads for each Secret", Value: last.fanOut.requests.each(isRead, n), Digits: 2})
	f.add(figure{ID: "fan-out-writes", Name: "writes for each Secret", Value: last.fanOut.requests.each(isWriteOfSecret, n), Digits: 2})
	f.list("requests of the controller, last round", last.fanOut.requests)

	r := b.report.section("Mass rotation: regcred.dev/refresh-requested-at set on the credential, " + over)
	updated := s.each(func(r round) float64 { return r.rotation.rate(n) })
	r.add(figure{ID: "rotation", Name: "Secrets", Value: median(updated), Unit: "/s", Note: each(updated, 0)})
	ofPut = s.each(func(r round) float64 { return r.rotation.rate(n) / r.rotation.raw.update })
	r.add(figure{ID: "rotation-put-ratio", Name: "ratio to raw PUT", Value: median(ofPut), Digits: 2, Target: atLeast(0.7), Note: each(ofPut, 2)})
	r.add(figure{ID: "rotation-effort-ratio", Name: "the same by processor time", Value: median(s.each(func(r round) float64 { return r.rotation.ease() })), Digits: 2,
		Note: each(s.each(func(r round) float64 { return r.rotation.ease() }), 2)})
	calls = s.each(func(r round) float64 { return float64(r.rotation.calls) })
	r.add(figure{ID: "rotation-calls", Name: "cloud calls, worst", Value: slices.Max(calls), Target: exactly(1)})
	r.add(figure{ID: "rotation-reads", Name: "reads for each Secret", Value: last.rotation.requests.each(isRead, n), Digits: 2})
	r.add(figure{ID: "rotation-writes", Name: "writes for each Secret", Value: last.rotation.requests.each(isWriteOfSecret, n), Digits: 2})
	r.add(figure{ID: "status-writes", Name: "writes of the status for each Secret", Digits: 3,
		Value: last.rotation.requests.each(func(what string) bool { return strings.HasSuffix(what, "/status") }, n)})
	r.list("requests of the controller, last round", last.rotation.requests)
	b.reportProcess(s)
}

// ease is the ratio to the raw PUT as it would be if nobody else used the machine: see processorTime.
func (p phase) ease() float64 { return float64(p.raw.effort) / float64(p.effort) }

func (b *bench) reportProcess(s served) {
	var cpu time.Duration
	for _, r := range s.rounds {
		cpu += r.fanOut.cpu + r.rotation.cpu
	}
	perSecret := func(total time.Duration, rounds int) float64 {
		return milliseconds(total) / float64(b.namespaces*rounds)
	}
	first, last := s.rounds[0], s.last()
	m := b.report.section("The controller's process")
	m.add(figure{ID: "cpu", Name: "CPU per Secret written", Value: perSecret(cpu, 2*len(s.rounds)), Unit: " ms", Digits: 2, Target: atMost(1),
		Note: fmt.Sprintf("first fan-out %.2f, first rotation %.2f", perSecret(first.fanOut.cpu, 1), perSecret(first.rotation.cpu, 1))})
	rss := func(id, name string, bytes int64) {
		m.add(figure{ID: id, Name: name, Value: mebibytes(bytes), Unit: " MiB", Digits: 1, Target: atMost(80)})
	}
	rss("rss-idle", "RSS before", s.idle.RSS)
	rss("rss-fan-out", "RSS after the first fan-out", first.fanOut.after.RSS)
	rss("rss-rotation", "RSS after the first rotation", first.rotation.after.RSS)
	rss("rss-rounds", "RSS after all rounds", last.rotation.after.RSS)
	rss("rss-peak", "RSS at its peak", last.rotation.after.PeakRSS)
	own := func(id, name string, u lab.Usage) {
		m.add(figure{ID: id, Name: name, Value: mebibytes(u.RSS - u.FileRSS), Unit: " MiB", Digits: 1})
	}
	own("rss-anon-idle", "of it its own, before", s.idle)
	own("rss-anon", "of it its own, after all rounds", last.rotation.after)
	m.add(figure{ID: "rss-file", Name: "of it the executable's pages", Value: mebibytes(last.rotation.after.FileRSS), Unit: " MiB", Digits: 1})
	m.add(figure{ID: "peak-ratio", Name: "peak to what is left", Digits: 2, Value: float64(last.rotation.after.PeakRSS) / float64(last.rotation.after.RSS)})
	m.add(figure{ID: "cpu-put-ratio", Name: "CPU to that of a raw PUT", Digits: 2, Note: "what the API server, etcd and the client spend on one",
		Value: median(s.each(func(r round) float64 {
			return float64(r.rotation.cpu) / float64(b.namespaces) / float64(max(r.rotation.raw.effort, 1))
		}))})
}

func (s served) each(value func(round) float64) []float64 {
	values := make([]float64, len(s.rounds))
	for i, r := range s.rounds {
		values[i] = value(r)
	}
	return values
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// each lists measurements in the order of measuring.
func each(values []float64, digits int) string {
	words := make([]string, len(values))
	for i, v := range values {
		words[i] = strconv.FormatFloat(v, 'f', digits, 64)
	}
	return strings.Join(words, ", ")
}

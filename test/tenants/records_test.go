package tenants

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
)

const (
	registries = "regcred.dev/registries"
	longAgo    = "2001-01-01T00:00:00Z"
	farAhead   = "2199-01-01T00:00:00Z"
	// Of an expired and of an endless token a record could speak that has all that ours have.
	expired = `"issuedAt": "2000-12-31T12:00:00Z", "expiresAt": "` + longAgo + `"`
	endless = `"expiresAt": "` + farAhead + `"`
)

// recordAbuses tamper with what the controller has written down on the tenant's Secret of the cluster's credential.
var recordAbuses = []abuse{
	{name: "a verdict that no status may hold", do: forge(`"verified": "x"`), says: repaired, mints: 1},
	{name: "a verdict that nobody has given", do: forge(`"verified": "False"`), says: repaired, mints: 1},
	{name: "a token that has expired and is never due", do: forge(expired), says: repaired, mints: 1},
	{name: "a token that is due and outlives all others", do: forge(endless), says: repaired, mints: 1},
	{name: "a token that is issued tomorrow", do: forge(`"issuedAt": "` + farAhead + `"`), says: repaired, mints: 1},
	{name: "a token that was issued before all clouds", do: forge(`"issuedAt": "` + longAgo + `"`), says: repaired, mints: 1},
	{name: "a token that is due long after its end", do: forge(`"expiresAt": "` + longAgo + `", "refreshAt": "` + farAhead + `", "renewableAt": "` + farAhead + `"`), says: repaired, mints: 1},
	{name: "times that are none", do: forge(`"issuedAt": "yesterday", "expiresAt": -1, "refreshAt": {}`), says: repaired, mints: 1},
	{name: "times with years that no status may hold", do: forge(`"expiresAt": "9999-12-31T23:59:59+23:59"`), says: repaired, mints: 1},
	{name: "a host of 100 KiB", do: forge(`"hosts": ["` + strings.Repeat("a", 100<<10) + `"]`), says: repaired, mints: 1},
	{name: "5,000 hosts", do: forge(`"hosts": [` + strings.Repeat(`"evil.example",`, 5000) + `"evil.example"]`), says: repaired, mints: 1},
	{name: "another host", do: forge(`"hosts": ["evil.example"]`), says: repaired, mints: 1},
	{name: "another source", do: forge(`"source": "0000000000000000000000000000000000000000000000000000000000000000"`), says: repaired, mints: 1},
	{name: "a refresh that was answered", do: forge(`"refresh": "0123456789abcdef", "refreshRequestedAt": "forged"`), says: repaired, mints: 1},
	{name: "a refusal that was answered", do: forge(`"refusal": "0123456789abcdef", "refusedAt": "` + farAhead + `"`), says: repaired, mints: 1},
	{name: "the ID of a token of JFrog's", do: forge(`"id": "11111111-2222-3333-4444-555555555555"`), says: repaired, mints: 1},
	{name: "a field that nobody knows", do: forge(`"surprise": true`), says: repaired, mints: 1},
	{name: "a record that is no JSON", do: write(`{[`), says: repaired, mints: 1},
	{name: "a record that is empty", do: write(``), says: repaired, mints: 1},
	{name: "a record that is null", do: write(`null`), says: repaired, mints: 1},
	{name: "a record of 100,000 brackets", do: write(strings.Repeat(`[`, 100_000)), says: repaired, mints: 1},
	{name: "a record of 1,000 entries that no spec names", do: write(manyEntries(1000)), says: repaired, mints: 1},
	{name: "a record that is gone", do: func(u *tenant) {
		u.patch(u.target(platform), `{"metadata":{"annotations":{"`+registries+`":null}}}`)
	}, says: repaired, mints: 1},
	{name: "an expired token, written under our manager's name", says: repaired, mints: 1,
		do: forge(expired, asRegcred)},
	{name: "an endless token, written under our manager's name", says: repaired, mints: 1,
		do: forge(endless, asRegcred)},
	{name: "a verdict that no status may hold, written under our manager's name", do: forge(`"verified": "x"`, asRegcred), says: repaired, mints: 1},
	{name: "an empty docker config, written under our manager's name", says: repaired, mints: 1, do: func(u *tenant) {
		u.patch(u.target(platform), `{"stringData":{".dockerconfigjson":"{\"auths\":{}}"}}`, asRegcred)
	}},
	{name: "another login, written under our manager's name", says: repaired, mints: 1, do: func(u *tenant) {
		u.patch(u.target(platform), `{"stringData":{".dockerconfigjson":`+quoted(login(ecrHost, "AWS:wrong"))+`}}`, asRegcred)
	}},
	{name: "a docker config that is none", says: repaired, mints: 1, do: func(u *tenant) {
		u.patch(u.target(platform), `{"stringData":{".dockerconfigjson":"{}"}}`)
	}},
	{name: "keys beside the docker config", says: repaired, mints: 1, do: func(u *tenant) {
		u.patch(u.target(platform), `{"stringData":{"more":"`+strings.Repeat("x", 500<<10)+`"}}`)
	}},
	{name: "records written as fast as can be", storm: true, mints: 2, says: repaired, do: func(u *tenant) {
		for i := range 100 {
			u.tryAnnotate(u.target(platform), map[string]string{registries: fmt.Sprintf(`[{"name":"ecr","source":"%d"}]`, i)})
		}
	}},
}

// forge sets fields of every entry in the record, whatever form the record has.
func forge(fields string, manager ...client.PatchOption) func(*tenant) {
	return func(u *tenant) {
		u.Helper()
		var add map[string]any
		u.must(json.Unmarshal([]byte("{"+fields+"}"), &add))
		s := u.target(platform)
		u.must(u.edit.Get(u.Context(), client.ObjectKeyFromObject(s), s))
		var record any
		u.must(json.Unmarshal([]byte(s.Annotations[registries]), &record))
		if !forgeIn(record, add) {
			u.Fatalf("the record has no entry: %s", s.Annotations[registries])
		}
		forged, err := json.Marshal(record)
		u.must(err)
		u.annotate(u.target(platform), map[string]string{registries: string(forged)}, manager...)
	}
}

// forgeIn finds the entries: they have a source.
func forgeIn(record any, fields map[string]any) (found bool) {
	switch v := record.(type) {
	case []any:
		for _, item := range v {
			found = forgeIn(item, fields) || found
		}
	case map[string]any:
		if _, entry := v["source"]; entry {
			maps.Copy(v, fields)
			return true
		}
		for _, item := range v {
			found = forgeIn(item, fields) || found
		}
	}
	return found
}

func write(record string) func(*tenant) {
	return func(u *tenant) { u.annotate(u.target(platform), map[string]string{registries: record}) }
}

func manyEntries(n int) string {
	var entries []string
	for i := range n {
		entries = append(entries, fmt.Sprintf(`{"name":"entry-%d","source":"x","hosts":["evil.example"],"expiresAt":%q,"refreshAt":%q}`, i, farAhead, farAhead))
	}
	return "[" + strings.Join(entries, ",") + "]"
}

var times = regexp.MustCompile(`"\d{4}-\d\d-\d\dT[^"]*"`)

// record is what the controller has written down on a Secret, without the times of these days.
func (u *tenant) record(secret string) string {
	u.Helper()
	s := u.target(secret)
	u.must(u.edit.Get(u.Context(), client.ObjectKeyFromObject(s), s))
	return times.ReplaceAllStringFunc(s.Annotations[registries], func(quoted string) string {
		at, err := time.Parse(`"`+time.RFC3339+`"`, quoted)
		if err != nil || at.Sub(clock.Now()).Abs() > 48*time.Hour {
			return quoted
		}
		return `"now"`
	})
}

// repaired is what every tampered target of a credential becomes: a Secret that pulls and holds nothing else, with a record of that, and a
// link to it.
func repaired(u *tenant) {
	u.Helper()
	u.pulls(platform)
	if u.recorded != "" {
		u.eventually("the record to be "+u.recorded, func() bool { return u.record(platform) == u.recorded })
	}
	u.eventually("a Secret with our label, and without other keys", func() bool {
		s := u.target(platform)
		return u.edit.Get(u.Context(), client.ObjectKeyFromObject(s), s) == nil && len(s.Data) == 1 && s.Labels[v1alpha1.LabelSecret] == v1alpha1.LabelSecretTarget
	})
	if !u.linked("default", platform) {
		u.Error("the ServiceAccount is not linked")
	}
}

// tryAnnotate does not mind who is faster.
func (u *tenant) tryAnnotate(o client.Object, annotations map[string]string) {
	u.Helper()
	raw, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": annotations}})
	u.must(err)
	if err := u.edit.Patch(u.Context(), o, client.RawPatch(types.MergePatchType, raw)); !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		u.must(err)
	}
}

func quoted(s string) string {
	raw, _ := json.Marshal(s) // a string always marshals
	return string(raw)
}

// inParallel does something n times, by a few at a time.
func (u *tenant) inParallel(n int, do func(i int) error) {
	u.Helper()
	next := make(chan int)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for i := range next {
				if err := do(i); err != nil {
					u.Error(err)
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	group.Wait()
}

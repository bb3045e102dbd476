package pullsecret

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/providers"
)

var noon = time.Date(2026, time.November, 24, 12, 0, 0, 0, time.UTC)

func annotated(text string) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{AnnotationRegistries: text}}}
}

const good = `{"version":1,"entries":[{"name":"prod","source":"0a1b","hosts":["a.example"],"issuedAt":"2026-11-24T12:00:00Z",` +
	`"renewableAt":"2026-11-24T13:00:00Z","expiresAt":"2026-11-25T00:00:00Z","refresh":"0123456789abcdef","id":"t-1","verified":"True"}]}`

func TestARecordIsReadAsItWasWritten(t *testing.T) {
	token := providers.Token{
		Logins:   []providers.Login{{Hosts: []string{"123456789012.dkr.ecr.eu-west-1.amazonaws.com", "*.example.com/team", "[::1]:5000"}}},
		IssuedAt: noon, RenewableAt: noon.Add(time.Hour), ExpiresAt: noon.Add(12 * time.Hour), ID: "t-1", Verified: metav1.ConditionTrue,
	}
	record := NewRecord("prod", "0a1b", token)
	record.RefreshStamp = Stamp(strings.Repeat("x", 1000))
	text, err := document{Entries: []Record{record}, Labels: []string{"example.com/app"}}.encode()
	if err != nil {
		t.Fatal(err)
	}
	want := Saved{Records: map[string]Record{"prod": record}, Labels: []string{"example.com/app"}}
	if diff := cmp.Diff(want, Read(annotated(text), noon)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWhatIsNotAsWeWriteItSaysNothing(t *testing.T) {
	if len(Read(annotated(good), noon).Records) != 1 {
		t.Fatal("the record that all others differ from is not read")
	}
	replace := func(old, with string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("%s is not in the record", old)
		}
		return strings.Replace(good, old, with, 1)
	}
	for name, text := range map[string]string{
		"nothing":                    "",
		"no JSON":                    "{",
		"more behind it":             good + "{}",
		"another version":            replace(`"version":1`, `"version":2`),
		"an unknown field":           replace(`"name"`, `"x":1,"name"`),
		"a status that there is not": replace(`"True"`, `"x"`),
		"a host with a blank":        replace("a.example", "a b"),
		"a host that is too long":    replace("a.example", strings.Repeat("a", maxHost+1)),
		"too many hosts":             replace(`"a.example"`, strings.Repeat(`"a",`, maxHosts)+`"a"`),
		"no host":                    replace(`"a.example"`, ""),
		"a source that is no hash":   replace("0a1b", "../x"),
		"a stamp that is none":       replace("0123456789abcdef", "now"),
		"an ID that is text":         replace("t-1", "<b>t</b>"),
		"a name that is none":        replace(`"prod"`, `"Prod <b>"`),
		"an entry twice":             replace(`{"name"`, good[len(`{"version":1,"entries":[`):len(good)-2]+`,{"name"`),
		"a host in two entries":      replace(`{"name"`, strings.Replace(good[len(`{"version":1,"entries":[`):len(good)-2], "prod", "stage", 1)+`,{"name"`),
		"issued after it expires":    replace("2026-11-25T00:00:00Z", "2001-01-01T00:00:00Z"),
		"issued after it expires, and renewable at once": strings.NewReplacer(
			`,"renewableAt":"2026-11-24T13:00:00Z"`, "", "2026-11-25T00:00:00Z", "2001-01-01T00:00:00Z").Replace(good),
		"issued in the future":              replace("2026-11-24T12:00:00Z", "2026-11-24T12:01:01Z"),
		"renewable after it expires":        replace("2026-11-24T13:00:00Z", "2026-11-25T00:00:01Z"),
		"renewable before it was issued":    replace("2026-11-24T13:00:00Z", "2026-11-24T11:00:00Z"),
		"expires after all time":            replace("2026-11-25T00:00:00Z", "2999-01-01T00:00:00Z"),
		"too long":                          replace(`"version":1`, `"version":1`+strings.Repeat(" ", maxAnnotation)),
		"a key of a template that is text":  replace(`"version":1`, `"version":1,"labels":["<b>"]`),
		"an earlier one, due after its end": `[{"name":"prod","source":"0a","hosts":["a.example"],"expiresAt":"2001-01-01T00:00:00Z","refreshAt":"2199-01-01T00:00:00Z"}]`,
	} {
		if got := Read(annotated(text), noon); len(got.Records) != 0 {
			t.Errorf("%s: %v", name, got.Records)
		}
	}
	if got := Read(annotated(replace("2026-11-24T12:00:00Z", "2026-11-24T12:01:00Z")), noon); len(got.Records) != 1 {
		t.Error("a minute of skew is not forgiven")
	}
}

func TestARecordOfAnEarlierVersionCountsUntilItIsDue(t *testing.T) {
	const earlier = `[{"name":"prod","source":"0a","refreshRequestedAt":"now","hosts":["a.example"],"expiresAt":"2026-11-24T20:00:00Z","refreshAt":"2026-11-24T14:00:00Z"}]`
	got := Read(annotated(earlier), noon).Records["prod"]
	want := Record{Name: "prod", Source: "0a", Hosts: []string{"a.example"}, RefreshStamp: Stamp("now"), IssuedAt: noon.Add(-4 * time.Hour),
		ExpiresAt: noon.Add(8 * time.Hour), EarlierDueAt: noon.Add(2 * time.Hour)}
	if diff := cmp.Diff(want, got); diff != "" || !got.Earlier() {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := (document{Entries: []Record{got}}).encode(); err != nil {
		t.Errorf("it cannot be written again: %v", err)
	}
	forever := Read(annotated(strings.NewReplacer("2026-11-24T20:00:00Z", "2200-01-01T00:00:00Z", "2026-11-24T14:00:00Z", "2200-01-01T00:00:00Z").Replace(earlier)), noon).Records["prod"]
	if _, err := (document{Entries: []Record{forever}}).encode(); err != nil || !forever.IssuedAt.Equal(noon) {
		t.Errorf("one without end cannot be written again: %v, %v", forever, err)
	}
}

func TestWhatWouldNotBeReadIsNotWritten(t *testing.T) {
	var hosts []string
	for i := range 400 {
		hosts = append(hosts, fmt.Sprintf("%s-%d.example", strings.Repeat("a", 200), i))
	}
	r := Record{Name: "prod", Source: "0a", Hosts: hosts, IssuedAt: noon, ExpiresAt: noon.Add(time.Hour)}
	if _, err := (document{Entries: []Record{r}}).encode(); err == nil {
		t.Error("an annotation of more than 64 KiB was made")
	}
}

func TestEqualAnnotationsAreParsedOnce(t *testing.T) {
	first, second := Read(annotated(good), noon), Read(annotated(string([]byte(good))), noon)
	first.Records["prod"].Hosts[0] = "shared"
	defer func() { first.Records["prod"].Hosts[0] = "a.example" }()
	if second.Records["prod"].Hosts[0] != "shared" {
		t.Error("the second was parsed again")
	}
}

func FuzzRead(f *testing.F) {
	f.Add(good)
	f.Add(`[{"name":"prod","source":"0a","hosts":["a.example"],"expiresAt":"2026-11-24T20:00:00Z","refreshAt":"2026-11-24T14:00:00Z"}]`)
	f.Add(`{"version":1,"entries":[{}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		saved := Read(annotated(text), noon)
		var entries []Record
		for name, r := range saved.Records {
			if len(name) > 63 || len(r.Hosts) > maxHosts || len(r.ID) > maxID || r.IssuedAt.After(noon.Add(maxSkew)) || !r.IssuedAt.Before(r.ExpiresAt) {
				t.Fatalf("%s is believed: %+v", text, r)
			}
			entries = append(entries, r)
		}
		if len(entries) == 0 || len(text) > maxAnnotation/2 { // what is written may be longer
			return
		}
		again, err := document{Entries: entries, Labels: saved.Labels, Annotations: saved.Annotations}.encode()
		if err != nil {
			t.Fatalf("what is read from %s cannot be written", text)
		}
		if got := Read(annotated(again), noon); len(got.Records) != len(entries) {
			t.Fatalf("%s is not read as it was written", again)
		}
	})
}

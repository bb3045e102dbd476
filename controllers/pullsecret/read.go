package pullsecret

import (
	"bytes"
	"encoding/json"
	"io"
	"regexp"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/lru"

	"github.com/regcred/regcred/providers"
)

// The bounds of an annotation. Nothing that a provider brings comes near them, but for its total size.
const (
	maxAnnotation = 64 << 10
	maxEntries    = 64
	maxHosts      = 1024
	maxHost       = 253
	maxID         = 512
	maxKeys       = 16  // of a template, as its schema has it
	maxKey        = 317 // of a label: a prefix of 253, a slash and a name of 63
	// maxSkew is how far the clock that wrote a record may be ahead of ours.
	maxSkew = time.Minute
)

var (
	hostPattern   = regexp.MustCompile(`^[0-9A-Za-z.:/_*?\[\]-]+$`)
	namePattern   = regexp.MustCompile(`^[0-9a-z]([0-9a-z.-]{0,61}[0-9a-z])?$`)
	sourcePattern = regexp.MustCompile(`^[0-9a-f]{1,64}$`)
	stampPattern  = regexp.MustCompile(`^([0-9a-f]{16})?$`)
	// printable is plain ASCII without quotes, angle brackets or blanks.
	printable = regexp.MustCompile(`^[^\x00-\x20"'<>\x7f-\x{10FFFF}]*$`)
)

// Saved is what a Secret says of itself, as far as it can be believed.
type Saved struct {
	// Records are by entry.
	Records map[string]Record
	// Labels and Annotations are the keys that a template has put there.
	Labels, Annotations []string
}

// Read reads what a Secret says of itself. Whether it is ours must be asked before. An annotation with anything that is not as we write
// it, or whose times make no sense now, says nothing.
func Read(secret metav1.Object, now time.Time) Saved {
	text := secret.GetAnnotations()[AnnotationRegistries]
	saved, ok := parsed.of(text)
	if !ok {
		return Saved{}
	}
	for _, r := range saved.Records {
		if r.IssuedAt.After(now.Add(maxSkew)) {
			return Saved{}
		}
		if r.Earlier() {
			return Saved{Records: dated(saved.Records, now)}
		}
	}
	return saved
}

// dated gives records of an earlier version a time at which their tokens may have been minted.
func dated(records map[string]Record, now time.Time) map[string]Record {
	all := make(map[string]Record, len(records))
	for name, r := range records {
		r.IssuedAt = now.UTC().Truncate(time.Second)
		for _, before := range []time.Time{r.EarlierDueAt.Add(-r.ExpiresAt.Sub(r.EarlierDueAt)), r.ExpiresAt.Add(-time.Second)} {
			if before.Before(r.IssuedAt) {
				r.IssuedAt = before.UTC().Truncate(time.Second)
			}
		}
		all[name] = r
	}
	return all
}

// parse reads an annotation; it takes all of it or nothing.
func parse(text string) (Saved, bool) {
	if len(text) > maxAnnotation {
		return Saved{}, false
	}
	if strings.HasPrefix(text, "[") {
		return parseEarlier(text)
	}
	var d document
	if !decode(text, &d) || d.Version != version || len(d.Entries) > maxEntries || !validKeys(d.Labels) || !validKeys(d.Annotations) {
		return Saved{}, false
	}
	return collect(d.Entries, d.Labels, d.Annotations)
}

// parseEarlier reads the annotation of the versions that wrote a list, with the time of the refresh instead of that of the mint.
func parseEarlier(text string) (Saved, bool) {
	var list []struct {
		Name      string                 `json:"name"`
		Source    string                 `json:"source"`
		Refresh   string                 `json:"refreshRequestedAt"`
		RefusedAt string                 `json:"refusedAt"`
		Hosts     []string               `json:"hosts"`
		ExpiresAt time.Time              `json:"expiresAt"`
		RefreshAt time.Time              `json:"refreshAt"`
		ID        string                 `json:"id"`
		Verified  metav1.ConditionStatus `json:"verified"`
	}
	if !decode(text, &list) || len(list) > maxEntries {
		return Saved{}, false
	}
	records := make([]Record, len(list))
	for i, e := range list {
		if e.RefreshAt.IsZero() || e.RefreshAt.After(e.ExpiresAt) {
			return Saved{}, false
		}
		records[i] = Record{
			Name: e.Name, Source: e.Source, Hosts: e.Hosts, ExpiresAt: e.ExpiresAt, RefreshStamp: Stamp(e.Refresh),
			ID: e.ID, Verified: e.Verified, EarlierDueAt: e.RefreshAt,
		}
	}
	return collect(records, nil, nil)
}

func decode(text string, into any) bool {
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.DisallowUnknownFields()
	if d.Decode(into) != nil {
		return false
	}
	_, err := d.Token()
	return err == io.EOF
}

// collect takes records if no two have a name or a host in common, as none have that are written here.
func collect(records []Record, labels, annotations []string) (Saved, bool) {
	saved := Saved{Records: make(map[string]Record, len(records)), Labels: labels, Annotations: annotations}
	holders := map[string]string{}
	for _, r := range records {
		if _, twice := saved.Records[r.Name]; twice || !r.valid() {
			return Saved{}, false
		}
		saved.Records[r.Name] = r
		for _, host := range r.Hosts {
			if holder, taken := holders[Key(host)]; taken && holder != r.Name {
				return Saved{}, false
			}
			holders[Key(host)] = r.Name
		}
	}
	return saved, true
}

func validKeys(keys []string) bool {
	if len(keys) > maxKeys {
		return false
	}
	for _, key := range keys {
		if key == "" || len(key) > maxKey || !printable.MatchString(key) {
			return false
		}
	}
	return true
}

func (r Record) valid() bool {
	switch {
	case !namePattern.MatchString(r.Name), !sourcePattern.MatchString(r.Source), !stampPattern.MatchString(r.RefreshStamp),
		len(r.ID) > maxID, !printable.MatchString(r.ID):
		return false
	case r.Verified != "" && r.Verified != metav1.ConditionTrue && r.Verified != metav1.ConditionUnknown:
		return false
	}
	return r.hostsValid() && r.timesValid()
}

func (r Record) hostsValid() bool {
	if len(r.Hosts) == 0 || len(r.Hosts) > maxHosts {
		return false
	}
	for _, host := range r.Hosts {
		if len(host) > maxHost || !hostPattern.MatchString(host) {
			return false
		}
	}
	return true
}

// timesValid says whether the times are in their order: minted, renewable, expired.
func (r Record) timesValid() bool {
	if r.ExpiresAt.IsZero() || r.ExpiresAt.After(providers.Never) {
		return false
	}
	if r.Earlier() {
		return r.IssuedAt.IsZero()
	}
	if r.IssuedAt.IsZero() || !r.IssuedAt.Before(r.ExpiresAt) {
		return false
	}
	return r.RenewableAt.IsZero() || !r.RenewableAt.Before(r.IssuedAt) && !r.RenewableAt.After(r.ExpiresAt)
}

// parsed remembers what annotations were parsed to: thousands of targets of a token have one and the same.
var parsed = &memo{texts: lru.New(512)}

// maxRemembered is the longest annotation that is remembered, so that no more than a megabyte is.
const maxRemembered = 2 << 10

type memo struct{ texts *lru.Cache }

// of parses a text, or knows what it says. The result is shared and read-only.
func (m *memo) of(text string) (Saved, bool) {
	if known, ok := m.texts.Get(text); ok {
		return known.(Saved), true
	}
	saved, ok := parse(text)
	if ok && len(text) <= maxRemembered {
		m.texts.Add(text, saved)
	}
	return saved, ok
}

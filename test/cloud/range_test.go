package cloud

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/empty"
)

// TestARangeWithoutAnEndIsAnsweredWithTheWhole, as a client that resumes a download asks for one.
func TestARangeWithoutAnEndIsAnsweredWithTheWhole(t *testing.T) {
	g := &guardedRegistry{namespace: func(host string) (string, bool) { return host, true }}
	if _, err := g.storeImage(host, "team/app", "v1", empty.Image); err != nil {
		t.Fatal(err)
	}
	config, err := empty.Image.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	want, err := empty.Image.RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v2/team/app/blobs/"+config.String(), http.NoBody)
	request.Header.Set("Range", "bytes=3-")
	reply := httptest.NewRecorder()
	g.store(host).ServeHTTP(reply, request)
	if reply.Code != http.StatusOK || reply.Body.String() != string(want) {
		t.Errorf("status %d and %q, want 200 and %q", reply.Code, reply.Body, want)
	}
}

package awsauth

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
)

func TestNoMoreThan64KiBOfHeadersAreRead(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for i := range 4096 {
			w.Header().Set("X-"+strconv.Itoa(i), "sixteen bytes or")
		}
	}))
	defer server.Close()
	t.Setenv("AWS_CA_BUNDLE", "")
	cfg, err := NewConfiguration(nil).Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := cfg.HTTPClient.Do(r)
	if err == nil {
		res.Body.Close()
		t.Errorf("%d headers were read", len(res.Header))
	}
}

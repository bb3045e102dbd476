package artifactregistry

import (
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/internal/outbound"
)

// heard is what the answers of one call have said beside what the SDK reads in them.
type heard struct {
	// date is Google's time in the last answer.
	date time.Time
}

// refusal is an answer other than success. The transport returns it as an error, because each part of the SDK has a way of its own to
// report an answer: as text with the body in it, or by asking again. What is not an answer to them passes through all of them as it is.
type refusal struct {
	status int
	// code is Google's own: that of OAuth 2.0, such as invalid_grant, or of its APIs, such as PERMISSION_DENIED.
	code string
	// info tells apart what has the same code, such as SERVICE_DISABLED; mostly empty.
	info       string
	retryAfter time.Duration
}

func (*refusal) Error() string { return "the request was refused" }

// silence is the lack of an answer. It unwraps to nothing, lest the SDK find something in it that it repeats the request for.
type silence struct {
	// cause is why and what helps.
	cause string
	scope providers.Scope
}

func (*silence) Error() string { return "the request was not answered" }

// client returns an HTTP client that listens in on the answers.
func (c *call) client(transport http.RoundTripper) *http.Client {
	client := outbound.Client(transport)
	client.Transport = &listener{next: client.Transport, heard: &c.heard}
	return client
}

type listener struct {
	next  http.RoundTripper
	heard *heard
}

func (l *listener) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := l.next.RoundTrip(r)
	if err != nil {
		return nil, &silence{cause: cures.NoAnswer(err), scope: outbound.Scope(err)}
	}
	l.heard.date, _ = http.ParseTime(res.Header.Get("Date"))
	if res.StatusCode >= http.StatusOK && res.StatusCode < http.StatusMultipleChoices {
		return res, nil
	}
	defer res.Body.Close()
	refused := &refusal{status: res.StatusCode, retryAfter: outbound.RetryAfter(res.Header)}
	if body, err := io.ReadAll(res.Body); err == nil {
		refused.code, refused.info = errorCode(body)
	}
	return nil, refused
}

// errorCode reads the code of an error: {"error": "invalid_grant"} of OAuth 2.0 (RFC 6749, 5.2), or {"error": {"status": …}} of Google's
// APIs (google.rpc.Status, AIP-193).
func errorCode(body []byte) (code, info string) {
	var envelope struct {
		Error json.RawMessage `json:"error"`
	}
	if json.Unmarshal(body, &envelope) != nil {
		return "", ""
	}
	if json.Unmarshal(envelope.Error, &code) == nil {
		return known(code), ""
	}
	var status struct {
		Status  string `json:"status"`
		Details []struct {
			Reason string `json:"reason"`
		} `json:"details"`
	}
	if json.Unmarshal(envelope.Error, &status) != nil {
		return "", ""
	}
	for _, d := range status.Details {
		if info = known(d.Reason); info != "" {
			break
		}
	}
	return known(status.Status), info
}

// known lets only codes through that we know: what a server writes in their place is not for messages.
func known(code string) string {
	if _, ok := refusals[code]; ok {
		return code
	}
	return ""
}

// bearer adds an access token to each request.
type bearer struct {
	token string
	next  http.RoundTripper
}

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return b.next.RoundTrip(r)
}

package acr

import (
	"bytes"
	"io"
	"net/http"
	"regexp"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/regcred/regcred/providers/internal/outbound"
)

// wire carries the calls of one SDK client, one after the other, and notes how the last of them ended: the errors of the SDK keep
// that to themselves, or quote more than may be shown.
type wire struct {
	client *http.Client
	last   answer
}

// answer is what may be known of an answer.
type answer struct {
	// err is why there was none.
	err    error
	status int
	// code is Entra's own, such as AADSTS700016.
	code       string
	retryAfter time.Duration
	// date is the time at the server; zero if it does not say.
	date time.Time
}

// options make a client of the SDK use the wire. It tries once: repetition is the Broker's.
func (w *wire) options(authority string) azcore.ClientOptions {
	return azcore.ClientOptions{
		Cloud:     cloud.Configuration{ActiveDirectoryAuthorityHost: authority},
		Retry:     policy.RetryOptions{MaxRetries: -1},
		Telemetry: policy.TelemetryOptions{ApplicationID: "regcred"},
		Transport: w,
	}
}

var entraCode = regexp.MustCompile(`AADSTS[0-9]{4,8}`)

// Do implements policy.Transporter. The answer is read here, so that one which breaks off counts as none.
func (w *wire) Do(r *http.Request) (*http.Response, error) {
	w.last = answer{}
	res, err := w.client.Do(r)
	if err != nil {
		w.last.err = err
		return nil, err
	}
	body, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil {
		w.last.err = err
		return nil, err
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	w.last.status = res.StatusCode
	if date, err := http.ParseTime(res.Header.Get("Date")); err == nil {
		w.last.date = date
	}
	if res.StatusCode >= http.StatusMultipleChoices {
		w.last.code = string(entraCode.Find(body))
		w.last.retryAfter = outbound.RetryAfter(res.Header)
	}
	return res, nil
}

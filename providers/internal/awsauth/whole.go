package awsauth

import (
	"bytes"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

// maxAnswer bounds what is read of an answer; the largest legitimate one is a token of a few kilobytes.
const maxAnswer = 64 << 10

var errTooLarge = providers.Errorf(v1alpha1.ReasonInvalidResponse, "AWS was asked, and the answer has more than 64 KiB: check any proxy in between")

// whole reads an answer to its end before the SDK sees it. The SDK closes the body of a request as soon as the answer begins, and net/http
// closes the connection if it has not let go of that body yet (aws/aws-sdk-go-v2 issue 2737): what was not read by then is lost, and a token
// with it. And an answer that breaks off is no answer, not one in a form that is not AWS'.
type whole struct{ next aws.HTTPClient }

func (w whole) Do(r *http.Request) (*http.Response, error) {
	res, err := w.next.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxAnswer {
		return nil, errTooLarge
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	return res, nil
}

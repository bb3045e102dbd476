package awsauth

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

const identity = `<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/u</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>`

// hasty is a transport that breaks the connection off when the body of the request is closed, as net/http does if it has not let go of it.
type hasty struct {
	io.Reader
	request io.ReadCloser
}

func (h *hasty) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: &hasty{h.Reader, r.Body}, Request: r}, nil
}

func (h *hasty) Read(p []byte) (int, error) {
	if left, _ := io.ReadAll(io.LimitReader(h.request, 1)); len(left) == 0 {
		return 0, net.ErrClosed
	}
	return h.Reader.Read(p)
}

func (h *hasty) Close() error { return nil }

// broken is an answer that breaks off.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func call(t *testing.T, answer io.Reader) error {
	t.Helper()
	t.Setenv("AWS_CA_BUNDLE", "")
	cfg, err := NewConfiguration(&hasty{Reader: answer}).Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cfg.Region, cfg.Credentials = "eu-west-1", credentials.NewStaticCredentialsProvider("AKIA", "secret", "")
	_, err = sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	return err
}

func TestAnAnswerIsReadBeforeTheRequestIsClosed(t *testing.T) {
	if err := call(t, strings.NewReader(identity)); err != nil {
		t.Error(err)
	}
}

func TestAnAnswerThatBreaksOffIsNoAnswer(t *testing.T) {
	err := Explain(Call{Action: "sts:GetCallerIdentity", As: "u"}, call(t, broken{}))
	var want *providers.Error
	if !errors.As(err, &want) || want.Reason != v1alpha1.ReasonUnavailable || want.Scope != providers.ScopeEndpoint {
		t.Errorf("got %v, want Unavailable, of the endpoint", err)
	}
}

func TestNoMoreThan64KiBOfAnAnswerIsRead(t *testing.T) {
	blank := strings.Repeat(" ", 60<<10)
	if err := call(t, strings.NewReader(blank+identity)); err != nil {
		t.Error(err)
	}
	endless := strings.NewReader(strings.Repeat(blank, 20) + identity)
	err := Explain(Call{Action: "sts:GetCallerIdentity", As: "u"}, call(t, endless))
	var want *providers.Error
	if !errors.As(err, &want) || want.Reason != v1alpha1.ReasonInvalidResponse || endless.Len() < len(blank) {
		t.Errorf("got %v, want InvalidResponse; %d bytes are left", err, endless.Len())
	}
}

package main

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/client-go/rest"
)

type answers int

func (a answers) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: int(a), Body: http.NoBody}, nil
}

func TestAReplicaWritesInItsTenureOnly(t *testing.T) {
	const lease = "https://api.example/apis/coordination.k8s.io/v1/namespaces/home/leases/regcred"
	const secret = "https://api.example/api/v1/namespaces/app/secrets/pull"
	synctest.Test(t, func(t *testing.T) {
		tenure, ctx := newTenure(t.Context(), 15*time.Second)
		elector, others := &rest.Config{}, &rest.Config{}
		tenure.bind(elector, others)
		send := func(c *rest.Config, code answers, method, url string) error {
			req, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			res, err := c.WrapTransport(code).RoundTrip(req)
			if err == nil {
				_ = res.Body.Close()
			}
			return err
		}
		may := func(what string, want bool) {
			t.Helper()
			if err := send(others, 200, http.MethodPut, secret); want != (err == nil) || !want && !errors.Is(err, errTenureOver) {
				t.Errorf("%s, a write ends in %v", what, err)
			}
			for method, url := range map[string]string{
				http.MethodGet: secret, http.MethodPost: "https://api.example/apis/authorization.k8s.io/v1/subjectaccessreviews",
			} {
				if err := send(others, 200, method, url); err != nil {
					t.Errorf("%s, %s %s ends in %v", what, method, url, err)
				}
			}
		}
		renew := func(code answers, method string) {
			t.Helper()
			if err := send(elector, code, method, lease); err != nil {
				t.Fatal(err)
			}
		}

		may("before the Lease is got", false)
		renew(200, http.MethodGet)
		renew(409, http.MethodPut)
		may("after the Lease was read, and not got", false)
		renew(201, http.MethodPost)
		may("with the Lease", true)
		time.Sleep(10 * time.Second) //nolint:forbidigo // the clock is synctest's
		renew(200, http.MethodPut)
		time.Sleep(10 * time.Second) //nolint:forbidigo // the clock is synctest's
		may("after it was renewed", true)
		if ctx.Err() != nil {
			t.Error("the replica ends in its tenure")
		}
		time.Sleep(6 * time.Second) //nolint:forbidigo // the clock is synctest's
		synctest.Wait()
		may("after it was not renewed", false)
		if !errors.Is(context.Cause(ctx), errTenureOver) {
			t.Errorf("the replica goes on: %v", context.Cause(ctx))
		}
	})
}

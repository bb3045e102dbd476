package migrate

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cli"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
)

// slow is an API server without objects that takes its time.
type slow struct{}

func (slow) RoundTrip(r *http.Request) (*http.Response, error) {
	<-time.After(2 * time.Second)
	header := http.Header{"Content-Type": {"application/json"}}
	return &http.Response{StatusCode: http.StatusOK, Header: header, Request: r, Body: io.NopCloser(strings.NewReader(`{"kind":"List","apiVersion":"v1","items":[]}`))}, nil
}

// Whoever has asked for something that takes long is told what is waited for.
func TestEachWaySaysWhatItReads(t *testing.T) {
	for name, c := range map[string]struct {
		run  func(*command, context.Context, *cluster.Cluster) error
		want string
	}{
		"--apply": {func(c *command, ctx context.Context, k *cluster.Cluster) error { return c.apply(ctx, k, nil) }, "reading CronJobs"},
		"the plan": {func(c *command, ctx context.Context, k *cluster.Cluster) error {
			_, err := c.plan(ctx, k)
			return err
		}, "reading CronJobs"},
		"--rollback": {func(c *command, ctx context.Context, k *cluster.Cluster) error {
			m := c.migration(ctx, k)
			m.record.CronJob = Object{Kind: "CronJob", Namespace: "a", Name: "renew"}
			_, err := m.changed(ctx)
			return err
		}, "reading what the migration has changed"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, err := cluster.New(&rest.Config{Host: "http://api.example", Transport: slow{}})
				if err != nil {
					t.Fatal(err)
				}
				env := cli.New("v0.0.0-test")
				env.AllNamespaces, env.Clock = true, clock.RealClock{}
				var stderr bytes.Buffer
				env.IOStreams = genericiooptions.IOStreams{In: strings.NewReader(""), Out: io.Discard, ErrOut: &stderr}
				// There is nothing to do: what it ends with does not matter.
				_ = c.run(&command{env: env, format: output.NewFormat(), home: "regcred-system"}, t.Context(), k)
				if got := stderr.String(); strings.Count(got, "...") != 1 || !strings.Contains(got, c.want) {
					t.Errorf("%q", got)
				}
			})
		})
	}
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/lab"
)

func (d *demo) deleteCredentials(ctx context.Context) error {
	began := time.Now()
	if err := d.kubectl(ctx, "delete", "cregcred", shared); err != nil {
		return err
	}
	if err := d.kubectl(ctx, "delete", "regcred", own, "-n", team); err != nil {
		return err
	}
	for _, secret := range []struct{ namespace, name string }{{shop, shared}, {web, shared}, {newcomer, shared}, {team, own}} {
		_, err := d.secrets.first(ctx, "the end of Secret "+secret.namespace+"/"+secret.name, began, func(s sighting[*corev1.Secret]) bool {
			return s.event == watch.Deleted && is(s.object, secret.namespace, secret.name)
		})
		if err != nil {
			return err
		}
	}
	d.done("all Secrets are gone, by Kubernetes' garbage collector")
	for _, namespace := range []string{web, newcomer, team} {
		if _, err := d.linked(ctx, namespace, began); err != nil {
			return err
		}
	}
	d.done("all links that Regcred made are gone")
	if _, err := d.linked(ctx, shop, began, foreign); err != nil {
		return err
	}
	d.done("ServiceAccount %s/%s has imagePullSecrets: [%s], as before", shop, account, foreign)
	return nil
}

func (d *demo) sumUp(ctx context.Context) error {
	usage, err := d.controller.Usage()
	if err != nil {
		return err
	}
	calls := d.lab.AWS.Calls()
	shared, own, many := len(d.ambientTokens()), len(d.tokensOf("team-a-pull")), len(d.tokensOf("team-c-pull"))
	d.done("%s in all:", counted(d.cloudCalls(), "cloud call"))
	d.block(fmt.Sprintf("%2d × GetAuthorizationToken for the %d namespaces of the ClusterRegistryCredential: the first token and %s\n"+
		"%2d × GetAuthorizationToken for the RegistryCredential, and %d × AssumeRoleWithWebIdentity before it\n"+
		"%2d × GetAuthorizationToken in vain, in the outage", shared, len(served), counted(shared-1, "rotation"),
		own, calls.Of(cloud.ActionAssumeRoleWithWebIdentity)-many, calls.Failed(cloud.ActionGetAuthorizationToken)))
	_, err = d.secrets.first(ctx, "every issued token in a Secret", time.Time{}, func(sighting[*corev1.Secret]) bool {
		return d.publishedTokens() == shared+own
	})
	if err != nil {
		return fmt.Errorf("%d tokens were issued, and %d reached a Secret: %w", shared+own, d.publishedTokens(), err)
	}
	d.done("every token that was issued has reached a Secret")
	d.done("the controller took %d ms of CPU, and holds %d MiB of memory", usage.CPU.Milliseconds(), usage.RSS>>20)
	if err := d.findNoToken(ctx); err != nil {
		return err
	}
	broken, err := d.history.Check()
	if len(broken) > 0 {
		return fmt.Errorf("what has happened breaks a rule: %s", strings.Join(broken, "; "))
	}
	return err
}

// publishedTokens counts the different tokens that were seen in the Secrets of one registry.
func (d *demo) publishedTokens() int {
	tokens := map[string]struct{}{}
	for _, s := range d.secrets.all() {
		if s.object.Namespace != lab.ManyNamespace && holdsToken(s.object) {
			tokens[string(content(s.object))] = struct{}{}
		}
	}
	return len(tokens)
}

// findNoToken searches what Regcred has shown to people for tokens: its log and metrics, and every version of every object but the
// Secrets' data.
func (d *demo) findNoToken(ctx context.Context) error {
	log, err := os.ReadFile(d.log.Name())
	if err != nil {
		return err
	}
	metrics, err := scrape(ctx, d.controller.Metrics)
	if err != nil {
		return err
	}
	var objects bytes.Buffer
	for _, s := range d.secrets.all() {
		s.object = s.object.DeepCopy()
		s.object.Data = nil
		objects.WriteString(s.object.String())
	}
	err = errors.Join(encode(&objects, d.clusterCRs), encode(&objects, d.ownCRs), encode(&objects, d.accounts), encode(&objects, d.events))
	if err != nil {
		return err
	}
	for place, text := range map[string][]byte{"log": log, "metrics": metrics, "objects": objects.Bytes()} {
		if len(text) == 0 {
			return fmt.Errorf("the controller's %s are empty", place)
		}
		if cloud.ContainsCanary(text) {
			return fmt.Errorf("the controller's %s hold a token", place)
		}
	}
	d.done("no token in the log (%d lines), the metrics, events (%d), status and annotations",
		bytes.Count(log, []byte("\n")), len(d.events.all()))
	return nil
}

func encode[T client.Object](to io.Writer, from *observer[T]) error {
	for _, s := range from.all() {
		if err := json.NewEncoder(to).Encode(s.object); err != nil {
			return err
		}
	}
	return nil
}

func scrape(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	return io.ReadAll(res.Body)
}

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/faults/history"
	"github.com/regcred/regcred/test/lab"
)

// The names in config/samples, and those that the demo adds.
const (
	shared     = "registry-pull" // the ClusterRegistryCredential, and its Secrets
	own        = "team-a-images" // the RegistryCredential, and its Secret
	team       = "team-a"
	foreign    = "hub-login" // what somebody else had linked before
	shop       = "shop"
	web        = "web"
	newcomer   = "payments"
	pullLabel  = "regcred.dev/pull"
	account    = "default" // the ServiceAccount
	teamRole   = "arn:aws:iam::123456789012:role/team-a-pull"
	registry   = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
	repository = "team/app"
	image      = registry + "/" + repository + ":v1"
)

// served are the namespaces of the ClusterRegistryCredential, once all of them are there.
var served = []string{shop, web, newcomer}

// demo is the stage: what runs, and what is seen of it.
type demo struct {
	*printer
	dir        string
	log        *os.File
	lab        *lab.Lab
	controller *lab.Controller

	namespaces *observer[*corev1.Namespace]
	accounts   *observer[*corev1.ServiceAccount]
	secrets    *observer[*corev1.Secret]
	clusterCRs *observer[*v1alpha1.ClusterRegistryCredential]
	ownCRs     *observer[*v1alpha1.RegistryCredential]
	events     *observer[*eventsv1.Event]
	endWatches context.CancelFunc
	history    *history.Recorder

	// firstToken is the content of the first Secret of the ClusterRegistryCredential.
	firstToken []byte
}

// stop ends every process and removes every file.
func (d *demo) stop() error {
	var errs []error
	if d.endWatches != nil {
		d.endWatches() // first: the API server does not end before they do
	}
	if d.history != nil {
		errs = append(errs, d.history.Stop())
	}
	if d.lab != nil {
		errs = append(errs, d.lab.Stop())
	}
	if d.log != nil {
		errs = append(errs, d.log.Close())
	}
	if d.dir != "" {
		errs = append(errs, os.RemoveAll(d.dir))
	}
	return errors.Join(errs...)
}

// showLog shows the end of the controller's log.
func (d *demo) showLog() {
	const most = 15
	if d.log == nil {
		return
	}
	content, err := os.ReadFile(d.log.Name())
	if err != nil {
		d.failed("reading the controller's log: %v", err)
		return
	}
	lines := bytes.Split(bytes.TrimSpace(content), []byte("\n"))
	d.say("the controller's log ends with:")
	d.block(string(bytes.Join(lines[max(0, len(lines)-most):], []byte("\n"))))
}

// kubectl runs kubectl and shows it as a user at the top of the repository would see it.
func (d *demo) kubectl(ctx context.Context, args ...string) error {
	out, err := d.lab.Kubectl(ctx, args...)
	if err != nil {
		return err
	}
	words := []string{"kubectl"}
	for _, arg := range args {
		if strings.ContainsAny(arg, "{ ") {
			arg = "'" + arg + "'"
		}
		words = append(words, strings.TrimPrefix(arg, d.lab.Root+"/"))
	}
	d.command(strings.Join(words, " "), out)
	return nil
}

// content is the docker config of a Secret.
func content(s *corev1.Secret) []byte { return s.Data[corev1.DockerConfigJsonKey] }

// holdsToken says whether the Secret holds a token of the emulated cloud.
func holdsToken(s *corev1.Secret) bool { return cloud.ContainsCanary(content(s)) }

// present reads a Secret as it is now.
func (d *demo) present(ctx context.Context, namespace, name string) (*corev1.Secret, error) {
	s := &corev1.Secret{}
	return s, d.lab.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, s)
}

// secretWith waits for a Secret that holds a token for which more is true.
func (d *demo) secretWith(
	ctx context.Context, namespace, name string, since time.Time, more func(*corev1.Secret) bool,
) (sighting[*corev1.Secret], error) {
	return d.secrets.first(ctx, "the wanted content of Secret "+namespace+"/"+name, since, func(s sighting[*corev1.Secret]) bool {
		return s.event != watch.Deleted && is(s.object, namespace, name) && holdsToken(s.object) && (more == nil || more(s.object))
	})
}

// ambientTokens lists the tokens that AWS has issued to the controller itself: those of the ClusterRegistryCredential.
func (d *demo) ambientTokens() []cloud.Token { return d.tokensOf(d.lab.AWS.Ambient().ARN()) }

// tokensOf lists the tokens that AWS has issued to the principals whose names hold this.
func (d *demo) tokensOf(principal string) []cloud.Token {
	return slices.DeleteFunc(d.lab.AWS.Tokens(), func(t cloud.Token) bool { return !strings.Contains(t.Principal, principal) })
}

// cloudCalls counts the calls of the cloud's APIs. The registry's do not count: pulls are not Regcred's.
func (d *demo) cloudCalls() int {
	calls := d.lab.AWS.Calls()
	return calls.Of(cloud.ActionGetAuthorizationToken) + calls.Of(cloud.ActionAssumeRoleWithWebIdentity) +
		calls.Of(cloud.ActionAssumeRole) + calls.Of(cloud.ActionGetCallerIdentity)
}

// withoutCloudCall does something that must cost no call to the cloud. A scheduled refresh may fall into it by chance, and so what
// costs a call is done once more; what really needs a call costs one each time.
func (d *demo) withoutCloudCall(do func() error) error {
	calls := 0
	for range 2 {
		before := d.cloudCalls()
		if err := do(); err != nil {
			return err
		}
		if calls = d.cloudCalls() - before; calls == 0 {
			return nil
		}
	}
	return fmt.Errorf("it took %d calls to the cloud instead of none, twice", calls)
}

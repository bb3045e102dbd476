package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cli"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
	"github.com/regcred/regcred/test/controlplane"
)

const (
	manyNamespaces  = 1000
	podsOfNamespace = 5
)

// eachNamespace does something in each of many namespaces, several at a time.
func eachNamespace(do func(namespace string)) {
	var workers sync.WaitGroup
	names := make(chan string)
	for range 32 {
		workers.Go(func() {
			for name := range names {
				do(name)
			}
		})
	}
	for n := range manyNamespaces {
		names <- fmt.Sprintf("scale-%04d", n)
	}
	close(names)
	workers.Wait()
}

// seedMany fills many namespaces with a ServiceAccount, its pull Secret and pods.
func seedMany(t *testing.T) client.Client {
	t.Helper()
	config := rest.CopyConfig(cp.Config)
	config.QPS, config.Burst = 5000, 5000
	c, err := client.New(config, client.Options{Scheme: cluster.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 30 {
		create(t, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("scale-%02d", n)}, Spec: corev1.NodeSpec{ProviderID: "aws:///eu-west-1a/i-0"}})
	}
	eachNamespace(func(namespace string) {
		pull := metav1.ObjectMeta{Namespace: namespace, Name: "pull", Labels: map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretTarget}}
		all := []client.Object{
			&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}},
			&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "default"}, ImagePullSecrets: []corev1.LocalObjectReference{{Name: "pull"}}},
			&corev1.Secret{ObjectMeta: pull, Type: corev1.SecretTypeDockerConfigJson, Data: map[string][]byte{corev1.DockerConfigJsonKey: loginFor(now.Add(6*time.Hour), "many")}},
		}
		for n := range podsOfNamespace {
			all = append(all, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("app-%d", n)},
				Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: movedHost + "/team/app:1"}}}})
		}
		for _, o := range all {
			if err := c.Create(context.Background(), o); err != nil {
				t.Error(err)
			}
		}
	})
	t.Cleanup(func() {
		eachNamespace(func(namespace string) {
			for _, o := range []client.Object{&corev1.Pod{}, &corev1.Secret{}, &corev1.ServiceAccount{}} {
				if err := c.DeleteAllOf(context.Background(), o, client.InNamespace(namespace), client.GracePeriodSeconds(0)); err != nil {
					t.Error(err)
				}
			}
		})
	})
	return c
}

func timeOf(do func()) time.Duration {
	began := time.Now()
	do()
	return time.Since(began)
}

// compared are the times of the shortest runs of two, in turns: in the others somebody else had the machine. It ends when the second takes no
// more than goal times the first.
func compared(goal int, one, other func()) (first, second time.Duration) {
	first, second = time.Hour, time.Hour
	for range 20 {
		first, second = min(first, timeOf(one)), min(second, timeOf(other))
		if second <= time.Duration(goal)*first {
			break
		}
	}
	return first, second
}

// busy is what a machine with other things to do may take longer: a bound on hanging, and none on speed.
const busy = 30 * time.Second

// What the commands cost in a cluster of 1,000 namespaces and 5,000 pods: docs/kubectl.md says it.
func TestTheCommandsInAClusterOfManyNamespaces(t *testing.T) {
	c := seedMany(t)
	create(t, &v1alpha1.ClusterRegistryCredential{ObjectMeta: metav1.ObjectMeta{Name: "many"}, Spec: v1alpha1.ClusterCredentialSpec{
		CredentialSpec: v1alpha1.CredentialSpec{SecretName: "pull", Registries: []v1alpha1.Registry{{Name: "prod", ECR: &v1alpha1.ECR{Region: "eu-west-1"}}}}}})
	lists := func() {
		for _, list := range []client.ObjectList{&corev1.PodList{}, &corev1.SecretList{}, &corev1.ServiceAccountList{}} {
			if err := c.List(t.Context(), list); err != nil {
				t.Fatal(err)
			}
		}
	}
	var bare, took time.Duration
	for _, command := range []string{"status", "audit"} {
		bare, took = compared(goalTimes, lists, func() { run(t, command) })
		times := took.Seconds() / bare.Seconds()
		t.Logf("the bare lists of pods, Secrets and ServiceAccounts take %s, and %s %s: %.1f times", bare, command, took, times)
		if times > mostTimes {
			t.Errorf("%s takes %.1f times as long as the bare lists, want %d at most", command, times, mostTimes)
		}
	}
	plugin := binary(t)
	for command, most := range map[string]int{
		"status": 6, "status --impact": 30, "why": 14, "why pod/app-0 -n scale-0001": 10, "doctor": 14, "audit": 24,
	} {
		began := time.Now()
		r := run(t, strings.Fields(command)...)
		took := time.Since(began)
		requests, err := cp.AuditRequests(began, func(r controlplane.AuditRequest) bool { return strings.HasPrefix(r.UserAgent, "kubectl-regcred/") })
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d requests, %s", command, len(requests), took)
		if peak := peakOf(t, plugin, strings.Fields(command)...); peak > mostMemory {
			t.Errorf("%s: %d MiB at its peak, want %d at most", command, peak>>20, mostMemory>>20)
		} else {
			t.Logf("%s: %d MiB at its peak", command, peak>>20)
		}
		if len(requests) == 0 || len(requests) > most || took > 2*bare+busy {
			t.Errorf("%s: %d requests, want %d at most, in %s\n%s", command, len(requests), most, took, r.stderr)
		}
	}
}

// What may be taken of memory, and of time in multiples of the bare lists. Measured were 78 MiB, and 1.5 times.
const (
	mostMemory = 100 << 20
	goalTimes  = 2
	mostTimes  = 3
)

// processors are as many as the figures are for: the runtime takes more memory where there are more.
const processors = "GOMAXPROCS=2"

// peakOf runs the plugin as a process of its own, and returns the most memory that it had at a time. What wait4 says of that counts the
// process that has started it, too; /proc does not.
func peakOf(t *testing.T, plugin string, args ...string) (peak int64) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), plugin, append([]string{"--kubeconfig=" + cp.Kubeconfig()}, args...)...)
	cmd.Env = append(os.Environ(), processors)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for tick := time.NewTicker(time.Millisecond); ; {
		select {
		case err := <-done:
			tick.Stop()
			var exit *exec.ExitError
			if peak == 0 || err != nil && (!errors.As(err, &exit) || exit.ExitCode() == cli.Failure) {
				t.Fatalf("%q: peak %d, %v", args, peak, err)
			}
			return peak
		case <-tick.C:
			peak = max(peak, highWater(cmd.Process.Pid))
		}
	}
}

// highWater is the most memory that a process has had so far; 0 if it has ended.
func highWater(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	kibibytes, _, _ := strings.Cut(strings.TrimSpace(after), " ")
	n, err := strconv.ParseInt(kibibytes, 10, 64)
	if err != nil {
		return 0 // a process that has ended and was not waited for
	}
	return n << 10
}

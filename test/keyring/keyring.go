// Package keyring knows which logins a kubelet shows for random images, pods and Secrets: the kubelet's own code says it
// (test/controlplane/binaries/keyring).
package keyring

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/regcred/regcred/internal/dockerkey"
)

// Case is a pod that pulls an image, in a namespace with Secrets.
type Case struct {
	Image string
	// Own are the imagePullSecrets that the pod brings, and Linked those of its ServiceAccount.
	Own, Linked []string
	Secrets     []*corev1.Secret
	// Kubelet is what the kubelet does.
	Kubelet Answer

	places map[string]Place
}

// Place is where a login is.
type Place struct{ Secret, Key string }

// At is where the login of a user is.
func (c *Case) At(user string) Place { return c.places[user] }

// Answer is what a kubelet makes of a case.
type Answer struct {
	// Parsed is whether it can read the image's name, and Malformed whether it cannot read a Secret, and so gives up.
	Parsed, Malformed bool
	// Users are those of the logins that it shows, in its order.
	Users []string
}

// List is the pod's list once it is created: one that brings none gets its ServiceAccount's.
func (c *Case) List() []string {
	if len(c.Own) > 0 {
		return c.Own
	}
	return c.Linked
}

func (c *Case) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s with %q of", c.Image, c.List())
	for _, s := range c.Secrets {
		fmt.Fprintf(&text, " %s (%s: %s)", s.Name, s.Type, slices.Collect(maps.Values(s.Data)))
	}
	return text.String()
}

// Secret returns nil for one that does not exist.
func (c *Case) Secret(name string) *corev1.Secret {
	at := slices.IndexFunc(c.Secrets, func(s *corev1.Secret) bool { return s.Name == name })
	if at < 0 {
		return nil
	}
	return c.Secrets[at]
}

// Sorted sorts users whose logins are in one Secret under keys that mean the same: the kubelet shows those in no certain order.
func (c *Case) Sorted(users []string) []string {
	var sorted []string
	for len(users) > 0 {
		alike := 1
		for alike < len(users) && c.alike(users[0], users[alike]) {
			alike++
		}
		sorted = append(sorted, slices.Sorted(slices.Values(users[:alike]))...)
		users = users[alike:]
	}
	return sorted
}

func (c *Case) alike(user, other string) bool {
	pattern, _ := dockerkey.Pattern(c.places[user].Key)
	otherPattern, _ := dockerkey.Pattern(c.places[other].Key)
	return c.places[user].Secret == c.places[other].Secret && pattern == otherPattern
}

// Cases returns n random cases, the same every time, with what the kubelet makes of them.
func Cases(t *testing.T, n int) []*Case {
	t.Helper()
	cases := random(n)
	answers, err := ask(t.Context(), cases)
	if err != nil {
		t.Fatal(err)
	}
	shown, malformed := 0, 0
	for i, c := range cases {
		c.Kubelet = answers[i]
		c.Kubelet.Users = c.Sorted(c.Kubelet.Users)
		if len(c.Kubelet.Users) > 1 {
			shown++
		}
		if c.Kubelet.Malformed {
			malformed++
		}
	}
	if shown < n/10 || malformed < n/50 {
		t.Fatalf("of %d cases %d have several logins, and %d a Secret that cannot be parsed: they prove little", n, shown, malformed)
	}
	return cases
}

// ask asks the kubelet's code. It skips names of Secrets that are empty or do not exist, as the kubelet does
// (pkg/kubelet/kubelet_pods.go, getPullSecretsForPod).
func ask(ctx context.Context, cases []*Case) ([]Answer, error) {
	var stdin bytes.Buffer
	encoder := json.NewEncoder(&stdin)
	for _, c := range cases {
		question := struct {
			Secrets []*corev1.Secret
			Image   string
		}{Image: c.Image}
		for _, name := range c.List() {
			if s := c.Secret(name); s != nil {
				question.Secrets = append(question.Secrets, s)
			}
		}
		if err := encoder.Encode(question); err != nil {
			return nil, err
		}
	}
	module, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return nil, fmt.Errorf("finding the checkout of Regcred: %w", err)
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", "run", "./keyring")
	cmd.Dir = filepath.Join(filepath.Dir(strings.TrimSpace(string(module))), "test", "controlplane", "binaries")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = &stdin, &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("asking the kubelet's keyring: %w: %s", err, stderr.String())
	}
	answers, decoder := make([]Answer, len(cases)), json.NewDecoder(&stdout)
	for i := range answers {
		if err := decoder.Decode(&answers[i]); err != nil {
			return nil, fmt.Errorf("the kubelet's keyring has stopped answering: %w", err)
		}
	}
	return answers, nil
}

package edit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cli"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
)

// longest is how long an override may last. The controller takes none that ends later.
const longest = 7 * 24 * time.Hour

// override is the command override.
type override struct {
	command
	registry, username, controller string
	stdin, end                     bool
	lasts                          time.Duration
}

// Override is the command override.
func Override(e *cli.Env) *cobra.Command {
	c := &override{command: command{env: e, format: output.NewFormat()}}
	cmd := &cobra.Command{
		Use:   "override NAME --registry ENTRY {--username USER --for DURATION | --end}",
		Short: "Publish a login by hand instead of a provider's token, for a while",
		Long: `Publish a login by hand instead of a provider's token, for as long as a cloud or an identity is down.

The password is asked for on the terminal, or read from stdin with --password-stdin. It is kept in the Secret NAME-ENTRY-override, which
belongs to the credential: in its namespace, or in the controller's for a ClusterRegistryCredential.

Exit codes: 0 done, 2 error.`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cluster.CompleteNames(e),
		RunE:              func(cmd *cobra.Command, args []string) error { return c.run(cmd.Context(), args[0]) },
	}
	c.bind(cmd)
	f := cmd.Flags()
	f.StringVar(&c.registry, "registry", "", "The name of the registry entry. It may be left out if there is only one.")
	f.StringVar(&c.username, "username", "", "The user of the login.")
	f.BoolVar(&c.stdin, "password-stdin", false, "Read the password from stdin.")
	f.DurationVar(&c.lasts, "for", 0, "How long, at most 168h.")
	f.BoolVar(&c.end, "end", false, "End the override and delete its Secret.")
	f.StringVar(&c.controller, "controller-namespace", "", "The controller's namespace. Default: where its Lease is, or regcred-system.")
	cmd.MarkFlagsMutuallyExclusive("end", "for")
	cmd.MarkFlagsMutuallyExclusive("end", "username")
	cmd.MarkFlagsMutuallyExclusive("end", "password-stdin")
	return cmd
}

func (c *override) run(ctx context.Context, name string) error {
	if !c.end && (c.username == "" || strings.ContainsAny(c.username, ":\r\n")) {
		return errors.New("--username is needed, and may hold neither colon nor line break")
	}
	if !c.end && (c.lasts <= 0 || c.lasts > longest) {
		return fmt.Errorf("--for is needed, and may be at most %s: it is for an emergency", longest)
	}
	k, err := cluster.Open(c.env)
	if err != nil {
		return err
	}
	o, err := k.Named(ctx, c.env, name)
	if err != nil {
		return err
	}
	at, err := c.entry(o)
	if err != nil {
		return err
	}
	if c.controller == "" {
		c.controller = k.ControllerNamespace(ctx)
	}
	if c.end {
		return c.stop(ctx, k, o, at)
	}
	return c.start(ctx, k, o, at)
}

// entry is the index of the entry that is meant.
func (c *override) entry(o *cluster.Credential) (int, error) {
	var names []string
	for _, r := range o.Spec.Registries {
		names = append(names, r.Name)
	}
	if c.registry == "" && len(names) == 1 {
		return 0, nil
	}
	if at := slices.Index(names, c.registry); at >= 0 {
		return at, nil
	}
	return 0, fmt.Errorf("--registry must be one of the entries of %s: %s", o.Ref().Long(), strings.Join(names, ", "))
}

func (c *override) start(ctx context.Context, k *cluster.Cluster, o *cluster.Credential, at int) error {
	secret := c.secret(o, at)
	until := c.env.Clock.Now().Add(c.lasts).UTC().Truncate(time.Second)
	wanted := v1alpha1.Override{SecretRef: v1alpha1.LocalReference{Name: secret.Name}, Until: metav1.NewTime(until)}
	password, err := c.password()
	if err != nil {
		return err
	}
	secret.Data = map[string][]byte{corev1.BasicAuthUsernameKey: []byte(c.username), corev1.BasicAuthPasswordKey: password}
	if err := put(ctx, k, o, secret); err != nil {
		return err
	}
	if err := c.allowed(o, patchForGit(o, at, &wanted), "Secret "+secret.Namespace+"/"+secret.Name+" is made, and the credential is as it was"); err != nil {
		return err
	}
	if err := c.patch(ctx, k, o, at, "add", &wanted); err != nil {
		return err
	}
	r := resultOf(o, fmt.Sprintf("registry %s is overridden until %s; end it by kubectl regcred override %s --registry %s --end",
		o.Spec.Registries[at].Name, until.Format(time.RFC3339), o.Ref().Long(), o.Spec.Registries[at].Name))
	r.Secret = secret.Namespace + "/" + secret.Name
	return c.print(r)
}

func (c *override) stop(ctx context.Context, k *cluster.Cluster, o *cluster.Credential, at int) error {
	entry := o.Spec.Registries[at]
	r := resultOf(o, "registry "+entry.Name+" is not overridden")
	if entry.Override != nil {
		if err := c.allowed(o, patchForGit(o, at, nil), "nothing was changed, and --end deletes the Secret once it no longer names it"); err != nil {
			return err
		}
		if err := c.patch(ctx, k, o, at, "remove", nil); err != nil {
			return err
		}
		r = resultOf(o, "the override of registry "+entry.Name+" has ended")
	}
	secret := c.secret(o, at)
	deleted, err := discard(ctx, k, o, secret)
	if err != nil {
		return fmt.Errorf("%s, but Secret %s/%s could not be deleted: %w", r.Done, secret.Namespace, secret.Name, err)
	}
	if deleted {
		r.Secret = secret.Namespace + "/" + secret.Name
		r.Done += "; its Secret " + r.Secret + " is deleted"
	}
	for _, gap := range k.Gaps() {
		fmt.Fprintln(c.env.ErrOut, gap)
	}
	return c.print(r)
}

// discard deletes the Secret of an override, also one that was left when the override was ended in Git. One that another entry names stays.
func discard(ctx context.Context, k *cluster.Cluster, o *cluster.Credential, secret *corev1.Secret) (deleted bool, err error) {
	if slices.ContainsFunc(o.Spec.Registries, func(r v1alpha1.Registry) bool { return r.Override != nil && r.Override.SecretRef.Name == secret.Name }) {
		return false, nil
	}
	there, err := k.Read(ctx, secret.Namespace, secret.Name, secret)
	if err != nil || there != cluster.Present || !metav1.IsControlledBy(secret, o) {
		return false, err
	}
	err = client.IgnoreNotFound(k.Delete(ctx, secret, client.Preconditions{UID: &secret.UID}))
	return err == nil, err
}

// secret is the Secret of an override, without content. It goes with the credential.
func (c *override) secret(o *cluster.Credential, at int) *corev1.Secret {
	namespace := o.GetNamespace()
	if namespace == "" {
		namespace = c.controller
	}
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: o.GetName() + "-" + o.Spec.Registries[at].Name + "-override",
			Labels: map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretIdentity},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: v1alpha1.GroupVersion.String(), Kind: o.Kind, Name: o.GetName(), UID: o.GetUID(), Controller: new(true),
			}},
		},
		Type: corev1.SecretTypeOpaque,
	}
}

// put creates the Secret, or replaces what an earlier override has left.
func put(ctx context.Context, k *cluster.Cluster, o *cluster.Credential, secret *corev1.Secret) error {
	old := &corev1.Secret{}
	there, err := k.Read(ctx, secret.Namespace, secret.Name, old)
	switch {
	case err != nil:
		return err
	case there == cluster.Present && !metav1.IsControlledBy(old, o):
		return fmt.Errorf("there is a Secret %s/%s that does not belong to %s: rename or delete it", secret.Namespace, secret.Name, o.Ref().Long())
	case there == cluster.Present:
		secret.UID, secret.ResourceVersion = old.UID, old.ResourceVersion
		err = k.Update(ctx, secret)
	default:
		err = k.Create(ctx, secret)
	}
	if err != nil {
		return fmt.Errorf("writing Secret %s/%s: %w", secret.Namespace, secret.Name, err)
	}
	return nil
}

// patch changes the override of one entry, if it still stands where it was read.
func (c *override) patch(ctx context.Context, k *cluster.Cluster, o *cluster.Credential, at int, op string, wanted *v1alpha1.Override) error {
	path := fmt.Sprintf("/spec/registries/%d/", at)
	change := map[string]any{"op": op, "path": path + "override"}
	if wanted != nil {
		change["value"] = wanted
	}
	patch, err := json.Marshal([]map[string]any{{"op": "test", "path": path + "name", "value": o.Spec.Registries[at].Name}, change})
	if err != nil {
		return err
	}
	if err := k.Patch(ctx, o.Object, client.RawPatch(types.JSONPatchType, patch)); err != nil {
		return fmt.Errorf("%s: %w", o.Ref().Long(), err)
	}
	return nil
}

// patchForGit is the change as it looks in a manifest.
func patchForGit(o *cluster.Credential, at int, wanted *v1alpha1.Override) any {
	entry := map[string]any{"name": o.Spec.Registries[at].Name, "override": wanted}
	return map[string]any{"spec": map[string]any{"registries": []any{entry}}}
}

// password reads the password, and never shows it.
func (c *override) password() ([]byte, error) {
	var password []byte
	var err error
	file, _ := c.env.In.(*os.File)
	switch {
	case c.stdin:
		password, err = io.ReadAll(io.LimitReader(c.env.In, 64<<10))
		password = bytes.TrimSuffix(bytes.TrimSuffix(password, []byte("\n")), []byte("\r"))
	case file != nil && output.IsTerminal(file):
		fmt.Fprint(c.env.ErrOut, "Password: ")
		password, err = term.ReadPassword(int(file.Fd()))
		fmt.Fprintln(c.env.ErrOut)
	default:
		return nil, errors.New("stdin is no terminal to ask for a password: give --password-stdin")
	}
	if err != nil {
		return nil, errors.New("the password could not be read")
	}
	if len(password) == 0 {
		return nil, errors.New("the password is empty: nothing was changed")
	}
	return password, nil
}

package migrate

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/access"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cli"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/edit"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
)

// migration takes one CronJob over, or gives its work back to it.
type migration struct {
	*command
	k       *cluster.Cluster
	home    string
	answers *bufio.Reader
	record  Record
	// started is the Job of a rollback.
	started *batchv1.Job
	// access is what an identity that could not mint needs.
	access []access.Access
}

// Result is how a migration has ended.
type Result struct {
	Record
	Outcome Outcome `json:"outcome"`
	// Why is what kept it from being done.
	Why []string `json:"why,omitempty"`
	// Access is what the clouds must allow, where an identity could not mint.
	Access []access.Access `json:"access,omitempty"`
}

// Outcome is how a migration has ended.
type Outcome string

// The outcomes.
const (
	Migrated   Outcome = "Migrated"
	RolledBack Outcome = "RolledBack"
	// Untouched: nothing was changed. Undone: what had been changed was changed back.
	Untouched Outcome = "Untouched"
	Undone    Outcome = "Undone"
)

func (c *command) migration(ctx context.Context, k *cluster.Cluster) *migration {
	return &migration{command: c, k: k, home: cmp.Or(c.home, k.ControllerNamespace(ctx)), answers: bufio.NewReader(c.env.In)}
}

// apply takes the work of a CronJob over, step by step. What goes wrong on the way is undone.
func (c *command) apply(ctx context.Context, k *cluster.Cluster, args []string) error {
	m := c.migration(ctx, k)
	f, err := c.find(ctx, k)
	if err != nil {
		return err
	}
	if gaps := k.Gaps(); len(gaps) > 0 {
		return errors.Join(m.end(Untouched, gaps...), cli.Exit(cli.Undecided))
	}
	job, err := chooseCronJob(f, args)
	if err != nil {
		return err
	}
	rivals := c.rivals(f, job)
	f.tools, f.notes = []Found{job}, nil // other tools' are printed without --apply
	f.secrets = slices.DeleteFunc(f.secrets, func(s secret) bool { return s.tool != "" })
	p := planOf(f)
	objections, err := m.prepare(ctx, p, f, job)
	if err != nil {
		return err
	}
	if objections = append(rivals, objections...); len(objections) > 0 {
		return errors.Join(m.end(Untouched, objections...), cli.Exit(cli.Findings))
	}
	if err := m.consent(p); err != nil {
		return errors.Join(m.end(Untouched, err.Error()), cli.Exit(cli.Findings))
	}
	if err := m.try(ctx, p); err != nil {
		m.access = m.needs(ctx, p)
		return errors.Join(m.end(Untouched, err.Error()), cli.Exit(cli.Findings))
	}
	if err := m.forward(ctx, p); err != nil {
		m.say("going back: " + err.Error())
		undone := m.back(context.WithoutCancel(ctx))
		return errors.Join(m.end(Undone, err.Error()), undone, cli.Exit(cli.Findings))
	}
	return m.end(Migrated)
}

// prepare fills the record, and says what speaks against the migration.
func (m *migration) prepare(ctx context.Context, p *Plan, f *findings, job Found) (objections []string, err error) {
	object := func(format string, args ...any) { objections = append(objections, fmt.Sprintf(format, args...)) }
	cron := &batchv1.CronJob{}
	if err := m.k.Get(ctx, client.ObjectKey{Namespace: job.Namespace, Name: job.Name}, cron); err != nil {
		return nil, err
	}
	m.record.CronJob = Object{"CronJob", cron.Namespace, cron.Name, cron.UID, digestOf(cron)}
	if job.Suspended {
		object("%s is suspended already", m.record.CronJob)
	}
	if tool := edit.Keeper(cron); tool != "" && !m.force {
		object("%s is kept by %s, which would undo the suspension: suspend it there, and follow the steps that kubectl regcred migrate prints; --force goes on all the same", m.record.CronJob, tool)
	}
	if len(p.Credentials) == 0 {
		object("no Secret with the token of a cloud was found")
	}
	for _, name := range p.Incomplete {
		object("Secret %s holds a login that no credential here brings: follow the steps that kubectl regcred migrate prints", name)
	}
	for _, s := range f.secrets {
		if !slices.Contains(p.Adopt, s.namespace+"/"+s.name) {
			continue
		}
		if s.old {
			object("Secret %s/%s is of type %s, which no credential writes: have the CronJob make one of type %s first", s.namespace, s.name, corev1.SecretTypeDockercfg, corev1.SecretTypeDockerConfigJson)
		}
		m.record.Secrets = append(m.record.Secrets, Adopted{Object{Kind: "Secret", Namespace: s.namespace, Name: s.name, UID: s.uid}, s.adopt})
		if why := m.dies(s); why != "" {
			object("%s", why)
		}
	}
	for _, o := range p.Credentials {
		objections = append(objections, m.against(ctx, o)...)
	}
	return objections, nil
}

// dies says that a token of the Secret may end before its successor is there.
func (m *migration) dies(s secret) string {
	for _, key := range s.config.Keys() {
		login := s.config[key]
		switch left := login.ExpiresAt.Sub(m.env.Clock.Now()); {
		case m.left == 0:
		case login.ExpiresAt.IsZero():
			return fmt.Sprintf("the login for %s in Secret %s/%s does not say when it ends: run the CronJob, and give --token-left=0", key, s.namespace, s.name)
		case left < m.left:
			return fmt.Sprintf("the login for %s in Secret %s/%s ends in %s, and is to live for %s: run the CronJob first", key, s.namespace, s.name, output.Span(left), m.left)
		}
	}
	return ""
}

// against is what the API server has against a credential.
func (m *migration) against(ctx context.Context, o client.Object) (objections []string) {
	credential := cluster.CredentialOf(o)
	if err := m.k.Create(ctx, o.DeepCopyObject().(client.Object), client.DryRunAll); err != nil {
		objections = append(objections, fmt.Sprintf("%s cannot be created: %v", credential.Ref().Long(), err))
	}
	for _, r := range credential.Spec.Registries {
		if o.GetNamespace() == "" || r.Identity == nil || r.Identity.ServiceAccountRef == nil {
			continue
		}
		name := r.Identity.ServiceAccountRef.Name
		if there, err := m.k.Read(ctx, o.GetNamespace(), name, &corev1.ServiceAccount{}); err == nil && there == cluster.Absent {
			objections = append(objections, fmt.Sprintf("ServiceAccount %s/%s, whose identity would mint, does not exist", o.GetNamespace(), name))
		}
	}
	return objections
}

// consent shows what is about to be done, and asks for leave to try it.
func (m *migration) consent(p *Plan) error {
	manifests, err := manifestsOf(p)
	if err != nil {
		return err
	}
	fmt.Fprintf(m.env.ErrOut, "%s\n", manifests)
	for _, note := range p.Notes {
		m.say("note: " + note)
	}
	return m.ask("Try these identities first? The credentials are created for a moment as NAME" + trialSuffix + ", with Secrets of their own that no pod uses.")
}

// ask asks for leave to go on.
func (m *migration) ask(question string) error {
	output.Wrap(m.env.ErrOut, "", question+" [y/N]")
	if m.yes {
		return nil
	}
	answer, err := m.answers.ReadString('\n')
	if answer = strings.ToLower(strings.TrimSpace(answer)); answer == "y" || answer == "yes" {
		return nil
	}
	if answer == "" && err != nil {
		return errors.New("nobody has answered; --yes answers every question with yes")
	}
	return errors.New("the answer was no")
}

func (m *migration) say(text string) { output.Wrap(m.env.ErrOut, "", text) }

// end tells how it has ended.
func (m *migration) end(outcome Outcome, why ...string) error {
	return m.format.Write(m.env.Out, Result{m.record, outcome, why, m.access}, func(w io.Writer) error {
		switch outcome {
		case Migrated:
			output.Wrap(w, "", fmt.Sprintf("%s is suspended, and its Secrets are kept by Regcred. Delete it when you are content; kubectl regcred migrate --rollback goes back.", m.record.CronJob))
		case RolledBack:
			output.Wrap(w, "", fmt.Sprintf("%s keeps its Secrets again, and the credentials are deleted.", m.record.CronJob))
		case Untouched:
			output.Wrap(w, "", "Nothing was changed:")
		case Undone:
			output.Wrap(w, "", "Everything is as it was:")
		}
		for _, line := range why {
			output.Wrap(w, "  ", line)
		}
		access.WriteShell(w, m.access)
		return nil
	})
}

// kept says whether a credential keeps the Secret.
func kept(o metav1.Object) bool { return o.GetAnnotations()[v1alpha1.AnnotationKeptBy] != "" }

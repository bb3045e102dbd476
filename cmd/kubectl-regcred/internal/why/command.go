package why

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cli"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/node"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/probe"
	"github.com/regcred/regcred/controllers/diagnosis"
)

// command is what is asked for.
type command struct {
	env            *cli.Env
	format         *output.Format
	nodes, account string
	probe, private bool
}

// Command is the command why.
func Command(e *cli.Env) *cobra.Command {
	c := &command{env: e, format: output.NewFormat()}
	cmd := &cobra.Command{
		Use: "why [pod/NAME | deploy/NAME | rs/NAME | sts/NAME | ds/NAME | job/NAME | cronjob/NAME | IMAGE --sa NAME]", Aliases: []string{"diagnose"},
		Short: "Say why an image is not pulled, and what helps",
		Long: `Say why an image is not pulled, and what helps: in a sentence, and then step by step, as the kubelet goes.

Without an argument: of every pod that waits for an image, grouped by cause; with -n only of that namespace.

Exit codes: 0 the pull works, as far as can be seen; 1 a cause was found; 2 error; 3 it cannot be decided.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return c.run(cmd.Context(), args) },
	}
	cli.BindOutput(cmd, c.format)
	cmd.Flags().StringVar(&c.nodes, "node-provider", "", "The clouds whose registries the nodes pull from by themselves: ecr, google, acr or none, separated by commas. Default: guessed from the nodes.")
	cmd.Flags().StringVar(&c.account, "sa", "default", "The ServiceAccount that would pull the image.")
	cmd.Flags().BoolVar(&c.probe, "probe", false, "Ask the registry, from this machine, whether the login may pull.")
	cmd.Flags().BoolVar(&c.private, "allow-private", false, "With --probe: reach loopback, link-local and private addresses, too.")
	return cmd
}

func (c *command) run(ctx context.Context, args []string) error {
	if c.probe && len(args) == 0 {
		return errors.New("--probe is for one pod, workload or image: name it")
	}
	nodes, err := node.Parse(c.nodes)
	if err != nil {
		return err
	}
	k, err := cluster.Open(c.env)
	if err != nil {
		return err
	}
	f := newFacts(k)
	f.nodes = nodes
	if c.probe {
		f.prober = probe.New(c.private)
		fmt.Fprintln(c.env.ErrOut, "asking registries from this machine, which may reach others than the nodes do ...")
	}
	r, err := c.gather(ctx, k, f, args)
	if err != nil {
		return err
	}
	r.NotRead = k.Gaps()
	chains := len(args) > 0 || c.format.Wide()
	return errors.Join(c.format.Write(c.env.Out, r, func(w io.Writer) error {
		write(w, c.env.Style(), r, chains)
		return nil
	}), verdict(r))
}

func verdict(r *Report) error {
	has := func(result Result) bool {
		return slices.ContainsFunc(r.Pulls, func(p Pull) bool { return p.Result == result })
	}
	return cli.ExitWith(has(Fails), has(Undecided) || len(r.Pulls) == 0 && len(r.NotRead) > 0)
}

func (c *command) gather(ctx context.Context, k *cluster.Cluster, f *facts, args []string) (*Report, error) {
	defer c.env.Progress(ctx, "reading pods and what they pull with")()
	subjects, err := c.subjects(ctx, k, args)
	if err != nil {
		return nil, err
	}
	r := &Report{Pulls: []Pull{}}
	if len(subjects) == 0 {
		return r, nil
	}
	scope := c.env.Scope()
	if len(args) > 0 {
		scope = subjects[0].namespace
	}
	if err := f.readOnce(ctx, scope); err != nil {
		return nil, err
	}
	for _, s := range subjects {
		images := s.images
		if s.failing() {
			images = slices.Sorted(maps.Keys(s.waiting))
		}
		for _, image := range images {
			p, err := f.judge(ctx, s, image, c.env.Clock.Now())
			if err != nil {
				return nil, err
			}
			r.Pulls = append(r.Pulls, p)
		}
	}
	if len(args) == 0 {
		r.Pulls = grouped(r.Pulls)
	}
	return r, nil
}

// subjects are those that are asked for: one, or every pod that waits for an image.
func (c *command) subjects(ctx context.Context, k *cluster.Cluster, args []string) ([]*subject, error) {
	if len(args) == 0 {
		var failing []*subject
		_, err := cluster.Each(ctx, k, &corev1.PodList{}, c.env.Scope(), func(p *corev1.Pod) error {
			if s := podSubject(p); s.failing() {
				failing = append(failing, s)
			}
			return nil
		})
		return failing, err
	}
	namespace, err := c.env.Namespace()
	if err != nil {
		return nil, err
	}
	kind, name, both := strings.Cut(args[0], "/")
	if w := workloadOf(kind); both && w != nil {
		s, err := w.find(ctx, k, namespace, name)
		return []*subject{s}, err
	}
	if _, ok := diagnosis.ParseImage(args[0]); !ok || both && isOther(kind) {
		return nil, fmt.Errorf("%q is neither an image nor pod/, deploy/, rs/, sts/, ds/, job/ or cronjob/ and a name (images of Docker Hub begin with docker.io/)", args[0])
	}
	return []*subject{{namespace: namespace, name: "ServiceAccount " + c.account, account: c.account, images: []string{args[0]}, waiting: map[string]string{}}}, nil
}

// readOnce reads what is the same for all subjects.
func (f *facts) readOnce(ctx context.Context, scope string) error {
	var err error
	if f.credentials, err = f.k.Credentials(ctx, scope); err != nil && !errors.Is(err, cluster.ErrNotInstalled) {
		return err
	}
	if !f.nodes.Known() {
		if f.nodes, err = node.Guess(ctx, f.k); err != nil {
			return err
		}
	}
	_, err = cluster.Each(ctx, f.k, &corev1.EventList{}, scope, func(e *corev1.Event) error {
		p, ok := diagnosis.FailedPullOf(e)
		key := event{string(p.UID), p.Image}
		if at := e.LastTimestamp.Time; ok && !at.Before(f.events[key].at) {
			f.events[key] = said{at, e.Message}
		}
		return nil
	}, client.MatchingFields{"reason": "Failed", "involvedObject.kind": "Pod"})
	return err
}

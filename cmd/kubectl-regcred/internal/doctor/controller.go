package doctor

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/check"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
)

// controller is the Deployment.
func (d *doctor) controller(ctx context.Context) error {
	found := 0
	read, err := each(ctx, d, "controller", &appsv1.DeploymentList{}, "", func(o *appsv1.Deployment) {
		found++
		d.home = o.Namespace
		state, note := check.Good, ""
		switch {
		case o.Status.ReadyReplicas > 0:
		case d.led():
			state, note = check.Note, "; yet somebody leads, so that the controller runs elsewhere, or nobody reports on its pods"
		default:
			state = check.Bad
		}
		image, images := "", []string{}
		for _, c := range o.Spec.Template.Spec.Containers {
			images = append(images, c.Image)
			if c.Name == "regcred" { // others are injected
				image = c.Image
			}
		}
		d.add("controller", state, "Deployment %s/%s: %d of %d replicas ready, %s%s", o.Namespace, o.Name, o.Status.ReadyReplicas, o.Status.Replicas, strings.Join(images, ", "), note)
		if image != "" {
			d.compare(image)
		}
	}, ours)
	switch {
	case !read:
		d.compareDefinitions("plugin", d.version)
	case found == 0:
		d.add("controller", check.Bad, "there is no Deployment with the label app.kubernetes.io/name=regcred")
		d.compareDefinitions("plugin", d.version)
	case found > 1:
		d.add("controller", check.Bad, "there are %d of them: two controllers with the same rights work against each other unless they watch different namespaces", found)
	}
	return err
}

// late is how long a Lease lives without a word of its holder, twice.
const late = 30 * time.Second

// skewed is how far clocks may be apart.
const skewed = 10 * time.Second

func (d *doctor) readLeases(ctx context.Context) (err error) {
	d.leases, err = d.k.Leases(ctx)
	return err
}

// held says whether somebody holds a Lease, or did.
func held(l *coordinationv1.Lease) bool {
	return l.Spec.HolderIdentity != nil && *l.Spec.HolderIdentity != "" && l.Spec.RenewTime != nil
}

// led says whether a controller runs: it holds its Lease.
func (d *doctor) led() bool {
	return !d.server.IsZero() && slices.ContainsFunc(d.leases, func(l *coordinationv1.Lease) bool {
		return held(l) && d.server.Sub(l.Spec.RenewTime.Time).Abs() <= late
	})
}

// lease is who leads, and whether its clock goes right.
func (d *doctor) lease(context.Context) error {
	if d.k.Missed("leases") {
		d.unread("leader", "leases", "list")
		return nil
	}
	if len(d.leases) == 0 {
		d.add("leader", check.Bad, "nobody has ever led: the controller does not run, or runs without --leader-elect")
	}
	for _, l := range d.leases {
		if d.home == "" {
			d.home = l.Namespace
		}
		if !held(l) {
			d.add("leader", check.Bad, "nobody holds Lease %s/%s: the controller does not run", l.Namespace, l.Name)
			continue
		}
		ago := d.server.Sub(l.Spec.RenewTime.Time)
		switch {
		case d.server.IsZero():
			d.add("leader", check.Note, "%s", *l.Spec.HolderIdentity)
		case ago > late:
			d.add("leader", check.Bad, "%s said so last %s ago: the controller does not run, or does not reach the API server", *l.Spec.HolderIdentity, output.Span(ago))
		case ago < -skewed:
			d.add("leader", check.Bad, "the clock of %s is %s ahead of the API server's: correct the node's, since tokens seem to expire early", *l.Spec.HolderIdentity, output.Span(-ago))
		default:
			d.add("leader", check.Good, "%s", *l.Spec.HolderIdentity)
		}
	}
	if skew := d.now.Sub(d.server).Abs(); !d.server.IsZero() && skew > skewed {
		d.add("clock", check.Note, "this machine's clock is %s from the API server's: what the plugin says of times is that much wrong", output.Span(skew))
	}
	return nil
}

// injected are the variables by which clouds give a pod an identity.
var injected = map[string]string{
	"AWS_ROLE_ARN": "a role of AWS", "AWS_CONTAINER_CREDENTIALS_FULL_URI": "EKS Pod Identity", "AZURE_FEDERATED_TOKEN_FILE": "Azure workload identity",
	"GOOGLE_APPLICATION_CREDENTIALS": "a credentials file of Google",
}

// identity is what the controller's pods have got of their cloud.
func (d *doctor) identity(ctx context.Context) error {
	if d.home == "" {
		return nil
	}
	names, pods := map[string]bool{}, 0
	read, err := each(ctx, d, "identity", &corev1.PodList{}, d.home, func(p *corev1.Pod) {
		pods++
		for _, c := range p.Spec.Containers {
			for _, e := range c.Env {
				if what := injected[e.Name]; what != "" {
					names[what] = true
				}
			}
		}
	}, ours)
	switch {
	case !read, pods == 0:
	case len(names) == 0:
		d.add("identity", check.Note, "no cloud has injected an identity into the controller's pods: entries without identity work by the node's, or not at all")
	default:
		d.add("identity", check.Good, "the controller's own: %s", strings.Join(slices.Sorted(maps.Keys(names)), ", "))
	}
	return err
}

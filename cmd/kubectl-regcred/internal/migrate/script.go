package migrate

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
)

// script writes steps for sh.
type script struct {
	io.Writer
	step int
}

func (s *script) say(text string) {
	s.step++
	output.Comment(s, fmt.Sprintf("%d. %s", s.step, text))
}

// run writes a command. One that must wait is a comment.
func (s *script) run(waits bool, command ...string) {
	if waits {
		fmt.Fprint(s, "# ")
	}
	fmt.Fprintln(s, output.Command(command...))
}

// writeSteps writes the steps as commands. The old tool is stopped before its Secrets are handed over, so that the two do not fight, and while
// its last token lives. What has to be done first is a comment, with all that follows from it.
func writeSteps(w io.Writer, p *Plan, file string) {
	s := &script{Writer: w}
	fmt.Fprintln(w, "#!/bin/sh\nset -e")
	s.say("What the credentials need in their clouds. Do it first: nothing has changed yet.")
	s.run(false, "kubectl", "regcred", "access", "-f", file)
	s.stop(p)
	s.say("Hand the Secrets over. This is the owner's consent, and writes nothing into them.")
	none := true
	for _, full := range p.Adopt {
		namespace, name, _ := strings.Cut(full, "/")
		waits := p.waits(namespace)
		switch {
		case slices.Contains(p.Incomplete, full):
			output.Comment(w, full+" holds a login that no credential here brings: add its entry first, and then run")
		case slices.Contains(p.OldType, full):
			output.Comment(w, full+" is of a type that no credential writes: replace it first, and then run")
		case waits:
			output.Comment(w, full+" waits for the other Secrets of its namespace: what writes them all goes on")
		}
		none = none && waits
		s.run(waits, "kubectl", "annotate", "secret", name, "--namespace="+namespace, v1alpha1.AnnotationAdopt+"=true", "--overwrite")
	}
	s.say("Create the credentials. They rewrite the Secrets in place, so that no image is pulled again because of it.")
	s.run(none, "kubectl", "apply", "-f", file)
	s.say("Wait. If it does not come to an end, the way back is: delete the credentials, which gives the Secrets back, and let the old tool go on.")
	for _, o := range p.Credentials {
		ref := cluster.CredentialOf(o).Ref()
		args := []string{"kubectl", "regcred", "status", ref.String(), "--wait=ready"}
		if ref.Namespace != "" {
			args = append(args, "--namespace="+ref.Namespace)
		}
		s.run(p.anyWaits(o), args...)
	}
	if commands := leftovers(p.Found); len(commands) > 0 {
		s.say("Once all are ready, delete the generators that nothing else uses.")
		for _, command := range commands {
			s.run(true, command...)
		}
	}
}

// stop writes what stops each tool. What writes a Secret that no credential takes over yet goes on.
func (s *script) stop(p *Plan) {
	owners := map[string]bool{}
	for _, t := range p.Found {
		if t.Kind == externalSecret && !slices.Contains(p.Adopt, t.secret) {
			continue
		}
		what, commands := t.stop()
		why := p.goesOn(t)
		if why == "" && t.Owner != "" && !owners[t.Owner] {
			owners[t.Owner] = true
			s.say("Delete ClusterExternalSecret " + t.Owner + ". What it has made stays.")
			s.run(false, "kubectl", "delete", "clusterexternalsecret", t.Owner, "--cascade=orphan")
		}
		switch {
		case what == "":
			continue
		case why == "":
			s.say(what)
		default:
			s.say(t.where() + " goes on: " + why + ", stop it first:")
		}
		for _, command := range commands {
			s.run(why != "", command...)
		}
	}
}

// goesOn is why a tool must not be stopped; empty if it may be.
func (p *Plan) goesOn(t Found) string {
	switch {
	case t.Kind == "Secret":
		return "" // a person reads how to stop it
	case p.waits(t.Namespace):
		return "a Secret of its namespace cannot be handed over yet. Once it can be"
	case !inNamespace(p.Adopt, t.Namespace):
		return "no Secret of its namespace is handed over. If it writes those below"
	}
	return ""
}

// waits says that a Secret of the namespace cannot be handed over yet. What writes it may write the others there, too, so that they wait with it.
func (p *Plan) waits(namespace string) bool {
	return inNamespace(p.Incomplete, namespace) || inNamespace(p.OldType, namespace)
}

// anyWaits says that a Secret of the credential waits, which is not ready until then.
func (p *Plan) anyWaits(o client.Object) bool {
	return slices.ContainsFunc(p.Adopt, func(full string) bool {
		namespace, name, _ := strings.Cut(full, "/")
		return name == o.GetName() && (o.GetNamespace() == "" || o.GetNamespace() == namespace) && p.waits(namespace)
	})
}

// inNamespace says whether one of the Secrets, as namespace/name, is in the namespace.
func inNamespace(secrets []string, namespace string) bool {
	return slices.ContainsFunc(secrets, func(full string) bool { return strings.HasPrefix(full, namespace+"/") })
}

// stop is what stops a tool. What is empty where there is nothing to stop, or where a note says what there is to do.
func (t Found) stop() (what string, commands [][]string) {
	namespace := "--namespace=" + t.Namespace
	switch {
	case t.Suspended:
	case t.Kind == "CronJob":
		return "Stop " + t.where() + ", right after it has run: its last token must outlive the next steps.",
			[][]string{{"kubectl", "patch", "cronjob", t.Name, namespace, `--patch={"spec":{"suspend":true}}`}}
	case t.Kind == "Deployment":
		return "Stop " + t.where() + " while the tokens that it has written live.", [][]string{{"kubectl", "scale", "deployment", t.Name, namespace, "--replicas=0"}}
	case t.Kind == externalSecret:
		return "Delete ExternalSecret " + t.where() + " while its token lives, in Git, too, if it is there. The Secret stays.", [][]string{
			{"kubectl", "patch", "externalsecret", t.Name, namespace, "--type=merge", `--patch={"spec":{"target":{"creationPolicy":"Orphan","deletionPolicy":"Retain"}}}`},
			{"kubectl", "delete", "externalsecret", t.Name, namespace, "--cascade=orphan"},
		}
	case t.Kind == "Secret":
		return "Stop " + t.Tool + " for the Secrets below, as its documentation says, and let it leave them: take its annotations and owner references off them.", nil
	}
	return "", nil
}

// leftovers are what deletes generators.
func leftovers(found []Found) [][]string {
	var commands [][]string
	for _, t := range found {
		switch t.Kind {
		case clusterGenerator:
			commands = append(commands, []string{"kubectl", "delete", "clustergenerator", t.Name})
		case generatesECR, generatesGoogle, generatesACR:
			commands = append(commands, []string{"kubectl", "delete", strings.ToLower(t.Kind), t.Name, "--namespace=" + t.Namespace})
		}
	}
	return commands
}

// where is its name with its namespace, if it has one.
func (t Found) where() string { return strings.TrimPrefix(t.Namespace+"/"+t.Name, "/") }

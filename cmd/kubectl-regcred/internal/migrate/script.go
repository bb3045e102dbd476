package migrate

import (
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
)

// writeSteps writes the steps as commands. The old tool is stopped before its Secrets are handed over, so that the two do not fight, and while
// its last token lives.
func writeSteps(w io.Writer, p *Plan, file string) {
	step := 0
	say := func(text string) {
		step++
		output.Comment(w, fmt.Sprintf("%d. %s", step, text))
	}
	fmt.Fprintln(w, "#!/bin/sh")
	say("What the credentials need in their clouds. Do it first: nothing has changed yet.")
	fmt.Fprintln(w, output.Command("kubectl", "regcred", "access", "-f", file))
	for what, commands := range stops(p) {
		say(what)
		for _, command := range commands {
			fmt.Fprintln(w, output.Command(command...))
		}
	}
	say("Hand the Secrets over. This is the owner's consent, and writes nothing into them.")
	for _, name := range p.Adopt {
		namespace, secret, _ := strings.Cut(name, "/")
		if slices.Contains(p.Incomplete, name) {
			output.Comment(w, name+" holds a login that no credential here brings: add its entry first, and then run")
			fmt.Fprint(w, "# ")
		}
		fmt.Fprintln(w, output.Command("kubectl", "annotate", "secret", secret, "--namespace="+namespace, v1alpha1.AnnotationAdopt+"=true", "--overwrite"))
	}
	say("Create the credentials. They rewrite the Secrets in place, so that no image is pulled again because of it.")
	fmt.Fprintln(w, output.Command("kubectl", "apply", "-f", file))
	say("Wait. If it does not come to an end, the way back is: delete the credentials, which gives the Secrets back, and let the old tool go on.")
	for _, o := range p.Credentials {
		ref := cluster.CredentialOf(o).Ref()
		args := []string{"kubectl", "regcred", "status", ref.String(), "--wait=ready"}
		if ref.Namespace != "" {
			args = append(args, "--namespace="+ref.Namespace)
		}
		fmt.Fprintln(w, output.Command(args...))
	}
	if commands := leftovers(p.Found); len(commands) > 0 {
		say("Once all are ready, delete the generators that nothing else uses.")
		for _, command := range commands {
			fmt.Fprintln(w, "# "+output.Command(command...))
		}
	}
}

// stops are what stops each tool, and why or when. What writes a Secret that no credential takes over goes on.
func stops(p *Plan) iter.Seq2[string, [][]string] {
	return func(yield func(string, [][]string) bool) {
		owners := map[string]bool{}
		for _, t := range p.Found {
			if t.Kind == externalSecret && !slices.Contains(p.Adopt, t.secret) {
				continue
			}
			owned := t.Owner != "" && !owners[t.Owner]
			owners[t.Owner] = true
			if owned && !yield("Delete ClusterExternalSecret "+t.Owner+". What it has made stays.", [][]string{{"kubectl", "delete", "clusterexternalsecret", t.Owner, "--cascade=orphan"}}) {
				return
			}
			if what, commands := t.stop(); what != "" && !yield(what, commands) {
				return
			}
		}
	}
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

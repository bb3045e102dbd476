// Package legacy knows what people use to keep pull Secrets fresh before they use Regcred.
package legacy

import (
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// pattern is how a tool shows in a container.
type pattern struct {
	tool  string
	words *regexp.Regexp
}

// commands are what CronJobs run to renew a pull Secret.
var commands = []pattern{
	{"aws ecr get-login-password", words("ecr(-public)?", "get-(login-password|authorization-token|login)")},
	{"gcloud auth print-access-token", words("auth", "(application-default"+options+`\s+)?print-access-token`)},
	{"az acr login", words("acr", "login")},
	{"kubectl create secret docker-registry", words("create", "secret", "docker-registry")},
}

// options may stand between the words of a command, each with its value or without one.
const options = `(\s+-\S+(\s+("[^"]*"|'[^']*'|[^-\s]\S*))?)*`

// words are those of a command, one after the other, each whole.
func words(all ...string) *regexp.Regexp {
	return regexp.MustCompile(`(^|[^\w-])(` + strings.Join(all, ")"+options+`\s+(`) + `)($|[^\w-])`)
}

// continued ends a line that goes on in the next.
var continued = strings.NewReplacer("\\\r\n", "", "\\\n", "")

// images are those of tools that do nothing else.
var images = []pattern{
	{"k8s-ecr-login-renew", regexp.MustCompile(`/k8s-ecr-login-renew[:@]?`)},
	{"registry-creds", regexp.MustCompile(`/registry-creds[:@]?`)},
	{"ecr-credentials-sync", regexp.MustCompile(`/ecr-credentials?-(sync|helper|renew)[a-z]*[:@]?`)},
	{"aws-ecr-credential", regexp.MustCompile(`/aws-ecr-credential[:@]?`)},
	{"msi-acrpull", regexp.MustCompile(`/msi-acrpull[:@]?`)},
}

// Tool is what the pod runs to renew pull Secrets; empty if it does not seem to.
func Tool(spec *corev1.PodSpec) string {
	for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
		if tool := match(images, c.Image+":"); tool != "" {
			return tool
		}
		text := continued.Replace(strings.Join(slices.Concat(c.Command, c.Args), " "))
		if tool := match(commands, text); tool != "" {
			return tool
		}
	}
	return ""
}

func match(patterns []pattern, text string) string {
	for _, p := range patterns {
		if p.words.MatchString(text) {
			return p.tool
		}
	}
	return ""
}

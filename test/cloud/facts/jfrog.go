package facts

// JFrogHosts are the hosts of Docker repositories of one platform, by the form of the URL. Source: JFrog, "Docker Repository URL Formats"
// (2026-11-25): on jfrog.io the sub-domain form joins instance and repository by a dash; <repository>.<host> needs a domain of one's own.
var JFrogHosts = map[string]struct{ URL, Repository, Host string }{
	"SaaS, repository path":       {"https://acme.jfrog.io", "docker-local", "acme.jfrog.io"},
	"SaaS, sub-domain":            {"https://acme.jfrog.io", "docker-local", "acme-docker-local.jfrog.io"},
	"own domain, repository path": {"https://artifactory.acme.example", "docker-local", "artifactory.acme.example"},
	"own domain, sub-domain":      {"https://artifactory.acme.example", "docker-local", "docker-local.artifactory.acme.example"},
	"own domain, port":            {"https://artifactory.acme.example", "docker-local", "artifactory.acme.example:5001"},
}

// JFrogAWSPath is where a role of AWS logs in, and JFrogAWSRequest the request to STS whose signature it shows there, in the headers of the
// login. Source: jfrog-registry-operator, internal/handler/token.go and aws.go (2026-04-28).
const (
	JFrogAWSPath    = "/access/api/v1/aws/token"
	JFrogAWSRequest = "https://sts.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15"
)

// JFrogWrongAudience is the answer to an exchange whose token has another audience than the integration's. It is the one refusal of an exchange that
// JFrog has shown in public. Source: jfrog/setup-jfrog-cli issue 270 (2025-04-28).
var JFrogWrongAudience = Error{
	Source: "jfrog/setup-jfrog-cli issue 270", Status: 400, ContentType: "application/json",
	Body: `{"errors":[{"code":"BAD_REQUEST","message":"Invalid audience"}]}`,
}

package access

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/check"
	"github.com/regcred/regcred/internal/partition"
)

// The forms of values. One of another form is in no question: the clouds' command lines read files that some values name.
var (
	roleForm       = regexp.MustCompile(`^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$`)
	awsForm        = regexp.MustCompile(`^[a-z0-9-]+$`)
	repositoryForm = regexp.MustCompile(`^[a-z0-9][a-z0-9._/-]*$`)
	projectForm    = regexp.MustCompile(`^[a-z0-9][a-z0-9.:-]*$`)
	clientForm     = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
)

// questions are what shows whether the identity may pull.
func (e *entry) questions() []question {
	switch {
	case e.ECR != nil:
		return e.ecrQuestions()
	case e.ECRPublic != nil:
		return []question{e.simulate(e.asking(e.ECRPublic.RoleARN), "*", "ecr-public:GetAuthorizationToken", "sts:GetServiceBearerToken")}
	case e.ArtifactRegistry != nil:
		return e.googleQuestions()
	case e.ACR != nil:
		return []question{e.azureQuestion()}
	default:
		return []question{{what: "the rights of the identity", unasked: "not asked: no command line of a cloud tells of them"}}
	}
}

// asking is the role that asks for tokens: the entry's, or that of the ServiceAccount.
func (e *entry) asking(own string) string { return orElse(own, e.toldRole()) }

func (e *entry) ecrQuestions() []question {
	role := e.asking(e.ECR.RoleARN)
	questions := []question{e.simulate(role, "*", "ecr:GetAuthorizationToken")}
	repository := "*"
	if e.Verify != nil && repositoryForm.MatchString(e.Verify.Repository) {
		repository = e.Verify.Repository
	}
	for _, account := range e.ECR.Accounts {
		if awsForm.MatchString(account) && awsForm.MatchString(e.ECR.Region) {
			resource := fmt.Sprintf("arn:%s:ecr:%s:%s:repository/%s", partition.OfRegion(e.ECR.Region).ID, e.ECR.Region, account, repository)
			questions = append(questions, e.simulate(role, resource, pulling...))
		}
	}
	return questions
}

// simulate asks IAM whether a role may do what it has to.
func (e *entry) simulate(role, resource string, actions ...string) question {
	q := question{what: strings.Join(actions, ", ") + " on " + resource}
	if !roleForm.MatchString(role) {
		q.unasked = "not asked: no role is known, neither by roleARN nor by the annotation eks.amazonaws.com/role-arn of a ServiceAccount"
		return q
	}
	q.args = slices.Concat([]string{"aws", "iam", "simulate-principal-policy", "--output=json", "--policy-source-arn=" + role, "--resource-arns=" + resource, "--action-names"}, actions)
	q.judge = func(out []byte) (check.State, string) {
		var answer struct {
			EvaluationResults []struct{ EvalActionName, EvalDecision string }
		}
		if json.Unmarshal(out, &answer) != nil || len(answer.EvaluationResults) == 0 {
			return check.Unknown, "the answer cannot be parsed"
		}
		for _, r := range answer.EvaluationResults {
			switch {
			case r.EvalDecision == "allowed":
			case strings.HasSuffix(resource, "/*"):
				return check.Unknown, r.EvalActionName + " is not allowed for every repository (" + r.EvalDecision + "): with verify.repository one is asked about"
			default:
				return check.Bad, r.EvalActionName + " is not allowed (" + r.EvalDecision + ")"
			}
		}
		return check.Good, "allowed"
	}
	return q
}

func (e *entry) googleQuestions() []question {
	var questions []question
	for _, r := range e.repositories() {
		q := question{what: "repository " + r.name + " in " + r.location}
		if !projectForm.MatchString(e.ArtifactRegistry.Project) || !awsForm.MatchString(r.location) || !repositoryForm.MatchString(r.name) {
			q.unasked = "not asked: project and repository are not known"
			questions = append(questions, q)
			continue
		}
		q.args = []string{"gcloud", "artifacts", "repositories", "get-iam-policy", r.name, "--project=" + e.ArtifactRegistry.Project, "--location=" + r.location, "--format=json", "--quiet"}
		q.judge = func(out []byte) (check.State, string) { return bound(out, e.reader()) }
		questions = append(questions, q)
	}
	return questions
}

// bound says whether a policy of Google's lets the member read.
func bound(policy []byte, member string) (check.State, string) {
	var answer struct {
		Bindings []struct {
			Role    string
			Members []string
		}
	}
	if json.Unmarshal(policy, &answer) != nil {
		return check.Unknown, "the answer cannot be parsed"
	}
	for _, b := range answer.Bindings {
		if strings.HasPrefix(b.Role, "roles/artifactregistry.") && slices.Contains(b.Members, member) {
			return check.Good, member + " has " + b.Role
		}
	}
	return check.Unknown, "its own policy does not name " + member + ": it may be inherited of the project"
}

// azureQuestion asks for the roles of a client.
func (e *entry) azureQuestion() question {
	q := question{what: "the roles of client " + orElse(e.ACR.ClientID, unknownClient)}
	if !clientForm.MatchString(e.ACR.ClientID) {
		q.unasked = "not asked: clientID is not known"
		return q
	}
	registry, _, _ := strings.Cut(string(e.ACR.Registry), ".")
	q.args = []string{"az", "role", "assignment", "list", "--all", "--assignee=" + e.ACR.ClientID, "--output=json", "--only-show-errors"}
	q.judge = func(out []byte) (check.State, string) { return assigned(out, registry) }
	return q
}

// pullers are the roles of Azure that let pull.
var pullers = []string{"AcrPull", "AcrPush", "Container Registry Repository Reader"}

func assigned(assignments []byte, registry string) (check.State, string) {
	var answer []struct{ RoleDefinitionName, Scope string }
	if json.Unmarshal(assignments, &answer) != nil {
		return check.Unknown, "the answer cannot be parsed"
	}
	wider := ""
	for _, a := range answer {
		_, name, own := strings.Cut(strings.ToLower(a.Scope), "/registries/")
		switch {
		case !slices.Contains(pullers, a.RoleDefinitionName):
		case own && name == strings.ToLower(registry):
			return check.Good, a.RoleDefinitionName + " of the registry"
		case !own:
			wider = a.RoleDefinitionName + " of " + a.Scope + ": look whether the registry is in it"
		}
	}
	if wider != "" {
		return check.Unknown, wider
	}
	return check.Bad, "none of " + strings.Join(pullers, ", ") + " in this subscription"
}

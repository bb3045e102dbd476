package cloud

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// ActionGetPublicAuthorizationToken is the one action of the ECR Public API that is emulated.
const ActionGetPublicAuthorizationToken = "ecr-public:GetAuthorizationToken"

const (
	ecrPublicTarget = "SpencerFrontendService."
	// ecrPublicRegion is the only region with an API for tokens.
	ecrPublicRegion = "us-east-1"
)

// The API's real hosts: the usual and the dual-stack one.
var ecrPublicAPIHosts = map[string]bool{"api.ecr-public.us-east-1.amazonaws.com": true, "ecr-public.us-east-1.api.aws": true}

// ECRPublicPermissions are what IAM demands for a token of ECR Public, which is issued through STS.
type ECRPublicPermissions struct {
	// MayGetToken grants ecr-public:GetAuthorizationToken.
	MayGetToken bool
	// MayGetServiceBearerToken grants sts:GetServiceBearerToken.
	MayGetServiceBearerToken bool
}

// ECRPublicURL is for AWS_ENDPOINT_URL_ECR_PUBLIC.
func (a *AWS) ECRPublicURL() string { return a.ecrPublicServer.url() }

// SetECRPublicPermissions replaces what the user or role of this ARN may do in ECR Public, and leaves the rest as it is.
func (a *AWS) SetECRPublicPermissions(arn string, p ECRPublicPermissions) error {
	return a.iam.setECRPublicPermissions(arn, p)
}

// ECRPublicTokens lists the tokens ever issued for the public registry, oldest first.
func (a *AWS) ECRPublicTokens() []Token { return a.publicTokens.all() }

func (a *AWS) startECRPublic() (err error) {
	if a.ecrPublicServer, err = startServer(a.ecrPublicService(), a.internet.ca); err != nil {
		return fmt.Errorf("starting ECR Public: %w", err)
	}
	registry := a.publicRegistry.service(a.PublicRegistry, a.calls, a.clock)
	if a.publicRegistryServer, err = startServer(registry, a.internet.ca); err != nil {
		return fmt.Errorf("starting the public registry: %w", err)
	}
	a.internet.Route(func(host string) (string, bool) {
		if ecrPublicAPIHosts[host] {
			return a.ecrPublicServer.address(), true
		}
		return a.publicRegistryServer.address(), isECRPublicHost(host)
	})
	return nil
}

func (a *AWS) ecrPublicService() *service {
	return &service{
		faults:    a.ECRPublic,
		calls:     a.calls,
		clock:     a.clock,
		throttled: failure{status: http.StatusBadRequest, code: "ThrottlingException", message: "Rate exceeded"},
		down: failure{
			status: http.StatusInternalServerError, code: "ServerException",
			message: "The server encountered an internal error. Please retry the request.",
		},
		action: func(r *request) string {
			if r.Header.Get("X-Amz-Target") == ecrPublicTarget+"GetAuthorizationToken" {
				return ActionGetPublicAuthorizationToken
			}
			return "ecr-public:Unknown"
		},
		answer: a.getPublicAuthorizationToken,
		refuse: refuseJSON,
	}
}

// publicAuthorizationData is an object where that of ECR is a list, and names no registry: there is one.
type publicAuthorizationData struct {
	AuthorizationToken string  `json:"authorizationToken"`
	ExpiresAt          float64 `json:"expiresAt"`
}

func (a *AWS) getPublicAuthorizationToken(r *request) (http.HandlerFunc, *failure) {
	if r.Header.Get("X-Amz-Target") != ecrPublicTarget+"GetAuthorizationToken" {
		return nil, &failure{status: http.StatusBadRequest, code: "UnknownOperationException"}
	}
	if !json.Valid(r.body) {
		return nil, &failure{status: http.StatusBadRequest, code: "SerializationException"}
	}
	who, region, failed := a.authenticate(r, "ecr-public", ecrAuthErrors)
	if failed != nil {
		return nil, failed
	}
	if region != ecrPublicRegion {
		return nil, ecrAuthErrors.failure(ecrAuthErrors.invalid, "Credential should be scoped to a valid region.")
	}
	may := a.iam.ecrPublicPermissions(who.identity)
	if !may.MayGetToken {
		return nil, deniedECRPublic(who, ActionGetPublicAuthorizationToken, "*")
	}
	if !may.MayGetServiceBearerToken {
		return nil, deniedECRPublic(who, "sts:GetServiceBearerToken", "arn:aws:sts::"+who.account+":*")
	}
	password, token := a.publicTokens.mint(who, region, a.clock.now(), time.Duration(a.tokenLife.Load()))
	output := map[string]publicAuthorizationData{"authorizationData": {
		AuthorizationToken: base64.StdEncoding.EncodeToString([]byte(ecrUsername + ":" + password)),
		ExpiresAt:          float64(token.ExpiresAt.UnixMilli()) / 1000,
	}}
	return func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, output) }, nil
}

func deniedECRPublic(who caller, action, resource string) *failure {
	return &failure{
		status: http.StatusBadRequest, code: "AccessDeniedException",
		message: fmt.Sprintf("User: %s is not authorized to perform: %s on resource: %s "+
			"because no identity-based policy allows the %s action", who.arn, action, resource, action),
	}
}

func (i *iam) ecrPublicPermissions(identity string) ECRPublicPermissions {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.permissions[identity].public
}

func (i *iam) setECRPublicPermissions(identity string, public ECRPublicPermissions) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	p, ok := i.permissions[identity]
	if !ok {
		return fmt.Errorf("no user or role %q", identity)
	}
	p.public = public
	i.permissions[identity] = p
	return nil
}

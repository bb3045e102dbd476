package cloud

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// ActionGetAuthorizationToken is the one action of the ECR API that is emulated.
const ActionGetAuthorizationToken = "ecr:GetAuthorizationToken"

const (
	ecrTarget        = "AmazonEC2ContainerRegistry_V20150921."
	ecrUsername      = "AWS"
	ecrPasswordBytes = 1450 // about 2 kB of base64; no source says how long real ones are
)

var ecrAuthErrors = authErrors{
	status:     http.StatusBadRequest,
	missing:    "MissingAuthenticationTokenException",
	incomplete: "IncompleteSignatureException",
	unknown:    "UnrecognizedClientException",
	invalid:    "InvalidSignatureException",
	expired:    "ExpiredTokenException",
}

func (a *AWS) ecrService() *service {
	return &service{
		faults:    a.ECR,
		calls:     a.calls,
		log:       &a.log,
		clock:     a.clock,
		throttled: failure{status: http.StatusBadRequest, code: "ThrottlingException", message: "Rate exceeded"},
		down: failure{
			status: http.StatusInternalServerError, code: "ServerException",
			message: "The server encountered an internal error. Please retry the request.",
		},
		action: func(r *request) string {
			return "ecr:" + strings.TrimPrefix(r.Header.Get("X-Amz-Target"), ecrTarget)
		},
		answer: a.getAuthorizationToken,
		refuse: refuseJSON,
	}
}

type getAuthorizationTokenOutput struct {
	AuthorizationData []authorizationData `json:"authorizationData"`
}

type authorizationData struct {
	AuthorizationToken string  `json:"authorizationToken"`
	ExpiresAt          float64 `json:"expiresAt"`
	ProxyEndpoint      string  `json:"proxyEndpoint"`
}

func (a *AWS) getAuthorizationToken(r *request) (http.HandlerFunc, *failure) {
	if r.Header.Get("X-Amz-Target") != ecrTarget+"GetAuthorizationToken" {
		return nil, &failure{status: http.StatusBadRequest, code: "UnknownOperationException"}
	}
	var input struct {
		RegistryIDs []string `json:"registryIds"`
	}
	if err := json.Unmarshal(r.body, &input); err != nil {
		return nil, &failure{status: http.StatusBadRequest, code: "SerializationException"}
	}
	who, region, failed := a.authenticate(r, "ecr", ecrAuthErrors)
	if failed != nil {
		return nil, failed
	}
	if !a.iam.mayGetToken(who.identity) {
		return nil, &failure{
			status: http.StatusBadRequest, code: "AccessDeniedException",
			message: fmt.Sprintf("User: %s is not authorized to perform: ecr:GetAuthorizationToken on resource: * "+
				"because no identity-based policy allows the ecr:GetAuthorizationToken action", who.arn),
		}
	}
	registries := input.RegistryIDs
	if len(registries) == 0 {
		registries = []string{who.account}
	}
	password, token := a.tokens.mint(who, region, a.clock.now(), a.iam.tokenLife(who.identity, time.Duration(a.tokenLife.Load())))
	output := getAuthorizationTokenOutput{}
	for _, account := range registries {
		output.AuthorizationData = append(output.AuthorizationData, authorizationData{
			AuthorizationToken: base64.StdEncoding.EncodeToString([]byte(ecrUsername + ":" + password)),
			ExpiresAt:          float64(token.ExpiresAt.UnixMilli()) / 1000,
			ProxyEndpoint:      "https://" + ECRHost(account, region),
		})
	}
	return func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, output) }, nil
}

// refuseJSON answers as AWS JSON 1.1 does: the code is in the body and in a header, and in the body it is a qualified shape name.
func refuseJSON(w http.ResponseWriter, _ *request, f *failure) {
	w.Header().Set("X-Amzn-ErrorType", f.code)
	writeJSON(w, f.status, map[string]string{"__type": "com.amazon.coral.service#" + f.code, "message": f.message})
}

// Each answer has a request ID of its own, as AWS's have: it ends up in the SDK's error messages, and so no two of these are alike.
func writeJSON(w http.ResponseWriter, status int, body any) {
	encoded, err := json.Marshal(body)
	if err != nil {
		panic(err) // the answers are this package's own types
	}
	w.Header().Set("X-Amzn-RequestId", newRequestID())
	writeWhole(w, status, "application/x-amz-json-1.1", encoded)
}

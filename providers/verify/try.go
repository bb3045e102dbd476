package verify

import (
	"context"
	"net/http"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/internal/registryhost"
)

// Try implements Tryer. What tells a bad login from one that may not pull is the protocol's own way of logging in: the words and even
// the status of a refusal differ between registries. ECR, for one, answers 403 and DENIED to an expired token.
func (v *Verifier) Try(ctx context.Context, req providers.Request, login providers.Login, pull providers.Pull) (providers.Verdict, error) {
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	host, err := registryhost.Parse(pull.Host)
	if err != nil {
		return providers.Verdict{}, providers.Errorf(v1alpha1.ReasonInvalidRequest, "the image's registry cannot be asked")
	}
	repository, err := name.NewRepository(host.String()+"/"+pull.Repository, name.WeakValidation)
	if err != nil {
		return providers.Verdict{}, providers.Errorf(v1alpha1.ReasonInvalidRequest, "the image is no repository of %s", host)
	}
	err = v.pull(ctx, login, repository, pull.Reference)
	switch {
	case err == nil:
		return providers.Verdict{Result: providers.PullAllowed}, nil
	case !isRefusal(err):
		return providers.Verdict{}, providers.Errorf(v1alpha1.ReasonUnavailable, "%s could not be asked whether the token may pull", host)
	}
	provider, _ := req.Registry.Provider()
	verdict := providers.Verdict{Result: providers.PullDenied, Answer: answerOf(err), Cure: allow[provider]}
	err = v.ping(ctx, login, repository.Registry)
	switch {
	case isRefusal(err):
		verdict.Result = providers.LoginRefused
	case err != nil:
		return providers.Verdict{}, providers.Errorf(v1alpha1.ReasonUnavailable, "%s could not be asked whether the token is good", host)
	}
	return verdict, nil
}

// ping logs in for nothing in particular.
func (v *Verifier) ping(ctx context.Context, login providers.Login, registry name.Registry) error {
	authorized, err := v.logIn(ctx, login, registry)
	if err != nil {
		return err
	}
	return manifest(ctx, authorized, http.MethodGet, "https://"+registry.RegistryStr()+"/v2/")
}

package ecrpublic

import (
	"fmt"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/internal/awsauth"
)

// explain names both permissions when one is missing: AWS checks the second, of another service, behind the first.
func explain(role awsauth.Role, id providers.Identity, err error) *providers.Error {
	e := awsauth.Explain(awsauth.Call{Action: action, As: awsauth.Principal(role, id)}, err)
	if e.Reason == v1alpha1.ReasonAccessDenied {
		e.Err = fmt.Errorf("%w; it needs %s and sts:GetServiceBearerToken", e.Err, action)
	}
	return e
}

package awsauth

import (
	"context"
	"crypto/sha256"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go/aws-http-auth/credentials"
	"github.com/aws/smithy-go/aws-http-auth/sigv4a"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

// CallerIdentity is a request to STS that says who has signed it. Whoever gets the signature sends the request, and so learns the role.
const CallerIdentity = "https://sts.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15"

// SignCallerIdentity signs that request for all regions as the identity, and returns the headers that prove it: for a few minutes they
// are worth a login as the role wherever such a proof counts, so they go to nobody but whom they are meant for.
func (c *Configuration) SignCallerIdentity(ctx context.Context, at Endpoints, role Role, id providers.Identity, now time.Time) (http.Header, error) {
	cfg, err := c.Load(ctx)
	if err != nil {
		return nil, err
	}
	if at.region(cfg.Region) == "" {
		return nil, providers.Errorf(v1alpha1.ReasonInvalidRequest, "no AWS region is known: set artifactory.aws.region, or AWS_REGION on the controller")
	}
	if err := Assume(ctx, &cfg, at, role, id); err != nil {
		return nil, err
	}
	return signCallerIdentity(ctx, cfg.Credentials, now)
}

func signCallerIdentity(ctx context.Context, provider aws.CredentialsProvider, now time.Time) (http.Header, error) {
	creds, err := provider.Retrieve(ctx)
	if err != nil {
		return nil, explainAmbient(err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, CallerIdentity, http.NoBody)
	if err != nil {
		return nil, unsignable()
	}
	empty := sha256.Sum256(nil)
	err = sigv4a.New().SignRequest(&sigv4a.SignRequestInput{
		Request: req, PayloadHash: empty[:], Service: "sts", RegionSet: []string{"*"}, Time: now.UTC(),
		Credentials: credentials.Credentials{AccessKeyID: creds.AccessKeyID, SecretAccessKey: creds.SecretAccessKey, SessionToken: creds.SessionToken},
	})
	if err != nil {
		return nil, unsignable()
	}
	req.Header.Del("Host")
	return req.Header, nil
}

func unsignable() *providers.Error {
	return providers.Errorf(v1alpha1.ReasonInternal, "a request to AWS STS cannot be signed; please report this as a bug")
}

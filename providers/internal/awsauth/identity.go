package awsauth

import (
	"cmp"
	"context"
	"regexp"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/internal/audience"
	"github.com/regcred/regcred/providers/internal/secretdata"
)

// The annotations of a ServiceAccount are those of IAM roles for service accounts
// (https://github.com/aws/amazon-eks-pod-identity-webhook); the role for image pulls alone is that of the kubelet's ECR
// credential provider (https://github.com/kubernetes/cloud-provider-aws).
const (
	annotationPullRole = "eks.amazonaws.com/ecr-role-arn"
	annotationRole     = "eks.amazonaws.com/role-arn"
	annotationAudience = "eks.amazonaws.com/audience"
	defaultAudience    = "sts.amazonaws.com"
)

// Annotations are the keys of a ServiceAccount's annotations that decide on who calls.
func Annotations() []string { return []string{annotationPullRole, annotationRole, annotationAudience} }

// Audiences are those of AWS STS.
func Audiences() []string { return audience.Of[audience.AWS] }

// The keys of a Secret are the names of the SDK's environment variables.
const (
	keyAccessKeyID     = "AWS_ACCESS_KEY_ID"
	keySecretAccessKey = "AWS_SECRET_ACCESS_KEY"
	keySessionToken    = "AWS_SESSION_TOKEN"
)

// session is the shortest that STS grants; one call is made with it, and the registry's token outlives it.
const session = 15 * time.Minute

// Role is a role that an identity assumes before it calls. The zero value is none.
type Role struct{ ARN, ExternalID string }

// Assume replaces the ambient credentials of cfg by those of the identity, and then by those of the role on top of it.
func Assume(ctx context.Context, cfg *aws.Config, at Endpoints, role Role, id providers.Identity) error {
	var err error
	switch {
	case id.ServiceAccount != nil:
		cfg.Credentials, err = webIdentity(ctx, *cfg, at, id.ServiceAccount)
	case id.Secret != nil:
		cfg.Credentials, err = static(ctx, id.Secret)
	default:
		err = ambient(ctx, *cfg)
	}
	if err != nil || role.ARN == "" {
		return err
	}
	input := &sts.AssumeRoleInput{
		RoleArn:         aws.String(role.ARN),
		RoleSessionName: aws.String(sessionName(id)),
		DurationSeconds: aws.Int32(int32(session.Seconds())),
	}
	if role.ExternalID != "" {
		input.ExternalId = aws.String(role.ExternalID)
	}
	out, err := at.sts(*cfg).AssumeRole(ctx, input)
	if err != nil {
		return Explain(Call{Action: "sts:AssumeRole of " + role.ARN, As: principal(id)}, err)
	}
	cfg.Credentials, err = assumed(out.Credentials)
	return err
}

func ambient(ctx context.Context, cfg aws.Config) error {
	if cfg.Credentials == nil {
		return noAmbientIdentity()
	}
	if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
		return explainAmbient(err)
	}
	return nil
}

func webIdentity(ctx context.Context, cfg aws.Config, at Endpoints, sa *providers.ServiceAccount) (aws.CredentialsProvider, error) {
	role := sa.Annotations[annotationPullRole]
	if role == "" {
		role = sa.Annotations[annotationRole]
	}
	if role == "" {
		return nil, providers.Errorf(v1alpha1.ReasonIdentityInvalid,
			"%s has no role: annotate it with %s=<role ARN>", sa, annotationRole)
	}
	wanted := cmp.Or(sa.Annotations[annotationAudience], defaultAudience)
	if owner := audience.OwnerOf(wanted); owner != "" && owner != audience.AWS {
		return nil, providers.Errorf(v1alpha1.ReasonIdentityInvalid, "the annotation %s of %s is an audience of %s, and such a token is not for AWS: "+
			"remove the annotation, or name the audience of the cluster's OIDC provider in IAM", annotationAudience, sa, owner)
	}
	token, err := sa.RequestToken(ctx, wanted, 10*time.Minute)
	if err != nil {
		return nil, err
	}
	cfg.Credentials = aws.AnonymousCredentials{}
	out, err := at.sts(cfg).AssumeRoleWithWebIdentity(ctx, &sts.AssumeRoleWithWebIdentityInput{
		RoleArn:          aws.String(role),
		RoleSessionName:  aws.String(sessionName(providers.Identity{ServiceAccount: sa})),
		WebIdentityToken: aws.String(token),
		DurationSeconds:  aws.Int32(int32(session.Seconds())),
	})
	if err != nil {
		return nil, explainWebIdentity(role, wanted, sa, err)
	}
	return assumed(out.Credentials)
}

func static(ctx context.Context, secret *providers.Secret) (aws.CredentialsProvider, error) {
	data, err := secret.Data(ctx)
	if err != nil {
		return nil, err
	}
	values := map[string]string{}
	for _, key := range []string{keyAccessKeyID, keySecretAccessKey, keySessionToken} {
		if values[key], err = secretdata.Line(secret, data, key); err != nil {
			return nil, err
		}
		if values[key] == "" && key != keySessionToken {
			return nil, providers.Errorf(v1alpha1.ReasonIdentityInvalid, "%s lacks the key %s: add it", secret, key)
		}
	}
	return credentials.NewStaticCredentialsProvider(values[keyAccessKeyID], values[keySecretAccessKey], values[keySessionToken]), nil
}

func assumed(c *types.Credentials) (aws.CredentialsProvider, error) {
	if c == nil || aws.ToString(c.AccessKeyId) == "" || aws.ToString(c.SecretAccessKey) == "" {
		return nil, providers.Errorf(v1alpha1.ReasonInvalidResponse, "STS answered without credentials")
	}
	return credentials.NewStaticCredentialsProvider(
		aws.ToString(c.AccessKeyId), aws.ToString(c.SecretAccessKey), aws.ToString(c.SessionToken)), nil
}

// Principal names who calls as the role, or as the identity itself.
func Principal(role Role, id providers.Identity) string {
	if role.ARN != "" {
		return "role " + role.ARN
	}
	return principal(id)
}

func principal(id providers.Identity) string {
	switch {
	case id.ServiceAccount != nil:
		return "the role of " + id.ServiceAccount.String()
	case id.Secret != nil:
		return "the access key in " + id.Secret.String()
	default:
		return "the controller's own identity"
	}
}

var notInSessionName = regexp.MustCompile(`[^\w+=,.@-]`)

// sessionName is what CloudTrail shows; STS allows 2 to 64 characters.
func sessionName(id providers.Identity) string {
	name := "regcred"
	if sa := id.ServiceAccount; sa != nil {
		name += "-" + sa.Namespace + "-" + sa.Name
	}
	name = notInSessionName.ReplaceAllString(name, "-")
	return name[:min(len(name), 64)]
}

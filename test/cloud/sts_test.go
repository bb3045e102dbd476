package cloud

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/golang-jwt/jwt/v5"

	"github.com/regcred/regcred/test/cloud/facts"
)

const (
	issuer   = "https://oidc.example/cluster"
	subject  = "system:serviceaccount:team:puller"
	audience = facts.STSAudience
	roleARN  = "arn:aws:iam::210987654321:role/pull"
)

func pullRole() Role {
	return Role{
		ARN:         roleARN,
		WebIdentity: &WebIdentity{Issuer: issuer, Subject: subject, Audience: audience},
		MayGetToken: true,
		Pull:        []string{"210987654321/team/*"},
	}
}

func addRole(t *testing.T, a *AWS, role Role) {
	t.Helper()
	if err := a.AddRole(role); err != nil {
		t.Fatal(err)
	}
}

func identityToken(t *testing.T, issuer, subject, audience string, life time.Duration) string {
	t.Helper()
	token, err := WebIdentityToken(issuer, subject, audience, time.Now().Add(life))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

type staticToken string

func (s staticToken) GetIdentityToken() ([]byte, error) { return []byte(s), nil }

// asWebIdentity is a config with the credentials of a session, which the SDK fetches without any of its own.
func asWebIdentity(t *testing.T, cfg aws.Config) aws.Config {
	t.Helper()
	token := staticToken(identityToken(t, issuer, subject, audience, time.Hour))
	client := sts.NewFromConfig(cfg, func(o *sts.Options) { o.Credentials = aws.AnonymousCredentials{} })
	out := cfg.Copy()
	out.Credentials = stscreds.NewWebIdentityRoleProvider(client, roleARN, token,
		func(o *stscreds.WebIdentityRoleOptions) { o.RoleSessionName = "regcred" })
	return out
}

func TestAssumeRoleWithWebIdentity(t *testing.T) {
	a := startAWS(t, Options{})
	addRole(t, a, pullRole())
	cfg := asWebIdentity(t, sdkConfig(t, a, 1))

	token := mustGetToken(t, cfg)
	if want := "https://210987654321.dkr.ecr.eu-west-1.amazonaws.com"; token.proxyEndpoint != want {
		t.Errorf("proxy endpoint %q, want the role's account: %q", token.proxyEndpoint, want)
	}
	want := "arn:aws:sts::210987654321:assumed-role/pull/regcred"
	if got := a.Tokens()[0].Principal; got != want {
		t.Errorf("principal %q, want %q", got, want)
	}
	identity, err := sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil {
		t.Fatal(err)
	}
	if aws.ToString(identity.Arn) != want || aws.ToString(identity.Account) != "210987654321" {
		t.Errorf("caller identity %s of %s, want %s", aws.ToString(identity.Arn), aws.ToString(identity.Account), want)
	}
	wantCount(t, "AssumeRoleWithWebIdentity", a.Calls().Succeeded(ActionAssumeRoleWithWebIdentity), 2)
	wantCount(t, "GetCallerIdentity", a.Calls().Succeeded(ActionGetCallerIdentity), 1)
}

func TestAssumeRoleWithWebIdentityErrors(t *testing.T) {
	a := startAWS(t, Options{})
	addRole(t, a, pullRole())
	addRole(t, a, Role{ARN: roleARN + "-no-federation"})
	client := sts.NewFromConfig(sdkConfig(t, a, 1))
	good := identityToken(t, issuer, subject, audience, time.Hour)

	unlimited, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"iss": issuer, "sub": subject, "aud": audience}).
		SignedString([]byte("key"))
	if err != nil {
		t.Fatal(err)
	}
	otherIssuer := identityToken(t, "https://other.example", subject, audience, time.Hour)
	otherSubject := identityToken(t, issuer, "system:serviceaccount:other:puller", audience, time.Hour)
	otherAudience := identityToken(t, issuer, subject, "https://kubernetes.default.svc", time.Hour)
	expired := identityToken(t, issuer, subject, audience, -time.Second)

	for name, test := range map[string]struct {
		role, session, token string
		seconds              *int32
		code, message        string
	}{
		"audience":      {token: otherAudience, code: "InvalidIdentityToken", message: "Incorrect token audience"},
		"issuer":        {token: otherIssuer, code: "InvalidIdentityToken", message: "provider found in your account for https://other.example"},
		"subject":       {token: otherSubject, code: "AccessDenied", message: "Not authorized to perform sts:AssumeRoleWithWebIdentity"},
		"expired":       {token: expired, code: "ExpiredTokenException", message: "Token expired"},
		"no expiry":     {token: unlimited, code: "InvalidIdentityToken", message: "exp"},
		"no JWT":        {token: "plain", code: "InvalidIdentityToken", message: "not a valid JWT"},
		"no such role":  {role: roleARN + "s", code: "AccessDenied", message: "Not authorized to perform"},
		"no federation": {role: roleARN + "-no-federation", code: "AccessDenied", message: "Not authorized to perform"},
		"session name":  {session: "team/puller", code: "ValidationError", message: "roleSessionName"},
		"too short":     {seconds: aws.Int32(899), code: "ValidationError", message: "durationSeconds"},
		"too long":      {seconds: aws.Int32(43201), code: "ValidationError", message: "durationSeconds"},
		"shortest":      {seconds: aws.Int32(900)},
		"longest":       {seconds: aws.Int32(43200)},
	} {
		t.Run(name, func(t *testing.T) {
			a.ResetCalls()
			_, err := client.AssumeRoleWithWebIdentity(t.Context(), &sts.AssumeRoleWithWebIdentityInput{
				RoleArn:          aws.String(defaultTo(test.role, roleARN)),
				RoleSessionName:  aws.String(defaultTo(test.session, "regcred")),
				WebIdentityToken: aws.String(defaultTo(test.token, good)),
				DurationSeconds:  test.seconds,
			})
			if test.code == "" && err != nil {
				t.Fatal(err)
			}
			if test.code != "" {
				wantError(t, err, test.code, test.message)
			}
			wantCount(t, "calls with this code", a.Calls().WithCode(ActionAssumeRoleWithWebIdentity, test.code), 1)
		})
	}
}

func defaultTo(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}

func TestAssumeRole(t *testing.T) {
	a := startAWS(t, Options{})
	stranger := User{Account: "999999999999", Name: "stranger", AccessKeyID: "AKIASTRANGER", SecretAccessKey: "secret"}
	a.AddUser(stranger)
	role := func(name, externalID string, trusted ...string) string {
		arn := "arn:aws:iam::210987654321:role/" + name
		addRole(t, a, Role{ARN: arn, TrustedPrincipals: trusted, ExternalID: externalID, MayGetToken: true})
		return arn
	}
	byUser := role("by-user", "", a.Ambient().ARN())
	byAccount := role("by-account", "", "arn:aws:iam::"+DefaultAccount+":root")
	external := role("external", "tenant-1", DefaultAccount)
	cfg := sdkConfig(t, a, 1)

	for name, test := range map[string]struct {
		cfg              aws.Config
		role, externalID string
		want             string
	}{
		"trusted user":            {cfg, byUser, "", ""},
		"trusted account":         {cfg, byAccount, "", ""},
		"external ID":             {cfg, external, "tenant-1", ""},
		"wrong external ID":       {cfg, external, "tenant-2", "AccessDenied"},
		"missing external ID":     {cfg, external, "", "AccessDenied"},
		"stranger":                {withKey(cfg, stranger), byUser, "", "AccessDenied"},
		"stranger to the account": {withKey(cfg, stranger), byAccount, "", "AccessDenied"},
		"no such role":            {cfg, byUser + "s", "", "AccessDenied"},
	} {
		t.Run(name, func(t *testing.T) {
			provider := stscreds.NewAssumeRoleProvider(sts.NewFromConfig(test.cfg), test.role, func(o *stscreds.AssumeRoleOptions) {
				if test.externalID != "" {
					o.ExternalID = aws.String(test.externalID)
				}
			})
			assumed := cfg.Copy()
			assumed.Credentials = provider
			_, err := getToken(t.Context(), assumed)
			if test.want == "" && err != nil {
				t.Fatal(err)
			}
			if test.want != "" {
				wantError(t, err, test.want, "is not authorized to perform: sts:AssumeRole on resource: "+test.role)
			}
		})
	}
}

func TestRoleChainingIsLimitedToAnHour(t *testing.T) {
	a := startAWS(t, Options{})
	addRole(t, a, pullRole())
	next := "arn:aws:iam::210987654321:role/next"
	addRole(t, a, Role{ARN: next, TrustedPrincipals: []string{roleARN}})
	client := sts.NewFromConfig(asWebIdentity(t, sdkConfig(t, a, 1)))

	for seconds, want := range map[int32]string{3600: "", 3601: "ValidationError"} {
		_, err := client.AssumeRole(t.Context(), &sts.AssumeRoleInput{
			RoleArn: aws.String(next), RoleSessionName: aws.String("chained"), DurationSeconds: aws.Int32(seconds),
		})
		if got := errorCode(err); got != want || want == "" && err != nil {
			t.Errorf("%d seconds: %q, want %q", seconds, got, want)
		}
	}
}

func TestAddRoleRefusesWhatIsNoRole(t *testing.T) {
	a := startAWS(t, Options{})
	for _, arn := range []string{"pull", "arn:aws:iam::210987654321:user/pull"} {
		if err := a.AddRole(Role{ARN: arn}); err == nil {
			t.Errorf("%s was taken for a role", arn)
		}
	}
}

package v1alpha1_test

import (
	"slices"
	"strings"
)

const (
	artifactoryIdentityMessage = "artifactory needs an identity: serviceAccountRef for an exchange by OpenID Connect, or secretRef for an administrator's token; either for aws"
	integrationMessage         = "artifactory.providerName names the OpenID Connect integration for identity.serviceAccountRef: set both or neither"
	mappedMessage              = "username, scope and tokenLifetime are for identity.secretRef: with providerName the identity mapping in JFrog decides them"
	unmappedMessage            = "identityMappingName and audience need providerName"
	foreignAudienceMessage     = "audience must not be that of another cloud or of Kubernetes: who answers at url could use the token there"
	awsRoleMessage             = "username, scope and projectKey are not for aws: the role's mapping in JFrog decides them"
	urlMessage                 = "url must be https:// and the platform's host, with a port if needed and without path, such as https://acme.jfrog.io"
	providerNameMessage        = "providerName must be the name of an OpenID Connect integration: letters, digits, '.', '_' and '-'"
	mappingNameMessage         = "identityMappingName must be the name of an identity mapping: letters, digits, '.', '_' and '-'"
	audienceMessage            = "audience must be printable characters without blanks"
	projectKeyMessage          = "projectKey must be the key of a JFrog project: 2 to 32 lower case letters, digits and '-', starting with a letter"
	usernameMessage            = "username must be a user of Artifactory: letters, digits, '@', '.', '_', '+' and '-'"
	scopeMessage               = "scope must be applied-permissions/user, or applied-permissions/groups: and names of groups, such as applied-permissions/groups:readers"
	jfrogLifetimeMessage       = "tokenLifetime must be from 10m to 24h, such as 6h"

	jfrogAWSEntry = "spec.registries[14]"
	jfrogAWS      = jfrogAWSEntry + ".artifactory"

	jfrogEntry      = "spec.registries[6]"
	jfrog           = jfrogEntry + ".artifactory"
	jfrogAdminEntry = "spec.registries[7]"
	jfrogAdmin      = jfrogAdminEntry + ".artifactory"
)

func goodArtifactory() []goodCase {
	cases := []goodCase{
		{jfrogAdmin, "{url: https://acme.jfrog.io}"},
		{jfrog, "{url: https://acme.jfrog.io, providerName: a}"},
		{jfrog + ".hosts", "[" + numbered(64, "acme-docker%d.jfrog.io") + "]"},
		{jfrogAWS + ".aws", "{}"},
		{jfrogAWSEntry + ".identity", "{secretRef: {name: a}}"},
		{jfrog + ".hosts", `["acme.jfrog.io:5001"]`},
		{jfrog + ".providerName", "My_cluster-1.a"},
		{jfrog + ".providerName", chars(255)},
		{jfrog + ".identityMappingName", "My_mapping-1.a"},
		{jfrog + ".identityMappingName", chars(255)},
		{jfrog + ".audience", "https://acme.jfrog.io/?a=b#c"},
		{jfrog + ".audience", chars(255)},
		{jfrog + ".projectKey", "a1"},
		{jfrog + ".projectKey", chars(32)},
		{jfrogAdmin + ".projectKey", "apps-1"},
		{jfrogAdmin + ".username", "first.last+pull@acme.example"},
		{jfrogAdmin + ".username", chars(255)},
		{jfrogAdmin + ".scope", "applied-permissions/user"},
		{jfrogAdmin + ".scope", `'applied-permissions/groups:"my readers","others"'`},
		{jfrogAdmin + ".scope", "applied-permissions/groups:" + chars(1024-len("applied-permissions/groups:"))},
	}
	for url := range strings.FieldsSeq("https://artifactory https://10.0.0.1 https://10.0.0.1:8443 https://artifactory.acme.example:65535 https://" + longHost()) {
		cases = append(cases, goodCase{jfrogAdmin + ".url", url})
	}
	for lifetime := range strings.FieldsSeq("10m 600s 3h 24h 23h59m60s 1440m 86400s") {
		cases = append(cases, goodCase{jfrogAdmin + ".tokenLifetime", lifetime})
	}
	return cases
}

func badArtifactory() []badCase {
	return slices.Concat(badJFrogIdentities(), badJFrogPlaces(), badJFrogTokens())
}

func badJFrogIdentities() []badCase {
	return []badCase{
		{"JFrog without identity", jfrogEntry + ".identity", "", jfrogEntry, artifactoryIdentityMessage},
		{"JFrog's administrator without identity", jfrogAdminEntry + ".identity", "", jfrogAdminEntry, artifactoryIdentityMessage},
		{"an integration and a Secret", jfrogEntry + ".identity", "{secretRef: {name: a}}", jfrogEntry, integrationMessage},
		{"no integration and a ServiceAccount", jfrogAdminEntry + ".identity", "{serviceAccountRef: {name: a}}", jfrogAdminEntry, integrationMessage},
		{"an integration and a username", jfrog + ".username", "a", jfrog, mappedMessage},
		{"an integration and a scope", jfrog + ".scope", "applied-permissions/user", jfrog, mappedMessage},
		{"an integration and a lifetime", jfrog + ".tokenLifetime", "6h", jfrog, mappedMessage},
		{"AWS without identity", jfrogAWSEntry + ".identity", "", jfrogAWSEntry, artifactoryIdentityMessage},
		{"AWS and an integration", jfrogAWS, "{url: https://acme.jfrog.io, providerName: a, aws: {}}", jfrogAWS, "at most one of the fields in [providerName aws] may be set"},
		{"AWS and a username", jfrogAWS + ".username", "a", jfrogAWS, awsRoleMessage},
		{"AWS and a scope", jfrogAWS + ".scope", "applied-permissions/user", jfrogAWS, awsRoleMessage},
		{"AWS and a project", jfrogAWS + ".projectKey", "apps", jfrogAWS, awsRoleMessage},
		{"an external ID without role for JFrog", jfrogAWS + ".aws", "{externalID: regcred}", jfrogAWS + ".aws", loneIDMessage},
		{"a mapping without integration", jfrogAdmin + ".identityMappingName", "a", jfrogAdmin, unmappedMessage},
		{"an audience without integration", jfrogAdmin + ".audience", "a", jfrogAdmin, unmappedMessage},
	}
}

// badJFrogPlaces are URLs and hosts.
func badJFrogPlaces() []badCase {
	const url, hosts = jfrog + ".url", jfrog + ".hosts"
	return slices.Concat(
		badList(hosts, 64, "acme-docker%d.jfrog.io"),
		badHosts(hosts+"[0]"),
		[]badCase{{"no url", url, "", url, "Required value"}, tooLong(url, 261)},
		refused(url, urlMessage, "", "https://", "acme.jfrog.io", "http://acme.jfrog.io", "HTTPS://acme.jfrog.io", "https://acme.jfrog.io/",
			"https://acme.jfrog.io/artifactory", "https://acme.jfrog.io?a", "https://acme.jfrog.io#a", "https://user@acme.jfrog.io",
			"https://user:password@acme.jfrog.io", "https://Acme.jfrog.io", "https://acme.jfrog.io.", "https://acme.jfrog.io:0",
			"https://acme.jfrog.io:65536", "https://acme.jfrog.io:https", "https://[::1]", "https://127.1", "https://0x7f000001",
			"https://2130706433:443", "https://256.1.1.1", " https://acme.jfrog.io", "https://acme.jfrog.io\n"),
	)
}

func badJFrogTokens() []badCase {
	return slices.Concat(
		[]badCase{
			tooLong(jfrog+".providerName", 255),
			tooLong(jfrog+".identityMappingName", 255),
			tooLong(jfrog+".audience", 255),
			tooLong(jfrog+".projectKey", 32),
			tooLong(jfrogAWS+".aws.region", 32),
			tooLong(jfrogAWS+".aws.roleARN", 2048),
			tooLong(jfrogAWS+".aws.externalID", 1224),
			tooLong(jfrogAdmin+".username", 255),
			tooLong(jfrogAdmin+".scope", 1024),
			tooLong(jfrogAdmin+".tokenLifetime", 16),
		},
		refused(jfrog+".providerName", providerNameMessage, "", "my cluster", "-a", "a/b", `a"b`),
		refused(jfrog+".identityMappingName", mappingNameMessage, "", "my mapping", "-a", "a/b", `a"b`),
		refused(jfrog+".audience", audienceMessage, "", "a b", "a\nb", "ä"),
		refused(jfrog+".audience", foreignAudienceMessage, "sts.amazonaws.com", "sts.amazonaws.com.cn", "pods.eks.amazonaws.com", "api://AzureADTokenExchange",
			"api://AzureADTokenExchangeUSGov", "api://AKSIdentityBinding", "//iam.googleapis.com/projects/1/x", "https://iam.googleapis.com/projects/1/x",
			"my-project.svc.id.goog", "https://containerregistry.azure.net/.default", "https://kubernetes.default.svc", "kubernetes", "api"),
		refused(jfrogAWS+".aws.region", regionMessage, "", "mars-1"),
		refused(jfrogAWS+".aws.roleARN", roleMessage, "", "pull"),
		refused(jfrogAWS+".aws.externalID", externalIDMessage, "", "a"),
		refused(jfrog+".projectKey", projectKeyMessage, "", "a", "1a", "Apps", "my_apps", "my apps"),
		refused(jfrogAdmin+".username", usernameMessage, "", "-a", "a b", "a/b", "a:b", "a*"),
		refused(jfrogAdmin+".scope", scopeMessage, "", "user", "applied-permissions/admin", "applied-permissions/groups:",
			"applied-permissions/groups:readers\napplied-permissions/admin", "applied-permissions/user applied-permissions/admin", "member-of-groups:readers"),
		refused(jfrogAdmin+".tokenLifetime", jfrogLifetimeMessage, badLifetimes("9m59s", "24h1s")...),
	)
}

package access

// artifactory is an identity mapping of an OpenID Connect integration.
func (e *entry) artifactory() {
	if e.Artifactory.ProviderName == "" {
		e.step("The token in the Secret needs the right to create tokens for "+orElse(e.Artifactory.Username, "its own user")+" in JFrog.", "", "")
		return
	}
	audience := orElse(e.Artifactory.Audience, e.Artifactory.URL)
	mapping := document(map[string]any{
		"name": orElse(e.Artifactory.IdentityMappingName, e.id()), "priority": 1,
		"claims":     map[string]string{"iss": e.options.Issuer, "sub": e.subject(), "aud": audience},
		"token_spec": map[string]any{"scope": "applied-permissions/groups:READERS", "audience": "jfrt@*", "expires_in": 21600},
	})
	e.step("An identity mapping lets the ServiceAccount in, as a group that may read.",
		sh("curl", "--fail", "--json", mapping, "--header", "Authorization: Bearer JFROG-ADMIN-TOKEN", e.Artifactory.URL+"/access/api/v1/oidc/"+e.Artifactory.ProviderName+"/identity_mappings"), "")
	e.step("The controller asks for tokens with the audience "+audience+": allow it among policies.tokenAudiences of the chart.", "", "")
}

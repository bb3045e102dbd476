package v1alpha1_test

import (
	"slices"
	"strings"
)

const (
	repositoryMessage = "repository must be a repository without host and tag, such as team/app"

	verify = hubEntry + ".verify"
)

func goodVerify() []goodCase {
	cases := []goodCase{{entry + ".verify", "{repository: team/app}"}}
	for repository := range strings.FieldsSeq("a1 00 team/app team-a/my.app a_b/c__d/e---f my-project/apps/app " + chars(255)) {
		cases = append(cases, goodCase{verify + ".repository", `"` + repository + `"`})
	}
	return slices.Concat(cases, goodHosts(verify+".host"))
}

func badVerify() []badCase {
	const repository = verify + ".repository"
	return slices.Concat(
		badHosts(verify+".host"),
		[]badCase{{"verify without repository", repository, "", repository, "Required value"}, tooLong(repository, 255)},
		refused(repository, "should be at least 2 chars long", "a"),
		refused(repository, repositoryMessage, "//", "/app", "app/", "team//app", "Team/app", "app:latest", "app@sha256:"+chars(64), "a..b", "a___b",
			"docker.io:443/library/nginx", "../app", "app?scope=push", "app,other", "app:pull,push", "app other", "app%2f"),
	)
}

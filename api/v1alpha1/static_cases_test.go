package v1alpha1_test

import "slices"

const (
	staticIdentityMessage = "static needs identity.secretRef: the Secret that holds the credentials"
	staticHostsMessage    = "at most one of the fields in [host hosts] may be set"

	hubEntry    = "spec.registries[8]"
	hub         = hubEntry + ".static"
	othersEntry = "spec.registries[9]"
	others      = othersEntry + ".static"
)

func goodStatic() []goodCase {
	return slices.Concat(
		goodHosts(hub+".host"),
		[]goodCase{{hub, "{}"}, {others + ".hosts", "[" + numbered(64, "registry%d.example") + "]"}},
	)
}

func badStatic() []badCase {
	return slices.Concat(
		badList(others+".hosts", 64, "registry%d.example"),
		badHosts(hub+".host"),
		badHosts(others+".hosts[0]"),
		[]badCase{
			{"a host and hosts", hub + ".hosts", "[registry.example]", hub, staticHostsMessage},
			{"static without identity", hubEntry + ".identity", "", hubEntry, staticIdentityMessage},
			{"static and a ServiceAccount", hubEntry + ".identity", "{serviceAccountRef: {name: a}}", hubEntry, staticIdentityMessage},
		},
	)
}

package v1alpha1_test

import "strings"

const conditionFormat = `{type: T%d, status: "True", reason: R, message: "", lastTransitionTime: "2026-01-02T03:04:05Z"}`

const notTime = `must be of type date-time: "tomorrow"`

func badStatuses() []badCase {
	const entry, failure = "status.registries[0]", "status.failures[0]"
	const registries, failures, hosts = "status.registries", "status.failures", "status.registries[0].hosts"
	const handled = "status.lastHandledRefreshAt"
	cases := []badCase{
		{"a time", "status.expiresAt", "tomorrow", "status.expiresAt", notTime},
		{"another time", "status.refreshAt", "tomorrow", "status.refreshAt", notTime},
		{"17 registries", registries, "[" + numbered(17, "{name: a%d}") + "]", registries, "Too many: 17: must have at most 16 items"},
		{"a registry twice", registries, "[{name: a}, {name: a}]", registries + "[1]", `Duplicate value: {"name":"a"}`},
		{"a registry without name", entry + ".name", "", entry + ".name", "Required value"},
		{"65 hosts", hosts, "[" + numbered(65, "a%d") + "]", hosts, "Too many: 65: must have at most 64 items"},
		{"a registry's time", entry + ".expiresAt", "tomorrow", entry + ".expiresAt", notTime},
		{"a registry's other time", entry + ".refreshAt", "tomorrow", entry + ".refreshAt", notTime},
		{"a verification that failed", entry + ".verified", `"False"`, entry + ".verified", `supported values: "True", "Unknown"`},
		{"a registry's message too long", entry + ".message", chars(1025), entry + ".message", "Too long: may not be more than 1024 bytes"},
		{"no selected", "status.namespaces.selected", "", "status.namespaces.selected", "Required value"},
		{"no current", "status.namespaces.current", "", "status.namespaces.current", "Required value"},
		{"no conflicting", "status.namespaces.conflicting", "", "status.namespaces.conflicting", "Required value"},
		{"a refresh request too long", handled, chars(65), handled, "Too long: may not be more than 64 bytes"},
		{"11 failures", failures, "[" + numbered(11, "{reason: R%d, count: 1, message: M, namespaces: [a]}") + "]", failures, "Too many: 11: must have at most 10 items"},
		{"a failure's message too long", failure + ".message", chars(1025), failure + ".message", "Too long: may not be more than 1024 bytes"},
		{"a failure of no namespace", failure + ".namespaces", "[]", failure + ".namespaces", "should have at least 1 items"},
		{"a failure of 6 namespaces", failure + ".namespaces", "[a, b, c, d, e, f]", failure + ".namespaces", "Too many: 6: must have at most 5 items"},
	}
	for name := range strings.FieldsSeq("reason count message namespaces") {
		cases = append(cases, badCase{"a failure without " + name, failure + "." + name, "", failure + "." + name, "Required value"})
	}
	return append(cases, badConditions()...)
}

func badConditions() []badCase {
	const list, entry = "status.conditions", "status.conditions[0]"
	const typePattern = `should match '^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$'`
	const reasonPattern = `should match '^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$'`
	one := numbered(1, conditionFormat)
	cases := []badCase{
		{"9 conditions", list, "[" + numbered(9, conditionFormat) + "]", list, "Too many: 9: must have at most 8 items"},
		{"a condition twice", list, "[" + one + ", " + one + "]", list + "[1]", `Duplicate value: {"type":"T0"}`},
		{"a condition's type", entry + ".type", "Not ready", entry + ".type", typePattern},
		{"a condition's type too long", entry + ".type", chars(317), entry + ".type", "Too long: may not be more than 316 bytes"},
		{"a condition's status", entry + ".status", "Perhaps", entry + ".status", `supported values: "True", "False", "Unknown"`},
		{"a condition's reason", entry + ".reason", "No reason", entry + ".reason", reasonPattern},
		{"a condition's empty reason", entry + ".reason", `""`, entry + ".reason", "should be at least 1 chars long"},
		{"a condition's reason too long", entry + ".reason", chars(1025), entry + ".reason", "Too long: may not be more than 1024 bytes"},
		{"a condition's message too long", entry + ".message", chars(32769), entry + ".message", "Too long: may not be more than 32768 bytes"},
		{"a condition's generation", entry + ".observedGeneration", "-1", entry + ".observedGeneration", "should be greater than or equal to 0"},
		{"a condition's time", entry + ".lastTransitionTime", "tomorrow", entry + ".lastTransitionTime", notTime},
	}
	for name := range strings.FieldsSeq("type status reason message lastTransitionTime") {
		cases = append(cases, badCase{"a condition without " + name, entry + "." + name, "", entry + "." + name, "Required value"})
	}
	return cases
}

package v1alpha1_test

import (
	"fmt"
	"slices"
)

const (
	secretNameMessage       = "secretName must be the name of a Secret: lower case letters, digits, '-' and '.', starting and ending with a letter or digit"
	secretNameChangeMessage = "secretName cannot be changed, since running pods name the Secret: create a second credential, and delete this one when no pod needs its Secret"
	ownSecretMessage        = "identity.secretRef and override.secretRef may not name the credential's own Secret: it cannot be its own source"
	templateLabelMessage    = "each key of labels must be a label key, such as app or example.com/app"
	templateNoteMessage     = "each key of annotations must be an annotation key, such as note or example.com/note"
	ownLabelMessage         = "labels of regcred.dev and link.regcred.dev are Regcred's own"
	ownNoteMessage          = "annotations of regcred.dev and link.regcred.dev are Regcred's own"

	secretName     = "spec.secretName"
	templateLabels = "spec.secretTemplate.labels"
	templateNotes  = "spec.secretTemplate.annotations"
)

func goodSecrets() []goodCase {
	return []goodCase{
		{secretName, ""},
		{secretName, "a"},
		{secretName, `"0"`},
		{secretName, "my.pull-secret"},
		{secretName, chars(63)},
		{"spec.secretTemplate", ""},
		{"spec.secretTemplate", "{}"},
		{"spec.secretTemplate", "{labels: {}, annotations: {}}"},
		{templateLabels, "{" + numbered(16, "a%d: b") + "}"},
		{templateLabels, `{a: "", example.com/regcred.dev: ` + chars(63) + "}"},
		{templateLabels, "{regcred.development/a: b, " + chars(253) + "/" + chars(63) + ": b}"},
		{templateNotes, "{" + numbered(16, "a%d: b") + "}"},
		{templateNotes, `{a: "", b: "any text: {}", c: ` + chars(1024) + "}"},
		{"spec.deletionPolicy", ""},
		{"spec.deletionPolicy", "Delete"},
		{"spec.deletionPolicy", "Retain"},
		{"spec.suspend", ""},
		{"spec.suspend", "true"},
	}
}

func badSecrets() []badCase {
	return slices.Concat(
		[]badCase{
			tooLong(secretName, 63),
			{"another deletion policy", "spec.deletionPolicy", "Orphan", "spec.deletionPolicy", `supported values: "Delete", "Retain"`},
			{"suspend as a text", "spec.suspend", `"true"`, "spec.suspend", `must be of type boolean: "string"`},
			{"a label's value too long", templateLabels, "{cost: " + chars(64) + "}", templateLabels + ".cost", "Too long: may not be more than 63 bytes"},
			{"a label's value with a space", templateLabels, "{cost: a b}", templateLabels + "[cost]", labelValueMessage},
			{"an annotation's value too long", templateNotes, "{note: " + chars(1025) + "}", templateNotes + ".note", "Too long: may not be more than 1024 bytes"},
			{"an annotation's value that is a boolean", templateNotes, "{note: true}", templateNotes + ".note", `must be of type string: "boolean"`},
		},
		refused(secretName, secretNameMessage, "", "Registry-pull", "registry_pull", "-a", "a-", "a..b", "team/pull"),
		badTemplate(templateLabels, templateLabelMessage, ownLabelMessage),
		badTemplate(templateNotes, templateNoteMessage, ownNoteMessage),
	)
}

func badTemplate(field, keyMessage, ownMessage string) []badCase {
	cases := []badCase{{"17 keys in " + field, field, "{" + numbered(17, "a%d: b") + "}", field, "Too many: 17: must have at most 16 items"}}
	for _, key := range []string{"", "a b", "a/b/c", "Example.com/a", chars(64), "a/"} {
		cases = append(cases, badCase{fmt.Sprintf("%s: key %q", field, key), field, fmt.Sprintf("{%q: b}", key), field, keyMessage})
	}
	for _, key := range []string{"regcred.dev/secret", "regcred.dev/adopt", "link.regcred.dev/a"} {
		cases = append(cases, badCase{field + ": " + key, field, fmt.Sprintf("{%q: b}", key), field, ownMessage})
	}
	return cases
}

// badOwnSecrets name the credential's Secret as its own source. They are refused of the namespaced kind alone: the schema does not know
// which namespace the cluster-scoped kind reads.
func badOwnSecrets() []badCase {
	const field = "spec.registries"
	return []badCase{
		{"its own Secret as identity", entry + ".identity", "{secretRef: {name: registry-pull}}", field, ownSecretMessage},
		{"its own Secret as override", hubEntry + ".override.secretRef.name", "registry-pull", field, ownSecretMessage},
		{"a Secret called like an identity", secretName, "hub", field, ownSecretMessage},
		{"a Secret called like an override", secretName, "break-glass", field, ownSecretMessage},
		{"its own Secret by the credential's name", "spec", "{registries: [{name: a, static: {}, identity: {secretRef: {name: good}}}]}", field, ownSecretMessage},
	}
}

// secretNameUpdates are changes of secretName, in which OWN is the credential's name and nothing is an absent field.
func secretNameUpdates() []struct {
	name, before, after string
	refused             bool
} {
	return []struct {
		name, before, after string
		refused             bool
	}{
		{"kept", "a", "a", false},
		{"written out", "", "OWN", false},
		{"left out", "OWN", "", false},
		{"changed", "a", "b", true},
		{"set", "", "a", true},
		{"dropped", "a", "", true},
	}
}

func goodRenewals() []goodCase {
	return []goodCase{
		{entry + ".renewBeforePercentage", "10"},
		{entry + ".renewBeforePercentage", "90"},
		{hubEntry + ".renewBeforePercentage", ""},
		{hubEntry + ".override", ""},
		{entry + ".override", `{secretRef: {name: a.b-c}, until: "2026-12-01T18:00:00+01:00"}`},
	}
}

func badRenewals() []badCase {
	const renew, override = entry + ".renewBeforePercentage", hubEntry + ".override"
	const name, until = override + ".secretRef.name", override + ".until"
	return slices.Concat(
		[]badCase{
			{"renewed too late", renew, "9", renew, "should be greater than or equal to 10"},
			{"renewed too early", renew, "91", renew, "should be less than or equal to 90"},
			{"renewed never", renew, "0", renew, "should be greater than or equal to 10"},
			{"renewed by a text", renew, `"50%"`, renew, `must be of type integer: "string"`},
			{"an override without Secret", override + ".secretRef", "", override + ".secretRef", "Required value"},
			{"an override without the Secret's name", override + ".secretRef", "{}", name, "Required value"},
			{"an override without end", until, "", until, "Required value"},
			{"an override until a day", until, "tomorrow", until, notTime},
			tooLong(name, 253),
		},
		refused(name, referenceMessage, "", "Keys", "other/keys", "keys."),
	)
}

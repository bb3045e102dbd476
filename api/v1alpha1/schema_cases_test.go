package v1alpha1_test

import (
	"fmt"
	"slices"
	"strings"
)

// A goodCase is a value that the API server must admit in place of the one in a kind's good object.
type goodCase struct {
	path  string
	value string // YAML; empty removes what is at the path
}

// A badCase is a value that the API server must refuse with one complaint: about this field, in these words.
type badCase struct {
	name    string
	path    string
	value   string // YAML; empty removes what is at the path
	field   string
	message string // without the words of the API server before it, which repeat the value and the field
}

const (
	objectNameMessage  = "metadata.name must be at most 63 characters: it also stands in annotations, and names the Secret unless secretName does"
	entryNameMessage   = "name must be lower case letters, digits and '-', starting and ending with a letter or digit"
	providerMessage    = "exactly one of the fields in [ecr ecrPublic artifactRegistry acr artifactory static plugin] must be set"
	identityMessage    = "exactly one of the fields in [serviceAccountRef secretRef] must be set"
	referenceMessage   = "name must be the name of an object: lower case letters, digits, '-' and '.', starting and ending with a letter or digit"
	accountsOfMessage  = "exactly one of the fields in [names selector] must be set"
	accountNameMessage = "a name must be the name of a ServiceAccount: lower case letters, digits, '-' and '.', starting and ending with a letter or digit"
	labelKeysMessage   = "each key of matchLabels must be a label key, such as app or example.com/app"
	labelKeyMessage    = "key must be a label key, such as app or example.com/app"
	labelValueMessage  = "a label value must be empty or letters, digits, '-', '_' and '.', starting and ending with a letter or digit"
	valuesMessage      = "the operators In and NotIn need values, Exists and DoesNotExist must have none"

	entry = "spec.registries[0]"
	ecr   = entry + ".ecr"
	names = "spec.serviceAccounts.names"
)

func goodSpecs() []goodCase {
	cases := []goodCase{
		{"metadata.name", chars(63)},
		{"spec.registries", entries(1)},
		{"spec.registries", entries(16)},
		{entry + ".name", chars(63)},
		{entry + ".name", `"0"`},
		{entry + ".identity", ""},
		{entry + ".identity", "{serviceAccountRef: {name: " + chars(253) + "}}"},
		{entry + ".identity", "{secretRef: {name: my.keys-1}}"},
		{"spec.serviceAccounts", ""},
		{"spec.serviceAccounts", "{names: [default], recoverPods: Evict}"},
		{"spec.serviceAccounts", "{selector: {}, recoverPods: Evict}"},
		{names, "[" + numbered(64, "a%d") + "]"},
		{names, "[a.b-0, " + chars(253) + "]"},
	}
	return slices.Concat(cases, goodECR(), goodECRPublic(), goodArtifactRegistry(), goodACR(), goodArtifactory(), goodStatic(), goodPlugin(),
		goodVerify(), goodSecrets(), goodRenewals(), largestEntries())
}

func badSpecs() []badCase {
	return slices.Concat(badObjects(), badProviders(), badIdentities(), badServiceAccounts(), badECR(), badECRPublic(), badArtifactRegistry(),
		badACR(), badArtifactory(), badStatic(), badPlugin(), badVerify(), badSecrets(), badRenewals())
}

func badObjects() []badCase {
	return []badCase{
		{"an object's name too long", "metadata.name", chars(64), "metadata", objectNameMessage},
		{"no spec", "spec", "", "spec", "Required value"},
		{"no registries", "spec.registries", "", "spec.registries", "Required value"},
		{"0 registries", "spec.registries", "[]", "spec.registries", "should have at least 1 items"},
		{"17 registries", "spec.registries", entries(17), "spec.registries", "Too many: 17: must have at most 16 items"},
		{"two of one name", "spec.registries[1].name", "prod", "spec.registries[1]", `Duplicate value: {"name":"prod"}`},
		{"no name", entry + ".name", "", entry + ".name", "Required value"},
		{"a name too long", entry + ".name", chars(64), entry + ".name", "Too long: may not be more than 63 bytes"},
		{"an empty name", entry + ".name", `""`, entry + ".name", entryNameMessage},
		{"a name in upper case", entry + ".name", "Prod", entry + ".name", entryNameMessage},
		{"a name with a dot", entry + ".name", "prod.eu", entry + ".name", entryNameMessage},
		{"a name that ends with a dash", entry + ".name", "prod-", entry + ".name", entryNameMessage},
	}
}

// badProviders have none of them, or two.
func badProviders() []badCase {
	return []badCase{
		{"no provider", ecr, "", entry, providerMessage},
		{"a second provider: ecrPublic", entry + ".ecrPublic", "{}", entry, providerMessage},
		{"a second provider: artifactRegistry", entry + ".artifactRegistry", "{hosts: [gcr.io]}", entry, providerMessage},
		{"a second provider: acr", entry + ".acr", "{registry: myregistry.azurecr.io}", entry, providerMessage},
		{"a second provider: artifactory", jfrogAdminEntry + ".ecr", "{}", jfrogAdminEntry, providerMessage},
		{"a second provider: static", hubEntry + ".ecr", "{}", hubEntry, providerMessage},
		{"a second provider: plugin", entry + ".plugin", "{name: a, image: a}", entry, providerMessage},
	}
}

func badIdentities() []badCase {
	const field = entry + ".identity"
	const account, secret = field + ".serviceAccountRef.name", field + ".secretRef.name"
	return []badCase{
		{"an empty identity", field, "{}", field, identityMessage},
		{"two identities", field, "{serviceAccountRef: {name: a}, secretRef: {name: a}}", field, identityMessage},
		{"a ServiceAccount without name", field, "{serviceAccountRef: {}}", account, "Required value"},
		{"a ServiceAccount of an empty name", field, `{serviceAccountRef: {name: ""}}`, account, referenceMessage},
		{"a ServiceAccount in upper case", field, "{serviceAccountRef: {name: Puller}}", account, referenceMessage},
		{"a ServiceAccount of another namespace", field, "{serviceAccountRef: {name: other/puller}}", account, referenceMessage},
		{"a ServiceAccount's name too long", field, "{serviceAccountRef: {name: " + chars(254) + "}}", account, "Too long: may not be more than 253 bytes"},
		{"a Secret without name", field, "{secretRef: {}}", secret, "Required value"},
		{"a Secret in upper case", field, "{secretRef: {name: Keys}}", secret, referenceMessage},
		{"a Secret's name with a trailing dot", field, "{secretRef: {name: keys.}}", secret, referenceMessage},
		{"a Secret's name too long", field, "{secretRef: {name: " + chars(254) + "}}", secret, "Too long: may not be more than 253 bytes"},
	}
}

func badServiceAccounts() []badCase {
	const field = "spec.serviceAccounts"
	return []badCase{
		{"neither names nor selector", field, "{}", field, accountsOfMessage},
		{"names and selector", field, "{names: [default], selector: {}}", field, accountsOfMessage},
		{"0 names", names, "[]", names, "should have at least 1 items"},
		{"65 names", names, "[" + numbered(65, "a%d") + "]", names, "Too many: 65: must have at most 64 items"},
		{"a name twice", names, "[default, default]", names + "[1]", `Duplicate value: "default"`},
		{"an empty name", names, `[""]`, names + "[0]", accountNameMessage},
		{"a name in upper case", names, "[default, Builder]", names + "[1]", accountNameMessage},
		{"a wildcard", names, `["*"]`, names + "[0]", accountNameMessage},
		{"a name too long", names, "[" + chars(254) + "]", names + "[0]", "Too long: may not be more than 253 bytes"},
		{"another way to recover pods", field, "{selector: {}, recoverPods: Delete}", field + ".recoverPods", `supported values: "Evict"`},
		{"recoverPods alone", field, "{recoverPods: Evict}", field, accountsOfMessage},
	}
}

func chars(n int) string { return strings.Repeat("a", n) }

func entries(n int) string { return "[" + numbered(n, "{name: a%d, ecr: {}}") + "]" }

// numbered is n items of a YAML list, of which each has its number formatted into it.
func numbered(n int, format string) string {
	items := make([]string, n)
	for i := range items {
		items[i] = fmt.Sprintf(format, i)
	}
	return strings.Join(items, ", ")
}

// letters are n items of a YAML list, each of two letters.
func letters(n int) string {
	items := make([]string, n)
	for i := range items {
		items[i] = string(rune('a'+i/26)) + string(rune('a'+i%26))
	}
	return strings.Join(items, ", ")
}

// refused are bad cases of texts in a field, or, if that ends with [0], in the list.
func refused(field, message string, texts ...string) []badCase {
	path, list := strings.CutSuffix(field, "[0]")
	cases := make([]badCase, len(texts))
	for i, text := range texts {
		value := fmt.Sprintf("%q", text)
		if list {
			value = "[" + value + "]"
		}
		cases[i] = badCase{field + "=" + text, path, value, field, message}
	}
	return cases
}

// tooLong is a bad case of a text in a field, or, if that ends with [0], in the list.
func tooLong(field string, most int) badCase {
	c := refused(field, fmt.Sprintf("Too long: may not be more than %d bytes", most), chars(most+1))[0]
	c.name = field + " too long"
	return c
}

// badList are the bad cases of a set of 1 to so many different items, of which each has its number formatted into it.
func badList(path string, most int, format string) []badCase {
	item := fmt.Sprintf(format, 1)
	return []badCase{
		{path + " without items", path, "[]", path, "should have at least 1 items"},
		{path + " with too many items", path, "[" + numbered(most+1, format) + "]", path,
			fmt.Sprintf("Too many: %d: must have at most %d items", most+1, most)},
		{path + " with an item twice", path, "[" + item + ", " + item + "]", path + "[1]", fmt.Sprintf("Duplicate value: %q", item)},
	}
}

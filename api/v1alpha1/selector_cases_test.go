package v1alpha1_test

import "slices"

func goodSelectors() []string {
	return []string{
		"{}",
		"{matchLabels: {}, matchExpressions: []}",
		`{matchLabels: {app: "", team: a, example.com/App_1: A.b-c_0}}`,
		"{matchLabels: {" + numbered(16, "a%d: b") + "}}",
		"{matchLabels: {a: " + chars(63) + "}}",
		"{matchExpressions: [" + numbered(16, "{key: a%d, operator: Exists}") + "]}",
		"{matchExpressions: [{key: a, operator: NotIn, values: [b]}, {key: a, operator: DoesNotExist, values: []}]}",
		"{matchExpressions: [{key: " + chars(253) + "/" + chars(63) + `, operator: In, values: [""]}]}`,
		"{matchExpressions: [" + "{key: a, operator: In, values: [" + numbered(64, "b%d") + "]}]}",
	}
}

// badSelectors are whole selectors, with the fields below the selector.
func badSelectors() []badCase {
	return slices.Concat(badMatchLabels(), badMatchExpressions())
}

func badMatchLabels() []badCase {
	const field, app = ".matchLabels", ".matchLabels[app]"
	return []badCase{
		{"17 labels", "", "{matchLabels: {" + numbered(17, "a%d: b") + "}}", field, "Too many: 17: must have at most 16 items"},
		{"a label key with a space", "", "{matchLabels: {my app: b}}", field, labelKeysMessage},
		{"an empty label key", "", `{matchLabels: {"": b}}`, field, labelKeysMessage},
		{"a label key with two slashes", "", "{matchLabels: {a/b/c: d}}", field, labelKeysMessage},
		{"a label key too long", "", "{matchLabels: {" + chars(64) + ": b}}", field, labelKeysMessage},
		{"a label value with a space", "", "{matchLabels: {app: my app}}", app, labelValueMessage},
		{"a label value that ends with a dash", "", "{matchLabels: {app: a-}}", app, labelValueMessage},
		{"a label value too long", "", "{matchLabels: {app: " + chars(64) + "}}", ".matchLabels.app", "Too long: may not be more than 63 bytes"},
		{"a label value that is a boolean", "", "{matchLabels: {app: true}}", ".matchLabels.app", `must be of type string: "boolean"`},
	}
}

func badMatchExpressions() []badCase {
	const list, first, key, operator = ".matchExpressions", ".matchExpressions[0]", ".matchExpressions[0].key", ".matchExpressions[0].operator"
	const values, value = first + ".values", first + ".values[0]"
	of := func(expression string) string { return "{matchExpressions: [" + expression + "]}" }
	return []badCase{
		{"17 expressions", "", of(numbered(17, "{key: a%d, operator: Exists}")), list, "Too many: 17: must have at most 16 items"},
		{"no key", "", of("{operator: Exists}"), key, "Required value"},
		{"an empty key", "", of(`{key: "", operator: Exists}`), key, labelKeyMessage},
		{"a key with a space", "", of("{key: my app, operator: Exists}"), key, labelKeyMessage},
		{"a key with an upper case prefix", "", of("{key: Example.com/app, operator: Exists}"), key, labelKeyMessage},
		{"a key with a long name", "", of("{key: a/" + chars(64) + ", operator: Exists}"), key, labelKeyMessage},
		{"a key too long", "", of("{key: " + chars(318) + ", operator: Exists}"), key, "Too long: may not be more than 317 bytes"},
		{"no operator", "", of("{key: a}"), operator, "Required value"},
		{"an unknown operator", "", of("{key: a, operator: Equals, values: [b]}"), operator, `supported values: "In", "NotIn", "Exists", "DoesNotExist"`},
		{"an operator in lower case", "", of("{key: a, operator: in, values: [b]}"), operator, `supported values: "In", "NotIn", "Exists", "DoesNotExist"`},
		{"In without values", "", of("{key: a, operator: In}"), first, valuesMessage},
		{"In with 0 values", "", of("{key: a, operator: In, values: []}"), first, valuesMessage},
		{"NotIn without values", "", of("{key: a, operator: NotIn}"), first, valuesMessage},
		{"Exists with values", "", of("{key: a, operator: Exists, values: [b]}"), first, valuesMessage},
		{"DoesNotExist with values", "", of("{key: a, operator: DoesNotExist, values: [b]}"), first, valuesMessage},
		{"65 values", "", of("{key: a, operator: In, values: [" + numbered(65, "b%d") + "]}"), values, "Too many: 65: must have at most 64 items"},
		{"a value twice", "", of("{key: a, operator: In, values: [b, b]}"), first + ".values[1]", `Duplicate value: "b"`},
		{"a value with a space", "", of("{key: a, operator: In, values: [b c]}"), value, labelValueMessage},
		{"a value too long", "", of("{key: a, operator: In, values: [" + chars(64) + "]}"), value, "Too long: may not be more than 63 bytes"},
	}
}

// goodSelectorSpecs puts every good selector in both its places.
func goodSelectorSpecs() []goodCase {
	var cases []goodCase
	for _, selector := range goodSelectors() {
		cases = append(cases,
			goodCase{"spec.namespaceSelector", selector},
			goodCase{"spec.serviceAccounts", "{selector: " + selector + "}"})
	}
	return cases
}

// badSelectorSpecs puts every bad selector in both its places.
func badSelectorSpecs() []badCase {
	const namespaces, accounts = "spec.namespaceSelector", "spec.serviceAccounts"
	cases := []badCase{{"no namespaceSelector", namespaces, "", namespaces, "Required value"}}
	for _, c := range badSelectors() {
		cases = append(cases,
			badCase{"namespaces: " + c.name, namespaces, c.value, namespaces + c.field, c.message},
			badCase{"serviceAccounts: " + c.name, accounts, "{selector: " + c.value + "}", accounts + ".selector" + c.field, c.message})
	}
	return cases
}

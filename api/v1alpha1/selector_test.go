package v1alpha1_test

import (
	"testing"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/regcred/regcred/api/v1alpha1"
)

func TestSelectorMatches(t *testing.T) {
	for _, c := range []struct {
		selector string
		matches  []labels.Set
		misses   []labels.Set
	}{
		{"{}", []labels.Set{nil, {"app": "a"}}, nil},
		{"{matchLabels: {}, matchExpressions: []}", []labels.Set{nil, {"app": "a"}}, nil},
		{"{matchLabels: {app: a}}", []labels.Set{{"app": "a"}, {"app": "a", "tier": "b"}}, []labels.Set{nil, {"app": "b"}, {"tier": "a"}}},
		{`{matchLabels: {app: ""}}`, []labels.Set{{"app": ""}}, []labels.Set{nil, {"app": "a"}}},
		{"{matchLabels: {app: a, tier: b}}", []labels.Set{{"app": "a", "tier": "b"}}, []labels.Set{{"app": "a"}, {"tier": "b"}}},
		{"{matchExpressions: [{key: app, operator: In, values: [a, b]}]}", []labels.Set{{"app": "a"}, {"app": "b"}}, []labels.Set{nil, {"app": "c"}}},
		{"{matchExpressions: [{key: app, operator: NotIn, values: [a, b]}]}", []labels.Set{nil, {"app": "c"}}, []labels.Set{{"app": "a"}, {"app": "b"}}},
		{"{matchExpressions: [{key: app, operator: Exists}]}", []labels.Set{{"app": ""}, {"app": "a"}}, []labels.Set{nil, {"tier": "a"}}},
		{"{matchExpressions: [{key: app, operator: DoesNotExist}]}", []labels.Set{nil, {"tier": "a"}}, []labels.Set{{"app": ""}, {"app": "a"}}},
		{
			"{matchLabels: {app: a}, matchExpressions: [{key: tier, operator: Exists}, {key: tier, operator: NotIn, values: [b]}]}",
			[]labels.Set{{"app": "a", "tier": "c"}},
			[]labels.Set{{"app": "a"}, {"tier": "c"}, {"app": "a", "tier": "b"}},
		},
	} {
		selector, err := convert(t, c.selector)
		if err != nil {
			t.Errorf("%s: %v", c.selector, err)
			continue
		}
		for _, set := range c.matches {
			if !selector.Matches(set) {
				t.Errorf("%s does not match %v", c.selector, set)
			}
		}
		for _, set := range c.misses {
			if selector.Matches(set) {
				t.Errorf("%s matches %v", c.selector, set)
			}
		}
	}
}

// TestAdmittedSelectorsConvert takes the selectors that the API server admits; see TestGoodSpecsAreAdmitted.
func TestAdmittedSelectorsConvert(t *testing.T) {
	for _, text := range goodSelectors() {
		if _, err := convert(t, text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestInvalidSelectorsDoNotConvert takes what the schema refuses for the same reasons as the libraries.
func TestInvalidSelectorsDoNotConvert(t *testing.T) {
	libraryRefuses := map[string]bool{labelKeysMessage: true, labelKeyMessage: true, labelValueMessage: true, valuesMessage: true}
	tried := 0
	for _, c := range badSelectors() {
		if !libraryRefuses[c.message] {
			continue
		}
		tried++
		if selector, err := convert(t, c.value); err == nil {
			t.Errorf("%s converts to %v", c.value, selector)
		}
	}
	if tried < len(libraryRefuses) {
		t.Errorf("tried only %d selectors", tried)
	}
}

func convert(t *testing.T, text string) (labels.Selector, error) {
	t.Helper()
	var selector v1alpha1.Selector
	if err := yaml.Unmarshal([]byte(text), &selector); err != nil {
		t.Fatal(err)
	}
	return selector.Selector()
}

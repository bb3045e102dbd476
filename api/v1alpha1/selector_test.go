package v1alpha1_test

import (
	"encoding/json"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/yaml"
	"pgregory.net/rapid"

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
		selector := selectorFrom(t, c.selector)
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
		if _, err := convert(selectorFrom(t, text)); err != nil {
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
		if selector, err := convert(selectorFrom(t, c.value)); err == nil {
			t.Errorf("%s converts to %v", c.value, selector)
		}
	}
	if tried < len(libraryRefuses) {
		t.Errorf("tried only %d selectors", tried)
	}
}

// TestSelectorsMatchAsThoseOfTheLibraries draws labels and selectors from few words, so that they often meet.
func TestSelectorsMatchAsThoseOfTheLibraries(t *testing.T) {
	key, value := rapid.SampledFrom([]string{"app", "example.com/app", "tier"}), rapid.SampledFrom([]v1alpha1.LabelValue{"", "a", "b"})
	operators := []metav1.LabelSelectorOperator{
		metav1.LabelSelectorOpIn, metav1.LabelSelectorOpNotIn, metav1.LabelSelectorOpExists, metav1.LabelSelectorOpDoesNotExist,
	}
	requirement := rapid.Custom(func(t *rapid.T) v1alpha1.SelectorRequirement {
		r := v1alpha1.SelectorRequirement{Key: key.Draw(t, "key"), Operator: rapid.SampledFrom(operators).Draw(t, "operator")}
		if r.Operator == metav1.LabelSelectorOpIn || r.Operator == metav1.LabelSelectorOpNotIn {
			r.Values = rapid.SliceOfN(value, 1, 3).Draw(t, "values")
		}
		return r
	})
	rapid.Check(t, func(t *rapid.T) {
		selector := v1alpha1.Selector{
			MatchLabels:      rapid.MapOfN(key, value, 0, 2).Draw(t, "matchLabels"),
			MatchExpressions: rapid.SliceOfN(requirement, 0, 3).Draw(t, "matchExpressions"),
		}
		theirs, err := convert(selector)
		if err != nil {
			t.Fatal(err)
		}
		set := labels.Set{}
		for k, v := range rapid.MapOfN(key, value, 0, 3).Draw(t, "labels") {
			set[k] = string(v)
		}
		if got, want := selector.Matches(set), theirs.Matches(set); got != want {
			t.Errorf("matches: %t, want %t", got, want)
		}
	})
}

func selectorFrom(t *testing.T, text string) (selector v1alpha1.Selector) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(text), &selector); err != nil {
		t.Fatal(err)
	}
	return selector
}

// convert makes a selector one of the libraries.
func convert(s v1alpha1.Selector) (labels.Selector, error) {
	raw, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	var same metav1.LabelSelector
	if err := json.Unmarshal(raw, &same); err != nil {
		return nil, err
	}
	return metav1.LabelSelectorAsSelector(&same)
}

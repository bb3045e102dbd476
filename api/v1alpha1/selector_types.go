package v1alpha1

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Selector is a label selector as everywhere in Kubernetes, with bounds, and with its rules in the schema: a selector that the API
// server admits is valid. {} selects everything.
type Selector struct {
	// matchLabels are labels that must be there with these values.
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	// +kubebuilder:validation:XValidation:rule="self.all(k, k.matches('^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$'))",message="each key of matchLabels must be a label key, such as app or example.com/app"
	MatchLabels map[string]LabelValue `json:"matchLabels,omitempty"`

	// matchExpressions are requirements, all of which must be met.
	// +optional
	// +kubebuilder:validation:MaxItems=16
	// +listType=atomic
	MatchExpressions []SelectorRequirement `json:"matchExpressions,omitempty"`
}

// LabelValue is the value of a label.
//
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:XValidation:rule="self.matches('^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$')",message="a label value must be empty or letters, digits, '-', '_' and '.', starting and ending with a letter or digit"
type LabelValue string

// SelectorRequirement is a requirement on one label.
//
// +kubebuilder:validation:XValidation:rule="(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",message="the operators In and NotIn need values, Exists and DoesNotExist must have none"
type SelectorRequirement struct {
	// key is the label that the requirement is about.
	// +required
	// +kubebuilder:validation:MaxLength=317
	// +kubebuilder:validation:XValidation:rule="self.matches('^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$')",message="key must be a label key, such as app or example.com/app"
	Key string `json:"key"`

	// operator says how the label is compared: In or NotIn with values, Exists or DoesNotExist without.
	// +required
	// +kubebuilder:validation:Enum=In;NotIn;Exists;DoesNotExist
	Operator metav1.LabelSelectorOperator `json:"operator"`

	// values are those that the operators In and NotIn compare with. Default: none.
	// +optional
	// +kubebuilder:validation:MaxItems=64
	// +listType=set
	Values []LabelValue `json:"values,omitempty"`
}

// Matches says whether an object with these labels is selected, as the Kubernetes libraries would. Theirs must be parsed first; here an event is
// held against the selectors of thousands of credentials, and nothing need be kept of any.
func (s *Selector) Matches(set labels.Labels) bool {
	for key, value := range s.MatchLabels {
		if found, ok := set.Lookup(key); !ok || found != string(value) {
			return false
		}
	}
	return !slices.ContainsFunc(s.MatchExpressions, func(r SelectorRequirement) bool { return !r.met(set) })
}

// met says whether labels meet the requirement; an operator that no API server admits is never met.
func (r SelectorRequirement) met(set labels.Labels) bool {
	value, ok := set.Lookup(r.Key)
	among := ok && slices.Contains(r.Values, LabelValue(value))
	switch r.Operator {
	case metav1.LabelSelectorOpIn:
		return among
	case metav1.LabelSelectorOpNotIn:
		return !among
	case metav1.LabelSelectorOpExists:
		return ok
	case metav1.LabelSelectorOpDoesNotExist:
		return !ok
	}
	return false
}

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Selector is a label selector as everywhere in Kubernetes, with bounds, and with its rules in the schema: a selector that the API
// server admits is valid. {} selects everything.
type Selector struct {
	// matchLabels are labels that must be there with these values.
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	// +kubebuilder:validation:XValidation:rule="self.all(k, !format.qualifiedName().validate(k).hasValue())",message="each key of matchLabels must be a label key, such as app or example.com/app"
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
// +kubebuilder:validation:XValidation:rule="!format.labelValue().validate(self).hasValue()",message="a label value must be empty or letters, digits, '-', '_' and '.', starting and ending with a letter or digit"
type LabelValue string

// SelectorRequirement is a requirement on one label.
//
// +kubebuilder:validation:XValidation:rule="(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",message="the operators In and NotIn need values, Exists and DoesNotExist must have none"
type SelectorRequirement struct {
	// key is the label that the requirement is about.
	// +required
	// +kubebuilder:validation:MaxLength=317
	// +kubebuilder:validation:XValidation:rule="!format.qualifiedName().validate(self).hasValue()",message="key must be a label key, such as app or example.com/app"
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

// Selector returns the selector of the Kubernetes libraries.
func (s *Selector) Selector() (labels.Selector, error) {
	converted := &metav1.LabelSelector{MatchLabels: make(map[string]string, len(s.MatchLabels))}
	for key, value := range s.MatchLabels {
		converted.MatchLabels[key] = string(value)
	}
	for _, r := range s.MatchExpressions {
		values := make([]string, len(r.Values))
		for i, value := range r.Values {
			values[i] = string(value)
		}
		converted.MatchExpressions = append(converted.MatchExpressions,
			metav1.LabelSelectorRequirement{Key: r.Key, Operator: r.Operator, Values: values})
	}
	return metav1.LabelSelectorAsSelector(converted)
}

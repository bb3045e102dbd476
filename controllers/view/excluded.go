package view

import (
	"fmt"
	"path"
	"regexp"
	"slices"
)

// Excluded are the namespaces that are never served: names, and globs such as openshift-*. The chart makes expressions of the same globs
// for the admission policies.
type Excluded []string

// excludable is what can be a name or a glob, as the chart's schema has it.
var excludable = regexp.MustCompile(`^[a-z0-9*]([-a-z0-9*]{0,61}[a-z0-9*])?$`)

// Validate says which cannot be meant.
func (e Excluded) Validate() error {
	for _, glob := range e {
		if !excludable.MatchString(glob) {
			return fmt.Errorf("--excluded-namespaces: %q is neither a name of a namespace nor a glob such as openshift-*", glob)
		}
	}
	return nil
}

// Has says whether the namespace is one of them.
func (e Excluded) Has(namespace string) bool {
	return slices.ContainsFunc(e, func(glob string) bool {
		matched, err := path.Match(glob, namespace)
		return err == nil && matched
	})
}

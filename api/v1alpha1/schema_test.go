package v1alpha1_test

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestGoodSpecsAreAdmitted(t *testing.T) {
	for _, k := range kinds {
		if err := k.tryCreate(t, k.good(t, "good")); err != nil {
			t.Fatalf("the %s to be varied: %v", k.resource, err)
		}
		for _, c := range k.goodSpecs() {
			t.Run(k.resource+"/"+abbreviate(c.path+"="+c.value), func(t *testing.T) {
				if err := k.tryCreate(t, k.edited(t, c.path, c.value)); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func TestBadSpecsAreRefused(t *testing.T) {
	for _, k := range kinds {
		for _, c := range k.badSpecs() {
			t.Run(k.resource+"/"+abbreviate(c.name), func(t *testing.T) {
				checkRefusal(t, k.tryCreate(t, k.edited(t, c.path, c.value)), c.field, c.message)
			})
		}
	}
}

func TestStatusLimits(t *testing.T) {
	for _, k := range kinds {
		stored := k.create(t, "status-limits")
		stored.Object["status"] = parse(t, k.status)
		if err := k.tryUpdateStatus(t, stored); err != nil {
			t.Fatalf("the status of the %s to be varied: %v", k.resource, err)
		}
		for _, c := range badStatuses() {
			if !k.has(c.path) {
				continue
			}
			t.Run(k.resource+"/"+c.name, func(t *testing.T) {
				edited := stored.DeepCopy()
				edit(t, edited, c.path, c.value)
				checkRefusal(t, k.tryUpdateStatus(t, edited), c.field, c.message)
			})
		}
	}
}

// TestTheSecretsNameCannotBeChanged takes an absent name for that of the credential.
func TestTheSecretsNameCannotBeChanged(t *testing.T) {
	for _, k := range kinds {
		for i, c := range secretNameUpdates() {
			t.Run(k.resource+"/"+c.name, func(t *testing.T) {
				object := k.good(t, fmt.Sprintf("rename-%d", i))
				edit(t, object, "spec.secretName", strings.ReplaceAll(c.before, "OWN", object.GetName()))
				stored := k.store(t, object)
				edit(t, stored, "spec.secretName", strings.ReplaceAll(c.after, "OWN", object.GetName()))
				_, err := k.client(t).Update(t.Context(), stored, metav1.UpdateOptions{DryRun: []string{metav1.DryRunAll}})
				if !c.refused {
					if err != nil {
						t.Error(err)
					}
					return
				}
				checkRefusal(t, err, "spec.secretName", secretNameChangeMessage)
			})
		}
	}
}

// has is false for what only the cluster-scoped kind has.
func (k kind) has(path string) bool {
	return k.namespace == "" || !slices.ContainsFunc([]string{"spec.namespaceSelector", "status.namespaces", "status.failures"},
		func(prefix string) bool { return strings.HasPrefix(path, prefix) })
}

func (k kind) goodSpecs() []goodCase {
	cases := slices.Concat(goodSpecs(), goodSelectorSpecs())
	if k.namespace == "" {
		for _, c := range badOwnSecrets() {
			if c.path != "spec" {
				cases = append(cases, goodCase{c.path, c.value})
			}
		}
	}
	return slices.DeleteFunc(cases, func(c goodCase) bool { return !k.has(c.path) })
}

func (k kind) badSpecs() []badCase {
	cases := slices.Concat(badSpecs(), badSelectorSpecs())
	if k.namespace != "" {
		cases = append(cases, badOwnSecrets()...)
	}
	return slices.DeleteFunc(cases, func(c badCase) bool { return !k.has(c.path) })
}

func (k kind) edited(t *testing.T, path, value string) *unstructured.Unstructured {
	t.Helper()
	object := k.good(t, "good")
	edit(t, object, path, value)
	return object
}

// tryCreate asks for an answer and leaves nothing behind.
func (k kind) tryCreate(t *testing.T, object *unstructured.Unstructured) error {
	t.Helper()
	_, err := k.client(t).Create(t.Context(), object, metav1.CreateOptions{
		DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict})
	return err
}

func (k kind) tryUpdateStatus(t *testing.T, object *unstructured.Unstructured) error {
	t.Helper()
	_, err := k.client(t).UpdateStatus(t.Context(), object, metav1.UpdateOptions{
		DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict})
	return err
}

// checkRefusal checks that there is one complaint, and that it ends with the message.
func checkRefusal(t *testing.T, err error, field, message string) {
	t.Helper()
	var refusal *apierrors.StatusError
	if !errors.As(err, &refusal) || refusal.ErrStatus.Reason != metav1.StatusReasonInvalid || refusal.ErrStatus.Details == nil {
		t.Fatalf("got %v, want an invalid %s: %s", err, field, message)
	}
	causes := slices.DeleteFunc(refusal.ErrStatus.Details.Causes, func(c metav1.StatusCause) bool {
		return strings.Contains(c.Message, "some validation rules were not checked because the object was invalid")
	})
	if len(causes) != 1 || causes[0].Field != field || !says(causes[0].Message, message) {
		t.Errorf("got  %q\nwant one complaint about %s: %s", causes, field, message)
	}
}

// says ignores what the API server puts before a message: "Invalid value: <value>:", or "<field> in body".
func says(got, want string) bool {
	return got == want || strings.HasSuffix(got, ": "+want) || strings.HasSuffix(got, " in body "+want)
}

var pathSteps = regexp.MustCompile(`\[\]|[^.\[\]]+`)

// edit puts the YAML value at a path such as spec.registries[0].name, or removes what is there if the value is empty.
func edit(t *testing.T, object *unstructured.Unstructured, path, value string) {
	t.Helper()
	steps := pathSteps.FindAllString(path, -1)
	last := steps[len(steps)-1]
	parent, ok := at(object.Object, steps[:len(steps)-1]).(map[string]any)
	switch {
	case !ok:
		t.Fatalf("nothing to edit at %s", path)
	case value == "":
		delete(parent, last)
	default:
		parent[last] = parse(t, value)
	}
}

// at is what the steps lead to, or nil.
func at(node any, steps []string) any {
	if len(steps) == 0 {
		return node
	}
	switch node := node.(type) {
	case map[string]any:
		return at(node[steps[0]], steps[1:])
	case []any:
		if i, err := strconv.Atoi(steps[0]); err == nil && i < len(node) {
			return at(node[i], steps[1:])
		}
	}
	return nil
}

// abbreviate keeps the names of tests readable where values are long.
func abbreviate(name string) string {
	const most = 80
	return name[:min(len(name), most)]
}

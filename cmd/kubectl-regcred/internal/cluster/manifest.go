package cluster

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cli"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
)

// CredentialsFrom reads the credentials of a file, or of stdin if it is called -. Other objects are left out; a document that is none is told of. A
// credential that cannot be decoded is an error.
func CredentialsFrom(path string, e *cli.Env) ([]*Credential, error) {
	r, name := e.In, "stdin"
	if path != "-" {
		name = path
		raw, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		r = bytes.NewReader(raw)
	}
	documents := yaml.NewYAMLOrJSONDecoder(r, 4096)
	var found []*Credential
	for n := 1; ; n++ {
		var raw runtime.RawExtension
		err := documents.Decode(&raw)
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil && len(raw.Raw) > 0 && !bytes.Equal(raw.Raw, []byte("null")) {
			if !isObject(raw.Raw) {
				fmt.Fprintln(e.ErrOut, output.Clean(fmt.Sprintf("skipped: document %d of %s names no kind", n, name)))
			}
			err = addCredentials(&found, raw.Raw)
		}
		if err != nil {
			return nil, fmt.Errorf("%s cannot be parsed: %w", name, err)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("there is no credential in %s", name)
	}
	return found, nil
}

// isObject says whether a document names a kind.
func isObject(raw []byte) bool {
	var o metav1.TypeMeta
	return json.Unmarshal(raw, &o) == nil && o.Kind != ""
}

// strictly refuses fields that a kind does not have: a mistyped one would silently do nothing.
var strictly = serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()

// addCredentials adds the credential of a document, or those of a list.
func addCredentials(found *[]*Credential, raw []byte) error {
	var o struct {
		metav1.TypeMeta `json:",inline"`
		Items           []runtime.RawExtension `json:"items"`
	}
	if err := json.Unmarshal(raw, &o); err != nil {
		return nil //nolint:nilerr // it is no object, and so none of ours
	}
	if strings.HasSuffix(o.Kind, "List") {
		for _, item := range o.Items {
			if err := addCredentials(found, item.Raw); err != nil {
				return err
			}
		}
		return nil
	}
	if group, _, _ := strings.Cut(o.APIVersion, "/"); group != v1alpha1.GroupVersion.Group {
		return nil
	}
	decoded, _, err := strictly.Decode(raw, nil, nil)
	if err != nil {
		return err
	}
	one, ok := decoded.(client.Object)
	if !ok || CredentialOf(one) == nil {
		return nil
	}
	c := CredentialOf(one)
	for i := range c.Spec.Registries {
		if provider, _ := c.Spec.Registries[i].Provider(); provider == "" {
			return fmt.Errorf("registry %s of %s has no provider, such as ecr or static", c.Spec.Registries[i].Name, c.Ref())
		}
	}
	*found = append(*found, c)
	return nil
}

package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// CredentialsFrom reads the credentials of a file, or of stdin if it is called -. Other objects are skipped.
func CredentialsFrom(path string, stdin io.Reader) ([]*Credential, error) {
	r, name := stdin, "stdin"
	if path != "-" {
		name = path
		raw, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		r = bytes.NewReader(raw)
	}
	documents := yaml.NewYAMLOrJSONDecoder(r, 4096)
	decoder := serializer.NewCodecFactory(scheme).UniversalDeserializer()
	var found []*Credential
	for {
		var raw runtime.RawExtension
		err := documents.Decode(&raw)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%s cannot be parsed: %w", name, err)
		}
		decoded, _, err := decoder.Decode(raw.Raw, nil, nil)
		if o, ok := decoded.(client.Object); ok && err == nil && CredentialOf(o) != nil {
			found = append(found, CredentialOf(o))
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("there is no credential in %s", name)
	}
	return found, nil
}

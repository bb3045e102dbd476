// Package cases feeds the controller and its providers what public bug reports of other tools were about, as the reporters had it: the files in
// testdata, one folder for each report.
package cases

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/test/cloud"
)

func read(t *testing.T, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// objects are those of a file.
func objects(t *testing.T, name string) []runtime.Object {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(read(t, name))))
	var all []runtime.Object
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(bytes.TrimSpace(document)) == 0 {
			continue
		}
		object, _, err := decoder.Decode(document, nil, nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all = append(all, object)
	}
}

// find is the first object of a kind.
func find[T runtime.Object](t *testing.T, all []runtime.Object) T {
	t.Helper()
	for _, o := range all {
		if found, ok := o.(T); ok {
			return found
		}
	}
	t.Fatalf("there is no %T", *new(T))
	panic("unreachable")
}

// bySecret is an entry's request with the identity of a Secret.
func bySecret(entry v1alpha1.Registry, secret *corev1.Secret) providers.Request {
	data := maps.Clone(secret.Data)
	if data == nil {
		data = map[string][]byte{}
	}
	for key, value := range secret.StringData {
		data[key] = []byte(value)
	}
	return providers.Request{Registry: entry, Identity: providers.Identity{Secret: &providers.Secret{
		Namespace: secret.Namespace, Name: secret.Name, DataHash: providers.HashData(data),
		Data: func(context.Context) (map[string][]byte, error) { return data, nil },
	}}}
}

// byAccount is an entry's request with the identity of a ServiceAccount.
func byAccount(entry v1alpha1.Registry, sa *corev1.ServiceAccount) providers.Request {
	return providers.Request{Registry: entry, Identity: providers.Identity{ServiceAccount: &providers.ServiceAccount{
		Namespace: sa.Namespace, Name: sa.Name, UID: "1", Annotations: sa.Annotations,
		RequestToken: func(_ context.Context, audience string, life time.Duration) (string, error) {
			return cloud.WebIdentityToken("https://cluster.example", "system:serviceaccount:"+sa.Namespace+":"+sa.Name, audience, time.Now().Add(life))
		},
	}}}
}

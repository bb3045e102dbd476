package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
)

// extensions are the ends of names of files that hold manifests.
var extensions = []string{".yaml", ".yml", ".json"}

// readFrom reads manifests: of a file, of the files of a directory, or of stdin. Documents that are no objects of Kubernetes, or of kinds
// that do not matter, are skipped. What should have been read and was not is said.
func readFrom(path string, stdin io.Reader) (*inventory, []string, error) {
	m := &manifests{inventory: newInventory(), decoder: serializer.NewCodecFactory(cluster.Scheme()).UniversalDeserializer()}
	if path == "-" {
		path = "stdin"
		m.readAll(path, stdin)
	} else if err := m.readPath(path); err != nil {
		return nil, nil, fmt.Errorf("reading manifests: %w", err)
	}
	if m.objects == 0 {
		m.note("there is no manifest in %s", path)
	}
	// Where Secrets are kept elsewhere, none is missing.
	m.whole = len(m.secrets)+len(m.others) > 0
	m.settle()
	return m.inventory, m.notes, nil
}

// manifests are an inventory that is made from files.
type manifests struct {
	*inventory
	decoder runtime.Decoder
	// objects counts what is one of Kubernetes, whether it matters or not.
	objects int
	notes   []string
}

func (m *manifests) note(format string, args ...any) {
	m.notes = append(m.notes, "not read: "+fmt.Sprintf(format, args...))
}

func (m *manifests) readPath(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		raw, err := os.ReadFile(path)
		m.readAll(path, bytes.NewReader(raw))
		return err
	}
	files := os.DirFS(path)
	return fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && (entry.IsDir() || !slices.Contains(extensions, filepath.Ext(name))) {
			return nil
		}
		var raw []byte
		if err == nil {
			raw, err = fs.ReadFile(files, name)
		}
		if err != nil {
			m.note("%s in %s", err, path)
		}
		m.readAll(filepath.Join(path, name), bytes.NewReader(raw))
		return nil
	})
}

// readAll takes in the documents of a stream.
func (m *manifests) readAll(name string, r io.Reader) {
	documents := yaml.NewYAMLOrJSONDecoder(r, 4096)
	for n := 1; ; n++ {
		var raw runtime.RawExtension
		if err := documents.Decode(&raw); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			m.note("the rest of %s from document %d on cannot be parsed", name, n)
			return
		}
		if len(bytes.TrimSpace(raw.Raw)) > 0 && !bytes.Equal(raw.Raw, []byte("null")) {
			m.read(fmt.Sprintf("document %d of %s", n, name), raw.Raw, nil)
		}
	}
}

// read takes in an object, or those of a list, one by one: one that is bad hides no other. The kind is that of an object that names none.
func (m *manifests) read(where string, raw []byte, kind *schema.GroupVersionKind) {
	if kind, items := itemsOf(raw); items != nil {
		m.objects++
		for n, item := range items {
			m.read(fmt.Sprintf("item %d of %s", n+1, where), item, kind)
		}
		return
	}
	o, gvk, err := m.decoder.Decode(raw, kind, nil)
	switch {
	case runtime.IsMissingKind(err), runtime.IsMissingVersion(err):
	case runtime.IsNotRegisteredError(err):
		m.objects++
	case err != nil && gvk != nil:
		m.note("%s is no valid %s", where, gvk.Kind)
	case err != nil:
		m.note("%s is no object", where)
	default:
		m.objects++
		m.take(o)
	}
}

// itemsOf are the items of a list, and their kind if the list says it; nil if it is none.
func itemsOf(raw []byte) (*schema.GroupVersionKind, []json.RawMessage) {
	var list struct {
		metav1.TypeMeta
		Items []json.RawMessage `json:"items"`
	}
	if json.Unmarshal(raw, &list) != nil || !strings.HasSuffix(list.Kind, "List") {
		return nil, nil
	}
	if list.Kind == "List" {
		return nil, list.Items
	}
	kind := schema.FromAPIVersionAndKind(list.APIVersion, strings.TrimSuffix(list.Kind, "List"))
	return &kind, list.Items
}

// take takes an object in as the API server would have it.
func (m *manifests) take(o runtime.Object) {
	secret, ok := o.(*corev1.Secret)
	if ok && len(secret.StringData) > 0 {
		if secret.Data == nil {
			secret.Data = map[string][]byte{}
		}
		for key, value := range secret.StringData {
			secret.Data[key] = []byte(value)
		}
	}
	if object, ok := o.(client.Object); ok {
		if object.GetNamespace() == "" {
			object.SetNamespace("default")
		}
		m.add(object)
	}
}

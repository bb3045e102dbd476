// Package manifest reads the objects of files, and says what of them was not read.
package manifest

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
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
)

// extensions are the ends of names of files that hold manifests.
var extensions = []string{".yaml", ".yml", ".json"}

// Gaps are what was not taken, in sentences.
type Gaps struct {
	// NotRead should have been read. Skipped are documents that are no objects of Kubernetes, such as values of a chart.
	NotRead, Skipped []string
}

// Read gives take each object of a file, of the files of a directory, or of stdin if path is -. An object is as the API server would have it; one of a kind that
// the plugin does not know is unstructured. One that is bad hides no other.
func Read(path string, stdin io.Reader, take func(client.Object)) (Gaps, error) {
	r := &reader{decoder: serializer.NewCodecFactory(cluster.Scheme()).UniversalDeserializer(), give: take}
	if path == "-" {
		path = "stdin"
		r.readAll(path, stdin)
	} else if err := r.readPath(path); err != nil {
		return Gaps{}, fmt.Errorf("reading manifests: %w", err)
	}
	if r.objects == 0 {
		r.note("there is no manifest in %s", path)
	}
	return r.Gaps, nil
}

type reader struct {
	Gaps
	decoder runtime.Decoder
	give    func(client.Object)
	// objects counts what is one of Kubernetes, whether it is valid or not.
	objects int
}

func (r *reader) note(format string, args ...any) {
	r.NotRead = append(r.NotRead, "not read: "+fmt.Sprintf(format, args...))
}

func (r *reader) skip(where, lacking string) {
	r.Skipped = append(r.Skipped, "skipped: "+where+" names no "+lacking)
}

func (r *reader) readPath(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		raw, err := os.ReadFile(path)
		r.readAll(path, bytes.NewReader(raw))
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
			r.note("%s in %s", err, path)
		}
		r.readAll(filepath.Join(path, name), bytes.NewReader(raw))
		return nil
	})
}

// readAll takes in the documents of a stream.
func (r *reader) readAll(name string, stream io.Reader) {
	documents := yaml.NewYAMLOrJSONDecoder(stream, 4096)
	for n := 1; ; n++ {
		var raw runtime.RawExtension
		if err := documents.Decode(&raw); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			r.note("the rest of %s from document %d on cannot be parsed", name, n)
			return
		}
		if len(bytes.TrimSpace(raw.Raw)) > 0 && !bytes.Equal(raw.Raw, []byte("null")) {
			r.read(fmt.Sprintf("document %d of %s", n, name), raw.Raw, nil)
		}
	}
}

// read takes in an object, or those of a list, one by one. The kind is that of an object that names none.
func (r *reader) read(where string, raw []byte, kind *schema.GroupVersionKind) {
	if kind, items := itemsOf(raw); items != nil {
		r.objects++
		for n, item := range items {
			r.read(fmt.Sprintf("item %d of %s", n+1, where), item, kind)
		}
		return
	}
	o, gvk, err := r.decoder.Decode(raw, kind, nil)
	switch {
	case runtime.IsMissingKind(err):
		r.skip(where, "kind")
	case runtime.IsMissingVersion(err):
		r.skip(where, "apiVersion")
	case runtime.IsNotRegisteredError(err):
		r.objects++
		foreign := &unstructured.Unstructured{}
		if foreign.UnmarshalJSON(raw) == nil {
			r.take(foreign)
		}
	case err != nil && gvk != nil:
		r.note("%s is no valid %s", where, gvk.Kind)
	case err != nil:
		r.note("%s is no object", where)
	default:
		r.objects++
		r.take(o)
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

// take gives an object on as the API server would have it.
func (r *reader) take(o runtime.Object) {
	secret, ok := o.(*corev1.Secret)
	if ok && len(secret.StringData) > 0 {
		if secret.Data == nil {
			secret.Data = map[string][]byte{}
		}
		for key, value := range secret.StringData {
			secret.Data[key] = []byte(value)
		}
	}
	object, ok := o.(client.Object)
	if !ok {
		return
	}
	if object.GetNamespace() == "" {
		object.SetNamespace("default")
	}
	r.give(object)
}

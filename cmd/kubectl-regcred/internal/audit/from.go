package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
)

// manifests are the ends of names of files that hold manifests.
var manifests = []string{".yaml", ".yml", ".json"}

// readFrom reads manifests: of a file, of the files of a directory, or of stdin. Documents that are no objects of Kubernetes, or of kinds
// that do not matter, are skipped and counted.
func readFrom(path string, stdin io.Reader) (*inventory, []string, error) {
	i := newInventory()
	if path == "-" {
		notes := i.readAll("stdin", stdin)
		i.whole = len(i.secrets)+len(i.others) > 0
		return i, notes, nil
	}
	notes, err := i.readPath(path)
	// Where Secrets are kept elsewhere, none is missing.
	i.whole = len(i.secrets)+len(i.others) > 0
	return i, notes, err
}

func (i *inventory) readPath(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		raw, err := os.ReadFile(path)
		return i.readAll(path, bytes.NewReader(raw)), err
	}
	files := os.DirFS(path)
	var notes []string
	err = fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !slices.Contains(manifests, filepath.Ext(name)) {
			return err
		}
		raw, err := fs.ReadFile(files, name)
		notes = append(notes, i.readAll(filepath.Join(path, name), bytes.NewReader(raw))...)
		return err
	})
	return notes, err
}

// readAll takes in the documents of a stream, and says what it could not read.
func (i *inventory) readAll(name string, r io.Reader) (notes []string) {
	documents := yaml.NewYAMLOrJSONDecoder(r, 4096)
	decoder := serializer.NewCodecFactory(cluster.Scheme()).UniversalDeserializer()
	for n := 1; ; n++ {
		var raw runtime.RawExtension
		if err := documents.Decode(&raw); errors.Is(err, io.EOF) {
			return notes
		} else if err != nil {
			return append(notes, fmt.Sprintf("not read: the rest of %s from document %d on cannot be parsed", name, n))
		}
		if len(bytes.TrimSpace(raw.Raw)) == 0 || bytes.Equal(raw.Raw, []byte("null")) {
			continue
		}
		o, gvk, err := decoder.Decode(raw.Raw, nil, nil)
		switch {
		case runtime.IsNotRegisteredError(err), runtime.IsMissingKind(err), runtime.IsMissingVersion(err):
		case err != nil && gvk != nil:
			notes = append(notes, fmt.Sprintf("not read: document %d of %s is no valid %s", n, name, gvk.Kind))
		case err != nil:
			notes = append(notes, fmt.Sprintf("not read: document %d of %s", n, name))
		default:
			i.addDecoded(o, decoder)
		}
	}
}

// addDecoded takes an object in, or those of a list.
func (i *inventory) addDecoded(o runtime.Object, decoder runtime.Decoder) {
	if list, ok := o.(*corev1.List); ok {
		for _, item := range list.Items {
			if inner, _, err := decoder.Decode(item.Raw, nil, nil); err == nil {
				i.addDecoded(inner, decoder)
			}
		}
		return
	}
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
		i.add(object)
	}
}

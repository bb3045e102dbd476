package plugin

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/sets"
	kubeletconfig "k8s.io/kubelet/config/v1"
)

var (
	configScheme = runtime.NewScheme()
	// A misspelt field would silently change what a plugin may do.
	configDecoder = serializer.NewCodecFactory(configScheme, serializer.EnableStrict).UniversalDeserializer()
)

func init() {
	if err := kubeletconfig.AddToScheme(configScheme); err != nil {
		panic(err)
	}
}

// readConfig reads a CredentialProviderConfig: a file, or a directory whose files are read in the order of their names, as the kubelet
// does. Plugin names are unique over all files.
func readConfig(path string) ([]kubeletconfig.CredentialProvider, error) {
	files, err := configFiles(path)
	if err != nil {
		return nil, err
	}
	var all []kubeletconfig.CredentialProvider
	names := sets.New[string]()
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		config, err := decodeConfig(raw)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if errs := validate(config); len(errs) > 0 {
			return nil, fmt.Errorf("%s: %w", file, errs.ToAggregate())
		}
		for _, p := range config.Providers {
			if names.Has(p.Name) {
				return nil, fmt.Errorf("%s: providers[%s]: another file has a provider of this name", file, p.Name)
			}
			names.Insert(p.Name)
		}
		all = append(all, config.Providers...)
	}
	return all, nil
}

func configFiles(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		if !e.IsDir() && slices.Contains([]string{".json", ".yaml", ".yml"}, filepath.Ext(e.Name())) {
			files = append(files, filepath.Join(path, e.Name()))
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s holds no file whose name ends in .json, .yaml or .yml", path)
	}
	return files, nil
}

func decodeConfig(raw []byte) (*kubeletconfig.CredentialProviderConfig, error) {
	object, _, err := configDecoder.Decode(raw, nil, nil)
	wrongType, isWrongType := errors.AsType[*json.UnmarshalTypeError](err)
	switch {
	case runtime.IsNotRegisteredError(err), runtime.IsMissingKind(err), runtime.IsMissingVersion(err):
		return nil, fmt.Errorf("it must be of apiVersion %s and kind CredentialProviderConfig", kubeletconfig.SchemeGroupVersion)
	case isWrongType:
		// The error's own text quotes the value, which may be a secret in env.
		return nil, fmt.Errorf("%s must be a %s", wrongType.Field, wrongType.Type.Kind())
	case runtime.IsStrictDecodingError(err):
		return nil, errors.New(withNames(err.Error(), object, raw))
	case err != nil:
		return nil, err
	}
	config, ok := object.(*kubeletconfig.CredentialProviderConfig)
	if !ok {
		return nil, errors.New("it must be of kind CredentialProviderConfig")
	}
	return config, nil
}

var providerIndex = regexp.MustCompile(`providers\[([0-9]+)\]`)

// withNames puts the names of providers in the place of their numbers.
func withNames(text string, object runtime.Object, raw []byte) string {
	config, ok := object.(*kubeletconfig.CredentialProviderConfig)
	if !ok {
		config = &kubeletconfig.CredentialProviderConfig{}
		lenient := serializer.NewCodecFactory(configScheme).UniversalDeserializer()
		if _, _, err := lenient.Decode(raw, nil, config); err != nil {
			return text
		}
	}
	return providerIndex.ReplaceAllStringFunc(text, func(found string) string {
		i, err := strconv.Atoi(providerIndex.FindStringSubmatch(found)[1])
		if err != nil || i >= len(config.Providers) || config.Providers[i].Name == "" {
			return found
		}
		return "providers[" + config.Providers[i].Name + "]"
	})
}

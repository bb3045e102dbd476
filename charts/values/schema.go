package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// schemaOf completes what a chart's values may be: descriptions and defaults, definitions of their own for credentials, and no unknown keys.
func schemaOf(path string, values []value) ([]byte, error) {
	var schema map[string]any
	if err := read(path, &schema); err != nil {
		return nil, err
	}
	if err := embed(schema); err != nil {
		return nil, err
	}
	closeObjects(schema)
	for _, v := range values {
		if err := describe(schema, v); err != nil {
			return nil, err
		}
	}
	if unknown := undescribed(schema, nil, values); len(unknown) > 0 {
		return nil, fmt.Errorf("%s has %s, which values.yaml does not have", path, strings.Join(unknown, ", "))
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(schema)
	return text.Bytes(), err
}

func read(path string, into any) error {
	raw, err := os.ReadFile(path)
	if err == nil {
		err = yaml.Unmarshal(raw, into)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// describe puts a value's meaning and default beside what it may be. Beside a reference they are allowed since draft 2019-09.
func describe(schema map[string]any, v value) error {
	at := schema
	for i, key := range v.path {
		next, ok := child(at, key)
		if !ok {
			return fmt.Errorf("no schema says what %s may be", strings.Join(v.path[:i+1], "."))
		}
		at = next
	}
	at["description"], at["default"] = v.description, v.preset
	return nil
}

func child(at map[string]any, key string) (map[string]any, bool) {
	properties, _ := at["properties"].(map[string]any)
	next, ok := properties[key].(map[string]any)
	return next, ok
}

// closeObjects lets no unknown key pass where some are known.
func closeObjects(node any) {
	switch n := node.(type) {
	case map[string]any:
		if _, open := n["additionalProperties"]; !open && n["properties"] != nil && n["type"] == "object" {
			n["additionalProperties"] = false
		}
		for _, inner := range n {
			closeObjects(inner)
		}
	case []any:
		for _, inner := range n {
			closeObjects(inner)
		}
	}
}

// embed replaces {$crd: file} by the spec of that definition, without what only Kubernetes knows.
func embed(node any) error {
	switch n := node.(type) {
	case map[string]any:
		if file, ok := n["$crd"].(string); ok {
			spec, err := specOf(filepath.Join("config", "crd", file))
			if err != nil {
				return err
			}
			delete(n, "$crd")
			maps.Copy(n, spec)
			return nil
		}
		for _, inner := range n {
			if err := embed(inner); err != nil {
				return err
			}
		}
	case []any:
		for _, inner := range n {
			if err := embed(inner); err != nil {
				return err
			}
		}
	}
	return nil
}

func specOf(path string) (map[string]any, error) {
	var definition struct {
		Spec struct {
			Versions []struct {
				Schema struct {
					OpenAPIV3Schema struct {
						Properties struct{ Spec map[string]any }
					}
				}
			}
		}
	}
	if err := read(path, &definition); err != nil {
		return nil, err
	}
	if len(definition.Spec.Versions) != 1 {
		return nil, fmt.Errorf("%s: want one version", path)
	}
	spec := definition.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties.Spec
	stripExtensions(spec)
	return spec, nil
}

func stripExtensions(node any) {
	switch n := node.(type) {
	case map[string]any:
		maps.DeleteFunc(n, func(key string, _ any) bool { return strings.HasPrefix(key, "x-kubernetes-") })
		for _, inner := range n {
			stripExtensions(inner)
		}
	case []any:
		for _, inner := range n {
			stripExtensions(inner)
		}
	}
}

// undescribed are the properties that no value accounts for, above, at or below it.
func undescribed(at map[string]any, path []string, values []value) []string {
	var unknown []string
	properties, _ := at["properties"].(map[string]any)
	for _, key := range slices.Sorted(maps.Keys(properties)) {
		here := append(slices.Clone(path), key)
		known := slices.ContainsFunc(values, func(v value) bool { return len(v.path) >= len(here) && slices.Equal(v.path[:len(here)], here) })
		described := slices.ContainsFunc(values, func(v value) bool { return slices.Equal(v.path, here) })
		switch inner, _ := properties[key].(map[string]any); {
		case !known:
			unknown = append(unknown, strings.Join(here, "."))
		case !described:
			unknown = append(unknown, undescribed(inner, here, values)...)
		}
	}
	return unknown
}

package output

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// WriteFiles writes files into a directory, all or none: half a set is worse than none. It returns their paths.
func WriteFiles(dir string, files map[string][]byte, force bool) ([]string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	var paths []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(dir, name)
		if _, err := os.Lstat(path); err == nil && !force {
			return nil, there(path)
		}
		paths = append(paths, path)
	}
	for _, path := range paths {
		if err := WriteFile(path, files[filepath.Base(path)], force); err != nil {
			return nil, err
		}
	}
	return paths, nil
}

func there(path string) error { return fmt.Errorf("%s is there already: --force replaces it", path) }

// WriteFile writes a file that its owner alone may read. A file that is there is replaced by force only.
func WriteFile(path string, content []byte, force bool) error {
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if force {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	file, err := os.OpenFile(path, flags, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return there(path)
	}
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	return errors.Join(err, file.Chmod(0o600), file.Close())
}

package main

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"fmt"
	"os"
	"path"
	"runtime/debug"
)

// binary is what a file says of itself.
type binary struct {
	name      string // such as regcred
	platform  string // such as linux/amd64
	goVersion string
	main      string
	modules   []debug.Module
	sha256    string
}

func readBinary(file string) (binary, error) {
	raw, err := os.ReadFile(file) //nolint:gosec // whoever makes the release names its binaries
	if err != nil {
		return binary{}, err
	}
	info, err := buildinfo.Read(bytes.NewReader(raw))
	if err != nil {
		return binary{}, fmt.Errorf("%s: %w", file, err)
	}
	sum := sha256.Sum256(raw)
	b := binary{name: path.Base(info.Path), goVersion: info.GoVersion, main: info.Main.Path, sha256: hex.EncodeToString(sum[:])}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	b.platform = settings["GOOS"] + "/" + settings["GOARCH"]
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		b.modules = append(b.modules, *m)
	}
	return b, nil
}

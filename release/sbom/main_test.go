package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx"
	"github.com/spdx/tools-golang/spdxlib"
)

const epoch = "1700000000"

// controller is built as a release builds it.
var controller string

func TestMain(m *testing.M) { os.Exit(start(m)) }

func start(m *testing.M) int {
	dir, err := os.MkdirTemp("", "sbom-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	controller = filepath.Join(dir, "regcred")
	build := exec.CommandContext(context.Background(), "cmd/buildenv", "go", "build", "-o", controller, "./cmd/regcred")
	build.Dir = filepath.Join("..", "..")
	if said, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v: %s", err, said)
		return 1
	}
	return m.Run()
}

// generate describes the controller, where its modules are known.
func generate(t *testing.T) (*spdx.Document, []byte) {
	t.Helper()
	t.Chdir(filepath.Join("..", ".."))
	var out bytes.Buffer
	if err := run(t.Context(), "v1.2.3", epoch, []string{controller}, &out); err != nil {
		t.Fatal(err)
	}
	doc, err := json.Read(bytes.NewReader(out.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	return doc, out.Bytes()
}

var spdxID = regexp.MustCompile(`^[a-zA-Z0-9.-]+$`)

func TestTheDocumentIsValid(t *testing.T) {
	doc, _ := generate(t)
	if err := spdxlib.ValidateDocument(doc); err != nil {
		t.Error(err)
	}
	if doc.SPDXVersion != "SPDX-2.3" || doc.DataLicense != "CC0-1.0" || doc.SPDXIdentifier != "DOCUMENT" {
		t.Errorf("%s, %s, %s; want what SPDX 2.3 demands", doc.SPDXVersion, doc.DataLicense, doc.SPDXIdentifier)
	}
	if doc.CreationInfo.Created != "2023-11-14T22:13:20Z" || len(doc.CreationInfo.Creators) == 0 {
		t.Errorf("created %s by %v, want the time that was given", doc.CreationInfo.Created, doc.CreationInfo.Creators)
	}
	described, err := spdxlib.GetDescribedPackageIDs(doc)
	if err != nil || len(described) != 1 {
		t.Errorf("describes %v, %v; want the binary", described, err)
	}
	seen := map[spdx.ElementID]bool{}
	for _, p := range doc.Packages {
		if !spdxID.MatchString(string(p.PackageSPDXIdentifier)) || seen[p.PackageSPDXIdentifier] {
			t.Errorf("identifier %q of %s is none, or is another's", p.PackageSPDXIdentifier, p.PackageName)
		}
		seen[p.PackageSPDXIdentifier] = true
		if p.PackageDownloadLocation == "" || p.FilesAnalyzed {
			t.Errorf("%s: download location %q, files analysed %t", p.PackageName, p.PackageDownloadLocation, p.FilesAnalyzed)
		}
	}
}

func TestEveryModuleIsThereWithItsLicence(t *testing.T) {
	doc, _ := generate(t)
	info, err := buildinfo.ReadFile(controller)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"pkg:golang/github.com/regcred/regcred@v1.2.3": "", "pkg:golang/stdlib@" + strings.TrimPrefix(info.GoVersion, "go"): ""}
	for _, m := range info.Deps {
		want["pkg:golang/"+m.Path+"@"+strings.ReplaceAll(m.Version, "+", "%2B")] = ""
	}
	if len(want) < 100 {
		t.Fatalf("this binary has %d parts only", len(want))
	}
	got := map[string]string{}
	for _, p := range doc.Packages {
		got[p.PackageExternalReferences[0].Locator] = ""
		if p.PackageLicenseConcluded == "" || p.PackageLicenseConcluded == noAssertion {
			t.Errorf("%s: no licence", p.PackageName)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("package URLs (-want +got):\n%s", diff)
	}
}

func TestTheSameBinaryGivesTheSameDocument(t *testing.T) {
	_, first := generate(t)
	var second bytes.Buffer
	if err := run(t.Context(), "v1.2.3", epoch, []string{controller}, &second); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, second.Bytes()) {
		t.Error("two runs differ")
	}
}

func TestPackageURLsAreEscaped(t *testing.T) {
	p, err := modulePackage("github.com/Azure/x", "v2.0.0+incompatible", "MIT")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := p.PackageExternalReferences[0].Locator, "pkg:golang/github.com/Azure/x@v2.0.0%2Bincompatible"; got != want {
		t.Errorf("package URL %s, want %s", got, want)
	}
	if got, want := p.PackageDownloadLocation, "https://proxy.golang.org/github.com/!azure/x/@v/v2.0.0+incompatible.zip"; got != want {
		t.Errorf("download location %s, want %s", got, want)
	}
}

func TestLicences(t *testing.T) {
	mit, err := os.ReadFile(filepath.Join("testdata", "MIT"))
	if err != nil {
		t.Fatal(err)
	}
	apache, err := os.ReadFile(filepath.Join("..", "..", "LICENSE"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"one":                         {map[string]string{"LICENSE": string(apache)}, "Apache-2.0"},
		"two files":                   {map[string]string{"LICENSE-APACHE": string(apache), "LICENSE-MIT": string(mit)}, "Apache-2.0 AND MIT"},
		"British":                     {map[string]string{"licence.md": string(mit)}, "MIT"},
		"none":                        {map[string]string{"README": string(mit)}, noAssertion},
		"words that are no licence":   {map[string]string{"LICENSE": "Ask us.\n"}, noAssertion},
		"a licence in something else": {map[string]string{"COPYING": string(mit) + strings.Repeat("And then there is more to agree to.\n", 100)}, noAssertion},
		"one known and one not":       {map[string]string{"LICENSE": string(mit), "LICENSE.extra": "Ask us.\n"}, noAssertion},
		"code about licences":         {map[string]string{"LICENSE": string(mit), "license.go": "package x\n"}, "MIT"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range c.files {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got, err := licenceIn(dir)
			if err != nil {
				t.Fatal(err)
			}
			if got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestBadInputIsExplained(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("no binary"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		version, epoch string
		paths          []string
		says           string
	}{
		"no time":    {"v1.2.3", "", []string{text}, "SOURCE_DATE_EPOCH must be the seconds since 1970"},
		"no version": {"", epoch, []string{text}, "usage: VERSION=v1.2.3"},
		"no binary":  {"v1.2.3", epoch, nil, "sbom BINARY"},
		"a text":     {"v1.2.3", epoch, []string{text}, text},
	} {
		t.Run(name, func(t *testing.T) {
			if err := run(t.Context(), c.version, c.epoch, c.paths, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want it to say %q", err, c.says)
			}
		})
	}
}

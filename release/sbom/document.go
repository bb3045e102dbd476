package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spdx/tools-golang/spdx"
	"github.com/spdx/tools-golang/spdx/v2/common"
	"golang.org/x/mod/module"
)

const (
	repository = "https://github.com/regcred/regcred"
	// The standard library is no module; scanners for vulnerabilities know it by this name.
	standardLibrary = "stdlib"
)

// document describes each binary as a package that depends on the packages of its modules.
func document(version string, created time.Time, binaries []binary, licences map[string]string) (*spdx.Document, error) {
	doc := &spdx.Document{
		SPDXVersion:    spdx.Version,
		DataLicense:    spdx.DataLicense,
		SPDXIdentifier: "DOCUMENT",
		DocumentName:   binaries[0].name + " " + version,
		CreationInfo: &spdx.CreationInfo{
			Created:  created.Format(time.RFC3339),
			Creators: []spdx.Creator{{CreatorType: "Organization", Creator: "Regcred"}, {CreatorType: "Tool", Creator: "regcred-release-sbom"}},
		},
	}
	contents := sha256.New()
	known := map[spdx.ElementID]bool{}
	for _, b := range binaries {
		fmt.Fprintln(contents, b.sha256)
		id := elementID("Binary", b.name+"-"+b.platform)
		doc.Packages = append(doc.Packages, b.spdxPackage(id, version, licences[b.main]))
		doc.Relationships = append(doc.Relationships, relation("DOCUMENT", "DESCRIBES", id))
		parts := []*spdx.Package{standardLibraryOf(b)}
		for _, m := range b.modules {
			p, err := modulePackage(m.Path, m.Version, licences[m.Path])
			if err != nil {
				return nil, err
			}
			parts = append(parts, p)
		}
		for _, p := range parts {
			if !known[p.PackageSPDXIdentifier] {
				doc.Packages = append(doc.Packages, p)
				known[p.PackageSPDXIdentifier] = true
			}
			doc.Relationships = append(doc.Relationships, relation(id, "DEPENDS_ON", p.PackageSPDXIdentifier))
		}
	}
	slices.SortStableFunc(doc.Packages, func(a, b *spdx.Package) int {
		return strings.Compare(string(a.PackageSPDXIdentifier), string(b.PackageSPDXIdentifier))
	})
	// A namespace must be another one for another document; this one needs no chance to be so.
	doc.DocumentNamespace = fmt.Sprintf("%s/spdx/%s-%s", repository, version, hex.EncodeToString(contents.Sum(nil)))
	return doc, nil
}

func (b binary) spdxPackage(id spdx.ElementID, version, licence string) *spdx.Package {
	return &spdx.Package{
		PackageName:               b.name,
		PackageSPDXIdentifier:     id,
		PackageVersion:            version,
		PackageFileName:           b.name,
		PackageSummary:            "the binary for " + b.platform,
		PackageSupplier:           &spdx.Supplier{SupplierType: "Organization", Supplier: "Regcred"},
		PackageDownloadLocation:   repository + "/releases/tag/" + url.PathEscape(version),
		PackageChecksums:          []spdx.Checksum{{Algorithm: spdx.SHA256, Value: b.sha256}},
		PackageLicenseConcluded:   licence,
		PackageLicenseDeclared:    licence,
		PackageCopyrightText:      noAssertion,
		PrimaryPackagePurpose:     "APPLICATION",
		PackageExternalReferences: packageURL(b.main, version),
	}
}

func modulePackage(path, version, licence string) (*spdx.Package, error) {
	escapedPath, err := module.EscapePath(path)
	if err != nil {
		return nil, err
	}
	escapedVersion, err := module.EscapeVersion(version)
	if err != nil {
		return nil, err
	}
	return &spdx.Package{
		PackageName:               path,
		PackageSPDXIdentifier:     elementID("Module", path+"-"+version),
		PackageVersion:            version,
		PackageDownloadLocation:   "https://proxy.golang.org/" + escapedPath + "/@v/" + escapedVersion + ".zip",
		PackageLicenseConcluded:   licence,
		PackageLicenseDeclared:    licence,
		PackageCopyrightText:      noAssertion,
		PrimaryPackagePurpose:     "LIBRARY",
		PackageExternalReferences: packageURL(path, version),
	}, nil
}

func standardLibraryOf(b binary) *spdx.Package {
	version := strings.TrimPrefix(b.goVersion, "go")
	return &spdx.Package{
		PackageName:               standardLibrary,
		PackageSPDXIdentifier:     elementID("Module", standardLibrary+"-"+version),
		PackageVersion:            version,
		PackageDownloadLocation:   "https://go.dev/dl/" + b.goVersion + ".src.tar.gz",
		PackageLicenseConcluded:   "BSD-3-Clause",
		PackageLicenseDeclared:    "BSD-3-Clause",
		PackageCopyrightText:      noAssertion,
		PrimaryPackagePurpose:     "LIBRARY",
		PackageExternalReferences: packageURL(standardLibrary, version),
	}
}

func packageURL(path, version string) []*spdx.PackageExternalReference {
	// A plus in a version, as in +incompatible, must be escaped, and PathEscape leaves it.
	locator := "pkg:golang/" + path + "@" + strings.ReplaceAll(url.PathEscape(version), "+", "%2B")
	return []*spdx.PackageExternalReference{{Category: spdx.CategoryPackageManager, RefType: spdx.PackageManagerPURL, Locator: locator}}
}

var notInID = regexp.MustCompile(`[^a-zA-Z0-9.-]+`)

func elementID(kind, name string) spdx.ElementID {
	return spdx.ElementID(kind + "-" + notInID.ReplaceAllString(name, "-"))
}

func relation(from spdx.ElementID, kind string, to spdx.ElementID) *spdx.Relationship {
	return &spdx.Relationship{
		RefA: common.MakeDocElementID("", string(from)), RefB: common.MakeDocElementID("", string(to)), Relationship: kind,
	}
}

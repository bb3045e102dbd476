// A module of its own: what describes a binary is not what the binary links.
module github.com/regcred/regcred/release/sbom

go 1.26.0

require (
	github.com/google/go-cmp v0.7.0
	github.com/google/licensecheck v0.3.1
	github.com/spdx/tools-golang v0.5.7
	golang.org/x/mod v0.42.0
)

require github.com/anchore/go-struct-converter v0.1.0 // indirect

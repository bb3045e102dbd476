// Command sbom prints an SPDX 2.3 document of binaries of Regcred: what they hold by their own build information, under which licences.
// VERSION is that of the binaries, SOURCE_DATE_EPOCH the time that the document takes.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/spdx/tools-golang/json"
)

func main() {
	if err := run(context.Background(), os.Getenv("VERSION"), os.Getenv("SOURCE_DATE_EPOCH"), os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, version, epoch string, paths []string, out io.Writer) error {
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil {
		return fmt.Errorf("SOURCE_DATE_EPOCH must be the seconds since 1970: %w", err)
	}
	if version == "" || len(paths) == 0 {
		return fmt.Errorf("usage: VERSION=v1.2.3 SOURCE_DATE_EPOCH=%s sbom BINARY…", epoch)
	}
	var binaries []binary
	for _, path := range paths {
		b, err := readBinary(path)
		if err != nil {
			return err
		}
		binaries = append(binaries, b)
	}
	licences, err := licencesOf(ctx, binaries)
	if err != nil {
		return err
	}
	doc, err := document(version, time.Unix(seconds, 0).UTC(), binaries, licences)
	if err != nil {
		return err
	}
	return json.Write(doc, out, json.Indent("  "))
}

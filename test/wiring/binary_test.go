package wiring

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// gRPC, which the client of Google's API brings along, links golang.org/x/net/trace unless it is built with the tag grpcnotrace. Templates
// call methods by name, so with them the linker must keep every exported method of every type: a quarter of the executable.
func TestTheExecutableHasNoTemplatesThatKeepDeadMethods(t *testing.T) {
	executable, err := os.ReadFile(filepath.Join(world.Root, "bin", "regcred"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(executable, []byte("golang.org/x/net/trace")) {
		t.Error("it holds golang.org/x/net/trace: build it with -tags grpcnotrace")
	}
}

package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// The plugin decides with the controller's own packages, and carries no cloud's SDK and no controller.
func TestThePluginLinksNoCloud(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	linked := strings.Fields(string(out))
	for _, pkg := range linked {
		for _, forbidden := range []string{
			"github.com/aws/", "cloud.google.com/", "google.golang.org/api", "github.com/Azure/azure-sdk", "google.golang.org/grpc",
			"sigs.k8s.io/controller-runtime/pkg/manager", "github.com/regcred/regcred/providers/broker", "github.com/regcred/regcred/controllers/target", "testing",
		} {
			if pkg == strings.TrimSuffix(forbidden, "/") || strings.HasPrefix(pkg, strings.TrimSuffix(forbidden, "/")+"/") {
				t.Errorf("it links %s", pkg)
			}
		}
	}
	if !slices.Contains(linked, "github.com/regcred/regcred/controllers/diagnosis") {
		t.Error("it does not decide with controllers/diagnosis")
	}
}

package controlplane

import (
	"context"
	"fmt"
	"os"
	"testing"
)

// RunTests is for TestMain: it starts one control plane for the package, hands it to use, runs the tests and gives the exit
// code. Without the binaries it fails and says how to get them; it never skips.
//
//	func TestMain(m *testing.M) {
//		os.Exit(controlplane.RunTests(m, controlplane.Options{}, func(started *controlplane.ControlPlane) { cp = started }))
//	}
func RunTests(m *testing.M, opts Options, use func(*ControlPlane)) int {
	cp, err := Start(context.Background(), opts)
	if err != nil {
		fmt.Fprintln(os.Stderr, "control plane:", err)
		return 1
	}
	use(cp)
	code := m.Run()
	if err := cp.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "control plane:", err)
		code = max(code, 1)
	}
	return code
}

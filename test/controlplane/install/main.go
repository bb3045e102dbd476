// Command install makes sure that the binaries of a Kubernetes control plane, or of Prometheus, are on this machine and prints the
// directory that holds them, for use as KUBEBUILDER_ASSETS. Without arguments it installs what envtest needs.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/regcred/regcred/test/controlplane/assets"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "install:", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	names := os.Args[1:]
	if len(names) == 0 {
		names = []string{assets.Etcd, assets.APIServer, assets.Kubectl}
	}
	dir, err := assets.Ensure(ctx, os.Stderr, names...)
	if err != nil {
		return err
	}
	fmt.Println(dir)
	return nil
}

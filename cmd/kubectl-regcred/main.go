// Command kubectl-regcred is a plugin of kubectl for those who look after the image pull credentials of a cluster.
package main

import (
	"context"
	"os"
	"os/signal"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cli"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/command"
)

// version is set by the linker.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := command.Run(ctx, cli.New(version), os.Args[1:])
	stop()
	os.Exit(code)
}

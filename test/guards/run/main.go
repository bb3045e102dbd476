// Command run takes away every guard of the product, one after the other, and prints which test notices. Its argument is a pattern for their names.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/regcred/regcred/test/guards"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	missed, err := run(ctx, strings.Join(os.Args[1:], " "))
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "guards:", err)
		os.Exit(1)
	}
	if missed > 0 {
		fmt.Fprintf(os.Stderr, "guards: %d can go without a test that notices\n", missed)
		os.Exit(1)
	}
}

func run(ctx context.Context, pattern string) (missed int, err error) {
	selected, err := regexp.Compile(pattern)
	if err != nil {
		return 0, err
	}
	root, err := os.Getwd()
	if err != nil {
		return 0, err
	}
	all, err := guards.All()
	if err != nil {
		return 0, err
	}
	all = slices.DeleteFunc(all, func(g guards.Guard) bool { return !selected.MatchString(g.Name) })
	runner := guards.Runner{Root: root}
	runner.Sound(ctx, all)
	for _, g := range all {
		if ctx.Err() != nil {
			break
		}
		verdict := "noticed by " + g.Noticing()
		if err := runner.Missed(ctx, g); err != nil {
			verdict = "MISSED: " + err.Error()
			missed++
		}
		fmt.Printf("%-72s %s\n", g.Name, verdict)
	}
	return missed, ctx.Err()
}

package plugin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"strings"
	"syscall"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

// terminal is an error that only a change of the entry can mend, or of the controller's configuration, with which it is restarted.
func terminal(format string, args ...any) *providers.Error {
	return &providers.Error{Reason: v1alpha1.ReasonInvalidRequest, Terminal: true, Err: fmt.Errorf(format, args...)}
}

func notConfigured(name string, known []string) *providers.Error {
	return terminal("plugin %s is not set up in this controller, only: %s; name one of these, or have it added to "+
		"the controller's --image-credential-provider-config", name, shortened(known))
}

func noMatch(p *plugin, image string) *providers.Error {
	return terminal("plugin %s is not for %s, only for: %s; change plugin.image, or have the image added to matchImages in "+
		"the controller's --image-credential-provider-config", p.name, shorten(image), shortened(p.config.MatchImages))
}

// shortened lists the first few: a message ends up in status.
func shortened(all []string) string {
	const few = 5
	if len(all) <= few {
		return strings.Join(all, ", ")
	}
	return strings.Join(all[:few], ", ") + fmt.Sprintf(" and %d more", len(all)-few)
}

func shorten(image string) string {
	const enough = 100
	if len(image) <= enough {
		return image
	}
	return image[:enough] + "…"
}

func (p *plugin) invalidResponse(what string) *providers.Error {
	return providers.Errorf(v1alpha1.ReasonInvalidResponse, "plugin %s %s", p.name, what)
}

// explain says why a plugin has not answered. What the plugin itself says stays unsaid: it may quote tokens.
func (p *plugin) explain(image string, err error) *providers.Error {
	if errors.Is(err, errTooLarge) {
		return p.invalidResponse("answered with more than 256 KiB, and was ended")
	}
	// A plugin that runs and fails was asked something that it has no answer to. One that does not run has none for anybody.
	scope := providers.ScopeEndpoint
	what := "could not be executed; see the limits of the controller's pod for memory and processes"
	exit, exited := errors.AsType[*exec.ExitError](err)
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		what = "did not answer in time and was ended; check its endpoint, its proxy and the network policies of the controller"
	case exited && exit.Exited():
		scope = providers.ScopeRequest
		what = fmt.Sprintf("failed for %s with exit code %d; check what the identity may do, and args and env of the plugin in the controller's "+
			"--image-credential-provider-config: run there by hand, it says more", shorten(image), exit.ExitCode())
	case exited:
		scope = providers.ScopeRequest
		what = fmt.Sprintf("was ended by a signal (%s); see the memory limit of the controller's pod", exit.ProcessState)
	case errors.Is(err, exec.ErrWaitDelay):
		what = "ended and left a process behind that holds its output open; this is for its authors to mend"
	case errors.Is(err, fs.ErrNotExist):
		what = "cannot be executed: its file is gone, or needs an interpreter or a dynamic linker that the controller's image lacks"
	case errors.Is(err, fs.ErrPermission):
		what = "cannot be executed: its file must be executable for the controller's user"
	case errors.Is(err, syscall.ENOEXEC):
		what = "cannot be executed: its file is not a program for this machine"
	}
	return &providers.Error{Reason: v1alpha1.ReasonUnavailable, Scope: scope, Err: fmt.Errorf("plugin %s %s", p.name, what)}
}

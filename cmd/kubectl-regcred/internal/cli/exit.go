package cli

import "fmt"

// The exit codes. Of several that apply the command ends with the first of: Failure, Findings, Undecided.
const (
	Fine        = 0
	Findings    = 1
	Failure     = 2
	Undecided   = 3
	TimedOut    = 124
	Interrupted = 130
)

// Exit is how a command ends that has said all there is to say: with this code, and no further message.
type Exit int

func (e Exit) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// Unread is an error that comes of a lack of rights: what it says could not be read. The command ends with Undecided.
type Unread string

func (u Unread) Error() string { return string(u) }

// ExitWith is what a command returns that has or has not found something, and has or has not read enough to know.
func ExitWith(findings, undecided bool) error {
	switch {
	case findings:
		return Exit(Findings)
	case undecided:
		return Exit(Undecided)
	default:
		return nil
	}
}

package lab

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// process starts something in place of a controller. It ends once a file is there, whose name it is given.
func process(t *testing.T, l *Lab) (c *Controller, end string) {
	t.Helper()
	end = filepath.Join(t.TempDir(), "end")
	const script = `until [ -e "$0" ]; do sleep 0.01; done; seq 1000; echo address already in use; exit 7`
	c, err := spawn("/bin/sh", []string{"-c", script, end}, nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	go l.look(c)
	return c, end
}

func newLab() *Lab {
	l := &Lab{}
	l.up, l.fall = context.WithCancelCause(context.Background())
	return l
}

func TestWhoWaitsLearnsThatAControllerHasEndedByItself(t *testing.T) {
	l := newLab()
	ctx, cancel := l.WhileUp(t.Context())
	defer cancel()
	_, end := process(t, l)
	if err := os.WriteFile(end, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	<-ctx.Done()
	why := context.Cause(ctx)
	if why == nil || !strings.Contains(why.Error(), "exit status 7") || !strings.HasSuffix(why.Error(), "address already in use\n") || len(why.Error()) > 2*logEnd {
		t.Errorf("the cause is %v", why)
	}
	later, cancel := l.WhileUp(t.Context())
	defer cancel()
	if <-later.Done(); !errors.Is(context.Cause(later), why) {
		t.Errorf("who begins to wait later is told %v", context.Cause(later))
	}
}

func TestAnEndThatWasMeantIsNoNews(t *testing.T) {
	for name, end := range map[string]func(c *Controller, end string) error{
		"killed": func(c *Controller, _ string) error { return c.Kill() },
		"stopped": func(c *Controller, _ string) error {
			_ = c.Stop() // it says that a signal has ended it
			return nil
		},
		"awaited": func(c *Controller, end string) error {
			c.MayEnd()
			return os.WriteFile(end, nil, 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab()
			c, file := process(t, l)
			if err := end(c, file); err != nil {
				t.Fatal(err)
			}
			<-c.done
			l.look(c)
			if err := context.Cause(l.up); err != nil {
				t.Error(err)
			}
		})
	}
}

// A suite may close the log before it stops its controllers.
func TestALogThatIsClosedEndsNobody(t *testing.T) {
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	kept := &tail{to: log}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := kept.Write([]byte("late")); n != 4 || err != nil || string(kept.end()) != "late" {
		t.Errorf("%d bytes are written, %v, and %q is kept", n, err, kept.end())
	}
}

package plugin

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// The test's own binary is also a plugin, which misbehaves as its environment says: tests link it into their plugin directory.
const (
	fakeDoes     = "FAKE_DOES"
	fakeAnswer   = "FAKE_ANSWER"
	fakeObserved = "FAKE_OBSERVED"
	fakeTimes    = "FAKE_TIMES" // how often the answer is given; absent for once
	fakeCode     = "FAKE_CODE"
	fakeAddress  = "FAKE_ADDRESS"
	fakeSecret   = "FAKE_SECRET"
)

func TestMain(m *testing.M) {
	if does := os.Getenv(fakeDoes); does != "" {
		fakePlugin(does)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// observed is what a plugin sees.
type observed struct {
	Args, Env []string
	Input     string
}

func fakePlugin(does string) {
	if path := os.Getenv(fakeObserved); path != "" {
		input, _ := io.ReadAll(os.Stdin)
		raw, _ := json.Marshal(observed{Args: os.Args[1:], Env: os.Environ(), Input: string(input)})
		_ = os.WriteFile(path, raw, 0o600)
	}
	switch does {
	case "answer":
		times, _ := strconv.Atoi(os.Getenv(fakeTimes))
		_, _ = io.WriteString(os.Stdout, strings.Repeat(os.Getenv(fakeAnswer), max(times, 1)))
	case "fail":
		_, _ = io.WriteString(os.Stdout, os.Getenv(fakeAnswer))
		_, _ = io.WriteString(os.Stderr, "the service said: "+os.Getenv(fakeSecret)+"\n")
		code, _ := strconv.Atoi(os.Getenv(fakeCode))
		os.Exit(code)
	case "die":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	case "flood":
		_ = os.Setenv(fakeDoes, "hold")
		child()
		for block := []byte(strings.Repeat(os.Getenv(fakeSecret), 1000)); ; {
			if _, err := os.Stdout.Write(block); err != nil {
				hold()
			}
		}
	case "hold":
		hold()
	case "hang":
		_ = os.Setenv(fakeDoes, "hold")
		child()
		hold()
	case "leave":
		_ = os.Setenv(fakeDoes, "hold")
		child()
		_, _ = io.WriteString(os.Stdout, os.Getenv(fakeAnswer))
	}
}

// hold tells the test that it is there, and stays for as long as the test does.
func hold() {
	connection, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", os.Getenv(fakeAddress))
	if err != nil {
		os.Exit(9)
	}
	_, _ = io.WriteString(connection, strconv.Itoa(os.Getpid())+"\n")
	_, _ = io.WriteString(os.Stderr, "here\n")
	_, _ = io.Copy(io.Discard, connection)
	os.Exit(0)
}

// child starts another one of its kind, which keeps the standard output, and waits until it is there.
func child() {
	cmd := exec.Command(os.Args[0]) //nolint:noctx // it is to outlive its parent
	cmd.Stdout = os.Stdout
	here, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err == nil {
		_, err = here.Read(make([]byte, 1))
	}
	if err != nil {
		os.Exit(9)
	}
}

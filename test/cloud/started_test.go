package cloud

import (
	"io"
	"testing"
)

// started is a cloud that is closed when the test ends.
func started[C io.Closer, O any](t *testing.T, start func(O) (C, error), opts O) C {
	t.Helper()
	c, err := start(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

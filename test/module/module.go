// Package module fetches what other projects publish as modules of Go, such as the kinds that they define.
package module

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
)

// Download has Go fetch a module, checked by the sum database, and says where it is.
func Download(ctx context.Context, module string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", module)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var answer struct{ Dir, Error string }
	if json.Unmarshal(out, &answer) == nil && answer.Dir != "" {
		return answer.Dir, nil
	}
	return "", fmt.Errorf("downloading %s: %w: %s%s", module, err, answer.Error, stderr.String())
}

package controlplane

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"syscall"

	"github.com/regcred/regcred/test/controlplane/assets"
)

// Crash ends etcd (assets.Etcd) or the API server (assets.APIServer) as kill -9 does, and starts it again on what it has left behind.
// Without etcd the API server waits; without the API server nobody's watch lives on.
func (cp *ControlPlane) Crash(name string) error {
	part := map[string]interface {
		Start() error
		Stop() error
	}{assets.Etcd: cp.env.ControlPlane.Etcd, assets.APIServer: cp.env.ControlPlane.GetAPIServer()}[name]
	if part == nil {
		return fmt.Errorf("%s cannot crash", name)
	}
	content, err := os.ReadFile(cp.pidFile(name))
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(content)))
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return fmt.Errorf("killing %s: %w", name, err)
	}
	_ = part.Stop() // waits for its end, and may be too late to signal it
	return part.Start()
}

// Compact makes etcd forget all revisions but the last, as the API server has it do every five minutes: whoever has seen less must list anew.
func (cp *ControlPlane) Compact(ctx context.Context) error {
	var latest struct {
		Header struct{ Revision string }
	}
	if err := cp.askEtcd(ctx, "/v3/kv/range", `{"key":"AA==","limit":"1"}`, &latest); err != nil {
		return err
	}
	return cp.askEtcd(ctx, "/v3/kv/compaction", fmt.Sprintf(`{"revision":%q,"physical":true}`, latest.Header.Revision), nil)
}

// askEtcd talks to etcd's gRPC gateway.
func (cp *ControlPlane) askEtcd(ctx context.Context, path, body string, answer any) error {
	url := cp.env.ControlPlane.Etcd.URL.String() + path
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	content, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("etcd: %s: %s: %s", path, res.Status, content)
	}
	if err != nil || answer == nil {
		return err
	}
	return json.Unmarshal(content, answer)
}

package controlplane

import (
	"errors"
	"os"
	"path/filepath"
)

// Snapshot copies what etcd holds, and says where; the copy lives until Stop. etcd is stopped for it, and the API server waits.
func (cp *ControlPlane) Snapshot() (string, error) {
	etcd := cp.env.ControlPlane.Etcd
	snapshot, err := os.MkdirTemp(cp.dir, "snapshot-")
	if err != nil {
		return "", err
	}
	if err := etcd.Stop(); err != nil {
		return "", err
	}
	return snapshot, errors.Join(os.CopyFS(filepath.Join(snapshot, "etcd"), os.DirFS(etcd.DataDir)), etcd.Start())
}

// Restore takes the cluster back to a snapshot. The API server is stopped for it, as an administrator has to do: its caches know what came
// after. Whoever watches must be started anew, too.
func (cp *ControlPlane) Restore(snapshot string) error {
	etcd, server := cp.env.ControlPlane.Etcd, cp.env.ControlPlane.GetAPIServer()
	if err := errors.Join(server.Stop(), etcd.Stop(), os.RemoveAll(etcd.DataDir)); err != nil {
		return err
	}
	if err := os.CopyFS(etcd.DataDir, os.DirFS(filepath.Join(snapshot, "etcd"))); err != nil {
		return err
	}
	if err := etcd.Start(); err != nil {
		return err
	}
	return server.Start()
}

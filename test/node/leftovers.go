package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// cgroupHierarchies are where the machine's cgroup file systems are mounted: one for version 2, one per controller for version 1.
func cgroupHierarchies() ([]string, error) {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return nil, err
	}
	var points []string
	for line := range strings.Lines(string(mounts)) {
		fields := strings.Fields(line)
		if len(fields) > 2 && (fields[2] == "cgroup" || fields[2] == "cgroup2") {
			points = append(points, fields[1])
		}
	}
	return points, nil
}

// removeCgroups removes the cgroups of containers that were killed: runc, which has made them, has no more to say.
func removeCgroups(containers []string) error {
	points, err := cgroupHierarchies()
	if err != nil {
		return err
	}
	var errs []error
	for _, point := range points {
		parent := filepath.Join(point, containerdNamespace)
		for _, container := range containers {
			errs = append(errs, removeCgroup(filepath.Join(parent, container)))
		}
		_ = os.Remove(parent) // it stays if another containerd has containers in it
	}
	return errors.Join(errs...)
}

// cgroupGrace is for the kernel, which gives up a cgroup shortly after its last process has ended.
const cgroupGrace = 10 * time.Second

// removeCgroup removes a tree by rmdir alone: the files in a cgroup cannot be removed.
func removeCgroup(top string) error {
	var dirs []string
	err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			dirs = append(dirs, path)
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, dir := range slices.Backward(dirs) {
		for deadline := time.Now().Add(cgroupGrace); ; time.Sleep(20 * time.Millisecond) {
			if err = os.Remove(dir); err == nil || errors.Is(err, fs.ErrNotExist) {
				break
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("removing a container's cgroup: %w", err)
			}
		}
	}
	return nil
}

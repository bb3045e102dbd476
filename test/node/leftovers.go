package node

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// tunables are what the kubelet sets on the machine at its start, and nobody sets back (kubernetes pkg/kubelet/cm,
// setupKernelTunables).
var tunables = []string{
	"vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops", "kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes",
}

const sysctls = "/proc/sys"

func readTunables() (map[string][]byte, error) {
	values := map[string][]byte{}
	for _, name := range tunables {
		value, err := os.ReadFile(filepath.Join(sysctls, name))
		if err != nil {
			return nil, err
		}
		values[name] = value
	}
	return values, nil
}

func restoreTunables(values map[string][]byte) error {
	var errs []error
	for name, value := range values {
		errs = append(errs, os.WriteFile(filepath.Join(sysctls, name), value, 0))
	}
	return errors.Join(errs...)
}

// cgroupHierarchies are where the machine's cgroup file systems are mounted: one for version 2, one per controller for version 1.
func cgroupHierarchies() ([]string, error) {
	mounts, err := os.Open("/proc/self/mounts")
	if err != nil {
		return nil, err
	}
	defer mounts.Close()
	var points []string
	for lines := bufio.NewScanner(mounts); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) > 2 && (fields[2] == "cgroup" || fields[2] == "cgroup2") {
			points = append(points, fields[1])
		}
	}
	return points, nil
}

// cgroupGrace is for the kernel, which gives up a cgroup shortly after its last process has ended.
const cgroupGrace = 10 * time.Second

// removeCgroups removes the named cgroup, which holds no process any more, from every hierarchy.
func removeCgroups(name string) error {
	points, err := cgroupHierarchies()
	if err != nil {
		return err
	}
	var errs []error
	for _, point := range points {
		errs = append(errs, removeCgroup(filepath.Join(point, name)))
	}
	return errors.Join(errs...)
}

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
		// Only rmdir works here: the files in a cgroup cannot be removed.
		for deadline := time.Now().Add(cgroupGrace); ; time.Sleep(20 * time.Millisecond) {
			if err = os.Remove(dir); err == nil || errors.Is(err, fs.ErrNotExist) {
				break
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("removing the node's cgroup: %w", err)
			}
		}
	}
	return nil
}

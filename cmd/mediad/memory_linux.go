package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// cgroupRoot is where Linux shows the bounds of groups of processes.
const cgroupRoot = "/sys/fs/cgroup"

// memoryLimit is how much memory this process may have: what the machine has, or the least that a group of processes that it is in may.
func memoryLimit() (uint64, error) {
	var machine syscall.Sysinfo_t
	if err := syscall.Sysinfo(&machine); err != nil {
		return 0, err
	}
	limit := machine.Totalram * uint64(machine.Unit)
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return limit, nil //nolint:nilerr // where there are no groups the machine is the bound
	}
	return groupLimit(cgroupRoot, string(groups), limit), nil
}

// groupLimit is the least of most and what the groups allow, as /proc/self/cgroup names them: 0::/path of version 2, N:memory:/path of version 1.
func groupLimit(root, groups string, most uint64) uint64 {
	for line := range strings.Lines(groups) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		base, file := root, "memory.max"
		switch {
		case parts[1] == "" && parts[0] == "0":
		case parts[1] == "memory":
			base, file = filepath.Join(root, "memory"), "memory.limit_in_bytes"
		default:
			continue
		}
		// A group's own is bounded by those above it. In a container the path may be that of the host, and the group is the root.
		for dir := filepath.Clean("/" + parts[2]); ; dir = filepath.Dir(dir) {
			text, err := os.ReadFile(filepath.Join(base, dir, file))
			if limit, bad := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64); err == nil && bad == nil && limit > 0 {
				most = min(most, limit)
			}
			if dir == "/" {
				break
			}
		}
	}
	return most
}

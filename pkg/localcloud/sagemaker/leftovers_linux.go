package sagemaker

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"syscall"
)

func groupOf(pid int) group {
	return group{PID: pid, Start: startOf(pid), Boot: bootID()}
}

// kill ends the group if it is still the one that was started: its first
// process has the same start, or is gone while others of the group are not. A
// number is not given to a new process while a group bears it.
func (g group) kill() bool {
	start := startOf(g.PID)
	if g.Boot != bootID() || start != "" && start != g.Start {
		return false
	}
	return syscall.Kill(-g.PID, syscall.SIGKILL) == nil
}

// startOf is the 22nd field of /proc/PID/stat; the second, a name in brackets,
// may hold anything.
func startOf(pid int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 {
		return ""
	}
	return string(fields[19])
}

func bootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
}

package sagemaker

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
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

// killSandboxes ends the sandboxes that work in the folder, and says how many
// there were. A sandbox ties its life to that of its cloud in its first
// moments: one whose cloud was killed even earlier is found by its command line.
func killSandboxes(work string) int {
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return 0
	}
	killed := 0
	for _, path := range lines {
		line, err := os.ReadFile(path)
		if err != nil || !sandboxIn(line, work) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err == nil && syscall.Kill(pid, syscall.SIGKILL) == nil {
			killed++
		}
	}
	return killed
}

// sandboxIn says whether a command line is that of a sandbox with a folder below work.
func sandboxIn(line []byte, work string) bool {
	program, arguments, _ := bytes.Cut(line, []byte{0})
	return filepath.Base(string(program)) == "bwrap" && bytes.Contains(arguments, []byte("\x00"+work+"/"))
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

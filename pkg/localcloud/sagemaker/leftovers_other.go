//go:build !linux

package sagemaker

// Without /proc nothing tells a process from a later one of the same number,
// so nothing is killed.

func groupOf(pid int) group { return group{PID: pid} }

func (group) kill() bool { return false }

func killSandboxes(string) int { return 0 }

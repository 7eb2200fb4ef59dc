//go:build peers

package e2e_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestPeerScripts runs the scripts that need root.
func TestPeerScripts(t *testing.T) {
	runScripts(t, filepath.Join("testdata", "peers"), map[string]func(*testscript.TestScript, bool, []string){
		"tmpfs": tmpfs,
		"fill":  fill,
	})
}

// tmpfs mounts a small disk for the rest of the script: tmpfs DIR SIZE.
func tmpfs(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	ts.Check(syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+args[1]))
	ts.Defer(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
}

// fill writes to a file until its disk is full: fill FILE.
func fill(ts *testscript.TestScript, _ bool, args []string) {
	file, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	block := make([]byte, 4096)
	for err == nil {
		_, err = file.Write(block)
	}
	ts.Check(file.Close())
}

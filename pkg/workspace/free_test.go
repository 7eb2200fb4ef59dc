package workspace_test

import (
	"path/filepath"
	"testing"

	"gitlab.com/towline/towline/pkg/workspace"
)

func TestFree(t *testing.T) {
	dir := t.TempDir()
	here, err := workspace.Free(dir)
	if err != nil || here == 0 {
		t.Errorf("Free = %d, %v", here, err)
	}
	if _, err := workspace.Free(filepath.Join(dir, "not", "yet")); err != nil {
		t.Errorf("Free of a folder that would be made = %v", err)
	}
	if _, err := workspace.Free("\x00"); err == nil {
		t.Error("Free of no folder is measured")
	}
}

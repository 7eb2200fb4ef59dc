package bundle

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A bill of materials rests on what is kept of a layer: nothing is, rather than
// an empty list, if what was packed cannot be read again.
func TestContentsThatCannotBeReadAreNotKept(t *testing.T) {
	const metadata = "Metadata-Version: 2.1\nName: towdep\nVersion: 1.0\n"
	broken := errors.New("broken")
	b := New(Options{Cache: t.TempDir()})
	if err := os.MkdirAll(b.blobFolder(), 0o755); err != nil {
		t.Fatal(err)
	}
	pack := func(goodReads int) error {
		it := item{path: libFolder + "/towdep-1.0.dist-info/METADATA", mode: 0o644, size: int64(len(metadata))}
		it.open = func() (io.ReadCloser, error) {
			if goodReads--; goodReads < 0 {
				return nil, broken
			}
			return io.NopCloser(strings.NewReader(metadata)), nil
		}
		_, err := b.packDependencies(context.Background(), []group{{about: "dependencies: towdep 1.0", items: []item{it}}}, "key", nil)
		return errors.Join(err, b.chores.wait())
	}
	kept := func() int {
		list, err := filepath.Glob(filepath.Join(b.o.Cache, "contents", "*.json"))
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	if err := pack(1); !errors.Is(err, broken) || kept() != 0 {
		t.Errorf("packDependencies() = %v with %d lists kept, want %v and none", err, kept(), broken)
	}
	if err := pack(2); err != nil || kept() != 1 {
		t.Errorf("packDependencies() = %v with %d lists kept, want one", err, kept())
	}
}

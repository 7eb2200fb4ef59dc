package store_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/towline/towline/pkg/localcloud/store"
)

type row struct{ Value string }

func open(t *testing.T, dir string) *store.Table[row] {
	t.Helper()
	table, err := store.Open[row](dir)
	if err != nil {
		t.Fatalf("Open = %v", err)
	}
	return table
}

func TestRowsComeBack(t *testing.T) {
	dir := t.TempDir()
	table := open(t, dir)
	for _, name := range []string{"a", "b", "c"} {
		if err := table.Insert(name, row{name}); err != nil {
			t.Fatalf("Insert(%s) = %v", name, err)
		}
	}
	if err := table.Insert("a", row{"again"}); !errors.Is(err, store.ErrExists) {
		t.Errorf("Insert of a taken name = %v, want ErrExists", err)
	}
	if got, err := table.Update("b", func(r *row) error { r.Value = "changed"; return nil }); err != nil || got.Value != "changed" {
		t.Errorf("Update = %v, %v", got, err)
	}
	refused := errors.New("refused")
	if _, err := table.Update("a", func(r *row) error { r.Value = "lost"; return refused }); !errors.Is(err, refused) {
		t.Errorf("Update that is refused = %v", err)
	}
	if _, err := table.Update("none", func(*row) error { return nil }); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Update of no row = %v, want ErrNotExist", err)
	}
	for name, want := range map[string]bool{"c": true, "none": false} {
		if found, err := table.Delete(name); err != nil || found != want {
			t.Errorf("Delete(%s) = %v, %v, want %v", name, found, err, want)
		}
	}
	got := map[string]string{}
	for _, r := range open(t, dir).All() {
		got[r.Value] = r.Value
	}
	if diff := cmp.Diff(map[string]string{"a": "a", "changed": "changed"}, got); diff != "" {
		t.Errorf("rows after a restart (-want +got):\n%s", diff)
	}
}

func TestAHalfWrittenFileIsNotARow(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, ".a.json123"), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if rows := open(t, dir).All(); len(rows) != 0 {
		t.Errorf("All = %v, want nothing", rows)
	}
	if err := os.WriteFile(filepath.Join(dir, "b.json"), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open[row](dir); err == nil {
		t.Error("Open of a damaged row = nil, want an error that names the file")
	}
}

func TestARowThatTheDiskWillNotTake(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "rows")
	table := open(t, dir)
	if err := table.Insert("kept", row{"before"}); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := table.Insert("new", row{}); err == nil {
		t.Error("Insert without a folder = nil, want an error")
	}
	if _, found := table.Get("new"); found {
		t.Error("a row that is not on disk is there")
	}
	if _, err := table.Update("kept", func(r *row) error { r.Value = "after"; return nil }); err == nil {
		t.Error("Update without a folder = nil, want an error")
	}
	if got, _ := table.Get("kept"); got.Value != "after" {
		t.Errorf("Get = %v, want what happened", got)
	}
}

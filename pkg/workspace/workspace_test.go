package workspace_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/manifest"
	"gitlab.com/towline/towline/pkg/record"
	"gitlab.com/towline/towline/pkg/workspace"
)

func models(names ...string) manifest.Manifest {
	m := manifest.Manifest{Project: "demo"}
	for _, name := range names {
		m.Models = append(m.Models, manifest.Model{Name: name})
	}
	return m
}

func recordOf(model, version string) record.Record {
	return record.Record{
		Schema: record.Schema, Project: "demo", Model: model,
		Version: record.Version{Version: version, Reason: []record.Reason{}},
	}
}

func open(t *testing.T) (*workspace.Workspace, string) {
	t.Helper()
	root := t.TempDir()
	w, err := workspace.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	return w, root
}

// tree lists the files below a folder.
func tree(t *testing.T, root string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			path, err = filepath.Rel(root, path)
			files = append(files, filepath.ToSlash(path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestOneModelLiesAtTheTop(t *testing.T) {
	w, root := open(t)
	if got := tree(t, root); got != nil {
		t.Errorf("Open wrote %v", got)
	}
	m := models("flowers")
	if err := w.SaveVersions(m, []record.Record{recordOf("flowers", "0.1.0")}); err != nil {
		t.Fatal(err)
	}
	want := []string{".towline/.gitignore", ".towline/release.env", ".towline/release.json"}
	if diff := cmp.Diff(want, tree(t, root)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	got, err := w.ReadRecord(m, "flowers")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(recordOf("flowers", "0.1.0"), got); diff != "" {
		t.Errorf("ReadRecord (-want +got):\n%s", diff)
	}
	ignore, err := os.ReadFile(filepath.Join(root, ".towline", ".gitignore"))
	if err != nil || string(ignore) != "*\n" {
		t.Errorf(".gitignore is %q, %v", ignore, err)
	}
	for _, tt := range []struct{ got, want string }{
		{w.Image(m, "flowers"), ".towline/image"}, {w.Reports(m, "flowers"), ".towline/reports"},
		{w.Plan(m, "flowers"), ".towline/plan.json"}, {w.Local(), ".towline/local"},
		{w.Env(m, "flowers"), ".towline/release.env"}, {w.Record(m, "flowers"), ".towline/release.json"},
	} {
		if want := filepath.Join(root, filepath.FromSlash(tt.want)); tt.got != want {
			t.Errorf("path %s, want %s", tt.got, want)
		}
	}
}

func TestSeveralModelsDoNotMeet(t *testing.T) {
	w, root := open(t)
	m := models("a", "b-c")
	if err := w.SaveVersions(m, []record.Record{recordOf("a", "1.0.0"), recordOf("b-c", "2.0.0")}); err != nil {
		t.Fatal(err)
	}
	index, err := os.ReadFile(filepath.Join(root, ".towline", "release.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.SaveRecord(m, recordOf("b-c", "2.0.1")); err != nil {
		t.Fatal(err)
	}
	want := []string{
		".towline/.gitignore", ".towline/a/release.env", ".towline/a/release.json",
		".towline/b-c/release.env", ".towline/b-c/release.json", ".towline/release.json",
	}
	if diff := cmp.Diff(want, tree(t, root)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	after, err := os.ReadFile(filepath.Join(root, ".towline", "release.json"))
	if err != nil || !cmp.Equal(index, after) {
		t.Errorf("SaveRecord changed the index: %v", err)
	}
	read, err := record.UnmarshalIndex(after)
	if err != nil || len(read.Models) != 2 || read.Models[1].Version.Version != "2.0.0" {
		t.Errorf("UnmarshalIndex = %+v, %v", read, err)
	}
	env, err := os.ReadFile(w.Env(m, "b-c"))
	if err != nil || !strings.HasPrefix(string(env), "TOWLINE_B_C_VERSION=2.0.1\n") {
		t.Errorf("the dotenv form is %q, %v", env, err)
	}
}

func TestARecordThatCannotBeUsed(t *testing.T) {
	w, root := open(t)
	m := models("flowers")
	_, err := w.ReadRecord(m, "flowers")
	if fault.KindOf(err) != fault.Missing || err.Error() != "no .towline/release.json from an earlier job" || fault.HintOf(err) == "" {
		t.Errorf("ReadRecord = %v, kind %v, hint %q", err, fault.KindOf(err), fault.HintOf(err))
	}
	if _, ok := w.LoadRecord(m, "flowers"); ok {
		t.Error("LoadRecord finds one")
	}
	if err := w.SaveRecord(m, recordOf("flowers", "1.0.0")); err != nil {
		t.Fatal(err)
	}
	if _, err := w.ReadRecord(manifest.Manifest{Project: "other", Models: m.Models}, "flowers"); fault.KindOf(err) != fault.Repository {
		t.Errorf("ReadRecord of another project's = %v", err)
	}
	if err := os.WriteFile(filepath.Join(root, ".towline", "release.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := w.ReadRecord(m, "flowers"); fault.KindOf(err) != fault.Repository {
		t.Errorf("ReadRecord of a broken file = %v", err)
	}
	if err := w.SaveRecord(m, recordOf("../x", "1.0.0")); fault.KindOf(err) != fault.Bug {
		t.Errorf("SaveRecord of an unknown model = %v", err)
	}
}

func TestLinksDoNotLeadOut(t *testing.T) {
	elsewhere := t.TempDir()
	link := func(t *testing.T, name string) (*workspace.Workspace, error) {
		root := t.TempDir()
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(elsewhere, path); err != nil {
			t.Fatal(err)
		}
		return workspace.Open(root)
	}
	if _, err := link(t, ".towline"); fault.KindOf(err) != fault.Repository {
		t.Errorf("Open of a link = %v", err)
	}
	w, err := link(t, ".towline/reports")
	if err != nil {
		t.Fatal(err)
	}
	if err := workspace.WriteFile(filepath.Join(w.Reports(models("a"), "a"), "x.html"), nil); err == nil {
		t.Error("WriteFile follows a link out of the workspace")
	}
	w, err = link(t, ".towline/lock")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Lock(t.Context(), time.Second); fault.KindOf(err) != fault.Repository {
		t.Errorf("Lock through a link = %v", err)
	}
	if got := tree(t, elsewhere); got != nil {
		t.Errorf("outside there is %v", got)
	}
}

func TestWriteFileMakesFoldersAndReplaces(t *testing.T) {
	w, root := open(t)
	path := filepath.Join(w.Reports(models("a"), "a"), "deep", "gate.md")
	for _, body := range []string{"one", "two"} {
		if err := workspace.WriteFile(path, []byte(body)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != body {
			t.Errorf("the file holds %q, %v, want %q", got, err, body)
		}
	}
	want := []string{".towline/.gitignore", ".towline/reports/deep/gate.md"}
	if diff := cmp.Diff(want, tree(t, root)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if err := workspace.WriteFile(filepath.Join(root, "x"), nil); fault.KindOf(err) != fault.Bug {
		t.Errorf("WriteFile outside = %v", err)
	}
}

func TestLockKeepsOthersOut(t *testing.T) {
	w, root := open(t)
	unlock, err := w.Lock(t.Context(), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	other, err := workspace.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	_, err = other.Lock(t.Context(), 80*time.Millisecond)
	if fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), "another towline is working here (pid ") {
		t.Errorf("Lock of a locked workspace = %v, kind %v", err, fault.KindOf(err))
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := other.Lock(cancelled, time.Minute); !errors.Is(err, context.Canceled) {
		t.Errorf("Lock after Ctrl-C = %v", err)
	}
	time.AfterFunc(60*time.Millisecond, unlock)
	again, err := other.Lock(t.Context(), 10*time.Second)
	if err != nil {
		t.Fatalf("Lock of one that is given up: %v", err)
	}
	again()
}

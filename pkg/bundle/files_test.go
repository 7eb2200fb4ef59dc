package bundle_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/towline/towline/pkg/bundle"
	"gitlab.com/towline/towline/pkg/fault"
)

// paths of the files, with a star at those that may be run.
func paths(files []bundle.File) []string {
	var list []string
	for _, f := range files {
		name := f.Path
		if f.Mode == 0o755 {
			name += "*"
		}
		list = append(list, name)
	}
	return list
}

func TestFilesOfAModel(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files map[string]string
		tree  bundle.Tree
		want  []string
	}{
		{
			"what a model does not need stays out",
			map[string]string{
				"train.py": "", "run.sh*": "", "sub/a.py": "", "requirements.txt": "", "sample.json": "{}", "model.bin": "",
				"README.md": "", "sub/NOTES.md": "", "LICENSE": "", "LICENSE.txt": "", "Makefile": "", "towline.yaml": "",
				"towline.schema.json": "", ".gitignore": "", ".gitlab-ci.yml": "", ".git/config": "", ".towline/release.json": "",
				".venv/bin/python*": "", "venv/x.py": "", "__pycache__/a.pyc": "", "sub/__pycache__/b.pyc": "", "c.pyc": "",
				"tests/test_a.py": "", "sub/test/b.py": "", "test_c.py": "", "sub/d_test.py": "", "conftest.py": "",
				"look.ipynb": "", "x.log": "", ".env": "", ".env.prod": "", ".DS_Store": "", ".x.swp": "", "node_modules/m.js": "",
				".ssh/id_rsa": "", "id_rsa": "", ".aws/credentials": "", ".netrc": "", ".cache/x": "", ".ruff_cache/x": "",
			},
			bundle.Tree{},
			[]string{"model.bin", "requirements.txt", "run.sh*", "sample.json", "sub/a.py", "train.py"},
		},
		{
			"data folders stay out, whatever the ignore file says",
			map[string]string{"a.py": "", "data/train/x.csv": "", "data/code.py": "", ".towlineignore": "!data/train/x.csv\n"},
			bundle.Tree{Exclude: []string{"data/train"}},
			[]string{"a.py", "data/code.py"},
		},
		{
			"a data folder that holds the model does not empty it",
			map[string]string{"a.py": ""},
			bundle.Tree{Exclude: []string{"."}},
			[]string{"a.py"},
		},
		{
			"an ignore file adds patterns, from the root on",
			map[string]string{"a.py": "", "notes.txt": "", "sub/notes.txt": "", "sub/x.tmp": "", ".dockerignore": "# c\n/notes.txt\n**/*.tmp\n"},
			bundle.Tree{},
			[]string{"a.py", "sub/notes.txt"},
		},
		{
			"a later file takes back what an earlier one left out",
			map[string]string{"a.py": "", "b.txt": "", "c.txt": "", ".dockerignore": "*.txt\n", ".towlineignore": "!b.txt\n"},
			bundle.Tree{},
			[]string{"a.py", "b.txt"},
		},
		{
			"all but one folder",
			map[string]string{"a.py": "", "src/b.py": "", "src/deep/c.py": "", ".dockerignore": "*\n!src\n"},
			bundle.Tree{},
			[]string{"src/b.py", "src/deep/c.py"},
		},
		{
			"a default is taken back, even within a folder that is out",
			map[string]string{"prompt.md": "", "tests/fixture.json": "", "tests/test_a.py": "", ".towlineignore": "!prompt.md\n!tests/fixture.json\n"},
			bundle.Tree{},
			[]string{"prompt.md", "tests/fixture.json"},
		},
		{
			"git and towline's own folder never come back",
			map[string]string{"a.py": "", ".git/config": "", ".towline/x": "", ".towlineignore": "!.git\n!.git/**\n!.towline/**\n"},
			bundle.Tree{},
			[]string{"a.py"},
		},
		{
			"a model in a folder of its own, with shared code",
			map[string]string{
				"models/a/train.py": "", "models/a/lib/own.py": "", "models/b/train.py": "", "lib/features/f.py": "", "lib/other/o.py": "",
				"lib/features/README.md": "", "root.py": "",
			},
			bundle.Tree{Path: "models/a", Shared: []string{"lib/features"}},
			[]string{"lib/features/f.py", "lib/own.py", "train.py"},
		},
		{
			"ignore files of the root and of the model's folder both count",
			map[string]string{
				"models/a/train.py": "", "models/a/x.txt": "", "models/a/y.txt": "", "models/a/sub/x.txt": "",
				".dockerignore": "**/y.txt\n", "models/a/.towlineignore": "x.txt\n",
			},
			bundle.Tree{Path: "models/a"},
			[]string{"sub/x.txt", "train.py"},
		},
		{
			"a shared folder inside the model is packed once",
			map[string]string{"a.py": "", "lib/b.py": ""},
			bundle.Tree{Shared: []string{"lib"}},
			[]string{"a.py", "lib/b.py"},
		},
		{
			"a template of a dotenv file is no secret",
			map[string]string{"a.py": "", ".env.example": "", ".towlineignore": "!.env.example\n"},
			bundle.Tree{},
			[]string{".env.example", "a.py"},
		},
		{
			"a certificate is no secret",
			map[string]string{"ca.pem": "-----BEGIN CERTIFICATE-----\n"},
			bundle.Tree{},
			[]string{"ca.pem"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.tree.Root = t.TempDir()
			write(t, tt.tree.Root, tt.files)
			files, err := bundle.Files(tt.tree)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, paths(files)); diff != "" {
				t.Errorf("Files (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFilesThatAreRefused(t *testing.T) {
	outside := t.TempDir()
	write(t, outside, map[string]string{"secret.txt": "x"})
	for _, tt := range []struct {
		name  string
		files map[string]string
		links map[string]string
		tree  bundle.Tree
		want  string
		hint  string
	}{
		{"a dotenv file that was taken back", map[string]string{".env": "", ".towlineignore": "!.env\n"}, nil, bundle.Tree{},
			"package .env: a file of credentials must not enter an image", "remove the file"},
		{"a dotenv file of an environment", map[string]string{"a/.env.prod": "", ".towlineignore": "!a/.env.prod\n"}, nil, bundle.Tree{},
			"package a/.env.prod: a file of credentials", "remove the file"},
		{"a private key of SSH", map[string]string{"k/id_rsa": "", ".towlineignore": "!**/id_rsa\n"}, nil, bundle.Tree{},
			"package k/id_rsa: a file of credentials", "remove the file"},
		{"credentials of AWS", map[string]string{".aws/credentials": "", ".towlineignore": "!.aws\n"}, nil, bundle.Tree{},
			"package .aws/credentials: a file of credentials", "remove the file"},
		{"a private key by its content", map[string]string{"tls.pem": "-----BEGIN RSA PRIVATE KEY-----\n"}, nil, bundle.Tree{},
			"package tls.pem: a private key must not enter an image", ".towlineignore"},
		{"a secret behind a symlink", map[string]string{".env": ""}, map[string]string{"settings.py": ".env"}, bundle.Tree{},
			"package .env: a file of credentials", "remove the file"},
		{"a symlink out of the repository", map[string]string{"a.py": ""}, map[string]string{"b.py": filepath.Join(outside, "secret.txt")}, bundle.Tree{},
			"package b.py: the symlink leaves the repository", "copy the file"},
		{"a symlink out by dots", map[string]string{"a.py": ""}, map[string]string{"b.py": "../../../../../../../../etc/hostname"}, bundle.Tree{},
			"package b.py: the symlink leaves the repository", "copy the file"},
		{"a symlink into .git", map[string]string{".git/config": ""}, map[string]string{"b.py": ".git/config"}, bundle.Tree{},
			"package b.py: the symlink leads into .git", "remove the link"},
		{"a symlink to nothing", map[string]string{"a.py": ""}, map[string]string{"b.py": "gone.py"}, bundle.Tree{},
			"package b.py: the symlink leads nowhere", "remove the link"},
		{"a symlink to a folder", map[string]string{"lib/a.py": ""}, map[string]string{"lib2": "lib"}, bundle.Tree{},
			"package lib2: a symlink to a folder", "shared"},
		{"two files for one place", map[string]string{"m/lib/a.py": "", "lib/a.py": ""}, nil, bundle.Tree{Path: "m", Shared: []string{"lib"}},
			"package lib/a.py: another folder has a file for /opt/program/lib/a.py", "rename"},
		{"no such folder", map[string]string{"a.py": ""}, nil, bundle.Tree{Path: "models/x"},
			"package models/x:", "path or shared"},
		{"a file in the place of a folder", map[string]string{"a.py": ""}, nil, bundle.Tree{Shared: []string{"a.py"}},
			"package a.py: a file, wanted a folder", "path or shared"},
		{"a pattern that is none", map[string]string{"a.py": "", ".towlineignore": "[\n"}, nil, bundle.Tree{},
			"ignore files", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.tree.Root = t.TempDir()
			write(t, tt.tree.Root, tt.files)
			for name, target := range tt.links {
				if err := os.Symlink(target, filepath.Join(tt.tree.Root, name)); err != nil {
					t.Fatal(err)
				}
			}
			_, err := bundle.Files(tt.tree)
			wantFault(t, err, fault.Repository, tt.want, tt.hint)
		})
	}
}

func TestASymlinkWithinTheRepositoryIsFollowed(t *testing.T) {
	root := t.TempDir()
	write(t, root, map[string]string{"lib/rows.py": "rows = 1\n", "models/a/train.py": ""})
	if err := os.Symlink("../../lib/rows.py", filepath.Join(root, "models/a/rows.py")); err != nil {
		t.Fatal(err)
	}
	files, err := bundle.Files(bundle.Tree{Root: root, Path: "models/a"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"rows.py", "train.py"}, paths(files)); diff != "" {
		t.Errorf("Files (-want +got):\n%s", diff)
	}
	want := fmt.Sprintf("%x", sha256.Sum256([]byte("rows = 1\n")))
	if digest, err := files[0].Digest(); err != nil || digest != want {
		t.Errorf("Digest() = %q, %v, want %s", digest, err, want)
	}
}

func TestDataDigest(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"a.csv": "1\n", "b/c.csv": "22\n"})
	first, files, bytes, err := bundle.DataDigest(dir)
	if err != nil || files != 2 || bytes != 5 || len(first) != 64 {
		t.Fatalf("DataDigest() = %q, %d, %d, %v; want 2 files of 5 bytes", first, files, bytes, err)
	}
	same := t.TempDir()
	write(t, same, map[string]string{"b/c.csv": "22\n", "a.csv*": "1\n"})
	for _, tt := range []struct {
		name   string
		change map[string]string
		equal  bool
	}{
		{"a copy in another folder, with other times and modes", nil, true},
		{"another content of equal length", map[string]string{"a.csv": "2\n"}, false},
		{"one file more, which is empty", map[string]string{"a.csv": "1\n", "d": ""}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			write(t, same, tt.change)
			digest, _, _, err := bundle.DataDigest(same)
			if err != nil || (digest == first) != tt.equal {
				t.Errorf("DataDigest() = %s, %v, first %s, want equal: %t", digest, err, first, tt.equal)
			}
		})
	}
}

func TestDataThatIsRefused(t *testing.T) {
	_, _, _, err := bundle.DataDigest(filepath.Join(t.TempDir(), "none"))
	wantFault(t, err, fault.Missing, "read data folder", "train.channels")

	dir := t.TempDir()
	write(t, dir, map[string]string{"a.csv": ""})
	if err := os.Symlink("/etc/hostname", filepath.Join(dir, "host")); err != nil {
		t.Fatal(err)
	}
	_, _, _, err = bundle.DataDigest(dir)
	wantFault(t, err, fault.Repository, "read data file host: the symlink leaves", "copy the file")
}

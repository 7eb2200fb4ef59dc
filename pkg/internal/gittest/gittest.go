// Package gittest makes git repositories for tests, through git fast-import.
//
// In comes a description of commits and tags, which has a JSON form; out goes
// a repository on disk with the same hashes every time. It is used by tests
// only, and reads neither the user's nor the system's configuration of git.
package gittest

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Repo describes a repository. Commits stand after their parents; a message
// may name an earlier commit's hash as ${id}.
type Repo struct {
	Commits  []Commit          `json:"commits"`
	Tags     []Tag             `json:"tags,omitempty"`
	Branches map[string]string `json:"branches,omitempty"` // name → id of its last commit; main is the last commit of all by default
}

// Commit is one commit of a Repo. It starts from the files of its first parent.
type Commit struct {
	ID      string            `json:"id"`
	Parents []string          `json:"parents,omitempty"` // the commit before it by default; "-" for none
	Message string            `json:"message"`
	Files   map[string]string `json:"files,omitempty"`  // path → content
	Delete  []string          `json:"delete,omitempty"` // paths
	Time    int64             `json:"time,omitempty"`   // seconds since 1970; one minute after the commit before it by default
}

// Tag is one tag of a Repo: annotated if it has a message.
type Tag struct {
	Name    string `json:"name"`
	Commit  string `json:"commit"`
	Message string `json:"message,omitempty"`
	Time    int64  `json:"time,omitempty"`
}

const (
	firstTime = 1_700_000_000
	person    = "Towline Test <test@towline.invalid>"
)

// Environ is an environment in which git sees no configuration but the repository's.
func Environ() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + os.DevNull, "LC_ALL=C", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Towline Test", "GIT_AUTHOR_EMAIL=test@towline.invalid",
		"GIT_COMMITTER_NAME=Towline Test", "GIT_COMMITTER_EMAIL=test@towline.invalid",
	}
}

// Git runs git in dir and returns its output without the newline at its end.
func Git(t testing.TB, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env = dir, Environ()
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, complaint.String())
	}
	return strings.TrimRight(out.String(), "\n")
}

// Try runs git in dir where a failure is no news.
func Try(dir string, args ...string) error {
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env = dir, Environ()
	return cmd.Run()
}

// bareConfig allows what public servers allow: partial clones, and commits by their hash.
const bareConfig = "[core]\n\trepositoryformatversion = 0\n\tbare = true\n" +
	"[uploadpack]\n\tallowFilter = true\n\tallowAnySHA1InWant = true\n[http]\n\treceivepack = true\n"

// Bare writes the repository as a bare one, and returns its folder and the hash of each commit.
func Bare(t testing.TB, r Repo) (string, map[string]string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "repo.git")
	empty(t, dir, bareConfig)
	return dir, fill(t, dir, r)
}

// Plain writes the repository with a work tree in which nothing is checked out.
func Plain(t testing.TB, r Repo) (string, map[string]string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "repo")
	empty(t, filepath.Join(dir, ".git"), strings.Replace(bareConfig, "bare = true", "bare = false", 1))
	return dir, fill(t, dir, r)
}

// empty writes what git init would write.
func empty(t testing.TB, gitDir, config string) {
	t.Helper()
	for _, dir := range []string{"objects", "refs/heads", "refs/tags"} {
		check(t, os.MkdirAll(filepath.Join(gitDir, dir), 0o755))
	}
	check(t, os.WriteFile(filepath.Join(gitDir, "HEAD"), []byte("ref: refs/heads/main\n"), 0o644))
	check(t, os.WriteFile(filepath.Join(gitDir, "config"), []byte(config), 0o644))
}

// Clone writes the repository and checks it out, complete and with all tags.
func Clone(t testing.TB, r Repo) (string, map[string]string) {
	t.Helper()
	bare, ids := Bare(t, r)
	return CloneOf(t, bare), ids
}

// CloneOf clones a repository with the given options, such as --depth=20.
func CloneOf(t testing.TB, bare string, options ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "clone")
	address := bare
	if !strings.Contains(bare, "://") {
		address = "file://" + bare
	}
	args := append([]string{"clone", "--quiet"}, options...)
	Git(t, ".", append(args, "--", address, dir)...)
	return dir
}

// fill imports the description. The importer is asked for each commit's hash
// at once, since later messages may name it.
func fill(t testing.TB, dir string, r Repo) map[string]string {
	t.Helper()
	cmd := exec.Command("git", "fast-import", "--quiet", "--done", "--force")
	cmd.Dir, cmd.Env = dir, Environ()
	in, err := cmd.StdinPipe()
	check(t, err)
	out, err := cmd.StdoutPipe()
	check(t, err)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	check(t, cmd.Start())
	w := &writer{t: t, to: bufio.NewWriter(in), from: bufio.NewReader(out), complaint: &complaint, ids: map[string]string{}, marks: map[string]int{}}
	w.repo(r)
	check(t, w.to.Flush())
	check(t, in.Close())
	if _, err := io.Copy(io.Discard, w.from); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("git fast-import: %v\n%s", err, complaint.String())
	}
	return w.ids
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

type writer struct {
	t     testing.TB
	to    *bufio.Writer
	from  *bufio.Reader
	ids   map[string]string // id → hash
	marks map[string]int    // id → mark

	complaint *bytes.Buffer
}

func (w *writer) line(format string, args ...any) {
	_, err := fmt.Fprintf(w.to, format+"\n", args...)
	check(w.t, err)
}

func (w *writer) data(text string) { w.line("data %d\n%s", len(text), text) }

func (w *writer) repo(r Repo) {
	w.t.Helper()
	previous := ""
	for i, c := range r.Commits {
		if c.Time == 0 {
			c.Time = firstTime + int64(i)*60
		}
		if c.Parents == nil && previous != "" {
			c.Parents = []string{previous}
		}
		w.commit(i+1, c)
		previous = c.ID
	}
	branches := r.Branches
	if branches == nil && previous != "" {
		branches = map[string]string{"main": previous}
	}
	for _, name := range slices.Sorted(maps.Keys(branches)) {
		w.line("reset refs/heads/%s\nfrom %s\n", name, w.mark(branches[name]))
	}
	w.line("reset refs/import\nfrom %040d\n", 0)
	for i, tag := range r.Tags {
		w.tag(tag, firstTime+int64(len(r.Commits)+i)*60)
	}
	w.line("done")
}

func (w *writer) id(name string) string {
	w.t.Helper()
	hash, ok := w.ids[name]
	if !ok {
		w.t.Fatalf("no commit %q before its use", name)
	}
	return hash
}

func (w *writer) mark(name string) string {
	w.t.Helper()
	w.id(name)
	return fmt.Sprintf(":%d", w.marks[name])
}

func (w *writer) commit(mark int, c Commit) {
	w.t.Helper()
	w.line("reset refs/import\ncommit refs/import\nmark :%d", mark)
	w.line("committer %s %d +0000", person, c.Time)
	w.data(os.Expand(c.Message, w.id))
	for i, parent := range c.Parents {
		if parent == "-" {
			break
		}
		word := "merge"
		if i == 0 {
			word = "from"
		}
		w.line("%s %s", word, w.mark(parent))
	}
	for _, path := range slices.Sorted(maps.Keys(c.Files)) {
		w.line("M 100644 inline %s", path)
		w.data(c.Files[path])
	}
	for _, path := range c.Delete {
		w.line("D %s", path)
	}
	w.line("\nget-mark :%d", mark)
	check(w.t, w.to.Flush())
	hash, err := w.from.ReadString('\n')
	if err != nil {
		time.Sleep(100 * time.Millisecond) // the importer is about to say why
		w.t.Fatalf("import commit %s: %v\n%s", c.ID, err, w.complaint)
	}
	w.ids[c.ID], w.marks[c.ID] = strings.TrimSpace(hash), mark
}

func (w *writer) tag(tag Tag, when int64) {
	w.t.Helper()
	if tag.Message == "" {
		w.line("reset refs/tags/%s\nfrom %s\n", tag.Name, w.mark(tag.Commit))
		return
	}
	if tag.Time != 0 {
		when = tag.Time
	}
	w.line("tag %s\nfrom %s\ntagger %s %d +0000", tag.Name, w.mark(tag.Commit), person, when)
	w.data(tag.Message)
}

package main

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// repository describes a generated one: models in folders of their own, and
// releases of each, one after the other.
type repository struct {
	name    string
	models  int
	commits int
	tags    int // of all models together
	since   int // commits after the last tags
}

func (r repository) model(i int) string { return fmt.Sprintf("model%02d", i) }

func (r repository) path(i int) string {
	if r.models == 1 {
		return "."
	}
	return "models/" + r.model(i)
}

func (r repository) prefix(i int) string {
	if r.models == 1 {
		return "v"
	}
	return r.model(i) + "/v"
}

// versions is how many releases each model has.
func (r repository) versions() int { return r.tags / r.models }

func (r repository) tag(model, n int) string { return fmt.Sprintf("%s1.%d.0", r.prefix(model), n) }

func (r repository) file(model, n int) string {
	return filepath.ToSlash(filepath.Join(r.path(model), "src", fmt.Sprintf("part%02d", n%20), fmt.Sprintf("file%03d.py", n)))
}

func (r repository) manifest() string {
	var b strings.Builder
	b.WriteString("apiVersion: towline/v1\nproject: bench\nmodels:\n")
	for i := range r.models {
		fmt.Fprintf(&b, "  - name: %s\n    path: %s\n    train: {command: [python, train.py]}\n", r.model(i), r.path(i))
	}
	return b.String()
}

// generate writes the repository as a bare one, once, and allows what public
// servers allow.
func (b bench) generate(r repository) (string, error) {
	bare := filepath.Join(b.folder, strings.NewReplacer(" ", "-", ",", "").Replace(r.name)+".git")
	if _, err := os.Stat(bare); err == nil {
		return bare, nil
	}
	for _, args := range [][]string{
		{"init", "--quiet", "--bare", "-b", "main", bare},
		{"-C", bare, "config", "uploadpack.allowFilter", "true"},
		{"-C", bare, "config", "uploadpack.allowAnySHA1InWant", "true"},
	} {
		if _, _, err := b.time(b.folder, "git", args...); err != nil {
			return "", err
		}
	}
	cmd := exec.Command("git", "fast-import", "--quiet", "--done")
	cmd.Dir, cmd.Env, cmd.Stderr = bare, b.environ(), os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	w := bufio.NewWriterSize(in, 1<<20)
	r.write(w)
	if err := w.Flush(); err != nil {
		return "", err
	}
	if err := in.Close(); err != nil {
		return "", err
	}
	if err := cmd.Wait(); err != nil {
		return "", fmt.Errorf("git fast-import: %w", err)
	}
	// As a server would have it: packed, with its commits easy to find.
	_, _, err = b.time(bare, "git", "gc", "--quiet")
	return bare, err
}

// write is the history as fast-import takes it. Errors show when w is flushed.
func (r repository) write(w *bufio.Writer) {
	chance := rand.New(rand.NewPCG(1, uint64(r.commits)))
	data := func(text string) { fmt.Fprintf(w, "data %d\n%s\n", len(text), text) }
	next := 1 // version of each model that is tagged next
	const files = 400
	for n := range r.commits {
		model := n % r.models
		fmt.Fprintf(w, "commit refs/heads/main\nmark :%d\ncommitter B <b@example.com> %d +0000\n", n+1, 1_600_000_000+n*600)
		data(message(chance, n))
		if n > 0 {
			fmt.Fprintf(w, "from :%d\n", n)
		} else {
			r.start(w, data)
		}
		for range 1 + chance.IntN(2) {
			fmt.Fprintf(w, "M 100644 inline %s\n", r.file(model, chance.IntN(files/r.models+1)))
			data(text(chance))
		}
		fmt.Fprintln(w)
		for next <= r.versions() && n >= (r.commits-1-r.since)*next/r.versions() {
			for model := range r.models {
				fmt.Fprintf(w, "tag %s\nfrom :%d\ntagger B <b@example.com> %d +0000\n", r.tag(model, next), n+1, 1_600_000_000+n*600)
				data(fmt.Sprintf("%s 1.%d.0\n\n## 1.%d.0\n\n### Features\n\n- something new (%08x)\n", r.model(model), next, next, n))
			}
			next++
		}
	}
	fmt.Fprintln(w, "done")
}

// start is the first commit's files.
func (r repository) start(w *bufio.Writer, data func(string)) {
	fmt.Fprintln(w, "M 100644 inline towline.yaml")
	data(r.manifest())
	for i := range r.models {
		fmt.Fprintf(w, "M 100644 inline %s\n", filepath.ToSlash(filepath.Join(r.path(i), "train.py")))
		data("print('trained')\n")
	}
}

func message(chance *rand.Rand, n int) string {
	kind := []string{"feat", "fix", "docs", "chore", "refactor", "test"}[chance.IntN(6)]
	return fmt.Sprintf("%s: change number %d\n\n%s", kind, n, words(chance, 20))
}

// text is a file of code-like lines, 1 to 3 kB.
func text(chance *rand.Rand) string {
	var b strings.Builder
	for range 20 + chance.IntN(40) {
		fmt.Fprintf(&b, "%s = compute(%s)\n", words(chance, 1), words(chance, 4))
	}
	return b.String()
}

func words(chance *rand.Rand, count int) string {
	var list []string
	for range count {
		list = append(list, fmt.Sprintf("w%x", chance.IntN(1<<16)))
	}
	return strings.Join(list, " ")
}

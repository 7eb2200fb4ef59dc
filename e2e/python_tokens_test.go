package e2e_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"unicode/utf8"

	"gitlab.com/towline/towline/pkg/lint/python"
)

// tokenPackages are those whose files are compared, beside the standard library.
var tokenPackages = []string{"numpy", "sklearn", "pip", "pygments", "awscli", "setuptools", "pylint", "docutils", "botocore", "_pytest"}

// TestPythonTokens compares the tokens of every Python file of the standard
// library and of ten packages with those of CPython 3.11, and the syntax
// errors with those of its compiler. Where they differ and why is a list.
func TestPythonTokens(t *testing.T) {
	program := clientTool(t, "python3")
	files := pythonFiles(t, program)
	known := knownDifferences(t)
	work := make(chan string)
	var mu sync.Mutex
	var group sync.WaitGroup
	var bytes, tokens atomic.Int64
	seen := map[string]bool{}
	for range 2 {
		peer := startTokenizer(t, program)
		group.Go(func() {
			for path := range work {
				size, count, difference := peer.compare(path)
				bytes.Add(size)
				tokens.Add(count)
				if difference == "" {
					continue
				}
				mu.Lock()
				if name := known.find(path); name != "" {
					seen[name] = true
				} else {
					t.Errorf("%s: %s", path, difference)
				}
				mu.Unlock()
			}
		})
	}
	for _, path := range files {
		work <- path
	}
	close(work)
	group.Wait()
	t.Logf("%d files, %d bytes, %d tokens, %d known differences", len(files), bytes.Load(), tokens.Load(), len(seen))
	if len(files) < 3000 {
		t.Errorf("compared %d files, want the standard library and ten packages", len(files))
	}
}

// TestPythonSyntax lets CPython judge the snippets by which the parser is
// tested: what is valid, and what is valid only since Python 3.12.
func TestPythonSyntax(t *testing.T) {
	peer := startTokenizer(t, clientTool(t, "python3"))
	data, err := os.ReadFile(filepath.Join("..", "pkg", "lint", "python", "testdata", "syntax.txt"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "snippet.py")
	parts := strings.Split("\n"+string(data), "\n== ")[1:]
	for _, part := range parts {
		head, text, _ := strings.Cut(part+"\n", "\n")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, compiles, err := peer.ask("c", path)
		if err != nil {
			t.Fatal(err)
		}
		if compiles != strings.HasPrefix(head, "ok: ") {
			t.Errorf("compiles: %v, but the list says %s", compiles, head)
		}
	}
	if len(parts) < 100 {
		t.Errorf("%d snippets, want the list", len(parts))
	}
}

// pythonFiles are the files of the standard library and the packages.
func pythonFiles(t *testing.T, program string) []string {
	t.Helper()
	out, err := exec.Command(program, "-c", "import sysconfig; print(sysconfig.get_path('stdlib')); print(sysconfig.get_path('purelib'))").Output()
	if err != nil {
		t.Fatal(err)
	}
	places := strings.Fields(string(out))
	roots := []string{places[0]}
	for _, name := range tokenPackages {
		roots = append(roots, filepath.Join(places[1], name))
	}
	var files []string
	for _, root := range roots {
		before := len(files)
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case entry.IsDir() && path != root && (entry.Name() == "site-packages" || entry.Name() == "dist-packages"):
				return filepath.SkipDir
			case entry.Type().IsRegular() && filepath.Ext(path) == ".py":
				files = append(files, path)
			}
			return nil
		})
		if err != nil || len(files) == before {
			t.Fatalf("%s: %d files, %v", root, len(files)-before, err)
		}
	}
	return files
}

// differences are the ends of paths of files that are known to differ.
type differences []string

func knownDifferences(t *testing.T) differences {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "tokens-that-differ.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var known differences
	for line := range strings.Lines(string(text)) {
		name, reason, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name == "" || name == "#" {
			continue
		}
		if strings.TrimSpace(reason) == "" {
			t.Errorf("%s differs without a reason", name)
		}
		known = append(known, name)
	}
	return known
}

func (d differences) find(path string) string {
	for _, name := range d {
		if strings.HasSuffix(filepath.ToSlash(path), "/"+name) {
			return name
		}
	}
	return ""
}

// tokenizer is CPython at work.
type tokenizer struct {
	in  io.Writer
	out *bufio.Reader
}

func startTokenizer(t *testing.T, program string) tokenizer {
	t.Helper()
	cmd := exec.Command(program, "-I", "-B", filepath.Join("testdata", "tokens.py"))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("tokens.py: %v", err)
		}
	})
	return tokenizer{in, bufio.NewReaderSize(out, 1<<20)}
}

// ask is the answer of CPython; false if the file is no Python for it.
func (p tokenizer) ask(what, path string) ([]byte, bool, error) {
	if _, err := fmt.Fprintf(p.in, "%s %s\n", what, path); err != nil {
		return nil, false, err
	}
	var size int32
	if err := binary.Read(p.out, binary.LittleEndian, &size); err != nil {
		return nil, false, err
	}
	if size < 0 {
		return nil, false, nil
	}
	data := make([]byte, size)
	_, err := io.ReadFull(p.out, data)
	return data, true, err
}

// compare says how a file differs, "" if it does not.
func (p tokenizer) compare(path string) (size, count int64, difference string) {
	src, err := os.ReadFile(path)
	if err != nil {
		return 0, 0, err.Error()
	}
	size = int64(len(src))
	tokens, text, lexed := python.Lex(src)
	parsed := python.Parse(src).Error
	want, tokenizes, err := p.ask("t", path)
	if err != nil {
		return size, 0, err.Error()
	}
	if lexed == nil && parsed == nil && tokenizes {
		return size, int64(len(tokens)), compareTokens(tokens, text, want)
	}
	_, compiles, err := p.ask("c", path)
	switch {
	case err != nil:
		return size, 0, err.Error()
	case compiles && parsed != nil:
		return size, 0, "compiles, but Parse says: " + parsed.Error()
	case compiles && lexed != nil:
		return size, 0, "compiles, but Lex says: " + lexed.Error()
	case !compiles && parsed == nil:
		return size, 0, "does not compile, but Parse finds nothing"
	}
	return size, 0, ""
}

// compareTokens says at which token two streams differ, "" if at none.
func compareTokens(tokens []python.Token, text string, want []byte) string {
	const width = 20
	lines := lineOffsets(text)
	for i, token := range tokens {
		got := place(token, text, lines)
		if len(want) < (i+1)*width {
			return fmt.Sprintf("token %d is %v at %v, CPython has no more", i, token.Kind, got[1:])
		}
		var cpython [5]uint32
		for n := range cpython {
			cpython[n] = binary.LittleEndian.Uint32(want[i*width+4*n:])
		}
		if got != cpython {
			return fmt.Sprintf("token %d is %v at %v, CPython has %v at %v", i, token.Kind, got[1:], python.Kind(cpython[0]), cpython[1:])
		}
	}
	if len(want) != len(tokens)*width {
		return fmt.Sprintf("%d tokens, CPython has %d", len(tokens), len(want)/width)
	}
	return ""
}

// lineOffsets is where each line starts for tokenize, which counts line feeds.
func lineOffsets(text string) []uint32 {
	starts := []uint32{0}
	for i := range len(text) {
		if text[i] == '\n' {
			starts = append(starts, uint32(i+1))
		}
	}
	return starts
}

// place is a token's kind and position as tokenize counts: lines from 1,
// columns in characters from 0.
func place(t python.Token, text string, lines []uint32) [5]uint32 {
	end := t.Line
	for int(end) < len(lines) && lines[end] < t.End {
		end++
	}
	if int(t.Line) > len(lines) { // behind a last line that is not ended
		return [5]uint32{uint32(t.Kind), t.Line, 0, t.Line, 0}
	}
	column := func(line, offset uint32) uint32 {
		return uint32(utf8.RuneCountInString(text[lines[line-1]:offset]))
	}
	p := [5]uint32{uint32(t.Kind), t.Line, column(t.Line, t.Start), end, column(end, t.End)}
	if t.Kind == python.Newline && t.Start == t.End {
		p[4]++ // tokenize gives the line end that is missing a width
	}
	return p
}

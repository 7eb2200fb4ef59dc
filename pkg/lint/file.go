package lint

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"
	"sync"

	"gopkg.in/yaml.v3"

	"gitlab.com/towline/towline/pkg/lint/leaks"
	"gitlab.com/towline/towline/pkg/lint/python"
)

// Kind is what a file holds, by its name.
type Kind uint8

// The kinds of files that rules tell apart.
const (
	Other Kind = iota
	Python
	Notebook
	YAML
	TOML
	JSON
	Requirements // requirements.txt, requirements-dev.in and the like
)

// kindOf tells a file's kind by its name.
func kindOf(name string) Kind {
	base := path.Base(name)
	switch path.Ext(base) {
	case ".py", ".pyi", ".pyw":
		return Python
	case ".ipynb":
		return Notebook
	case ".yaml", ".yml":
		return YAML
	case ".toml":
		return TOML
	case ".json":
		return JSON
	case ".txt", ".in":
		if strings.Contains(base, "requirements") || path.Base(path.Dir(name)) == "requirements" {
			return Requirements
		}
	}
	return Other
}

// mayBeProgram says whether a file without an ending may be a program: one
// that may be executed, or has a name that SageMaker calls.
func (f *File) mayBeProgram() bool {
	base := path.Base(f.Path)
	return f.Kind == Other && f.Size > 0 && path.Ext(base) == "" && (f.Mode&0o111 != 0 || base == "train" || base == "serve")
}

// runsPython says whether the first line of a program names Python.
func runsPython(head []byte) bool {
	line, _, _ := bytes.Cut(head, []byte("\n"))
	return bytes.HasPrefix(line, []byte("#!")) && bytes.Contains(line, []byte("python"))
}

// File is one file of the repository. Its methods may be called by several
// goroutines. What cannot be read, or is larger than the limit, is as if
// empty: the linter itself reports it, rules need not.
type File struct {
	Path string // slash-separated, from the top of the repository
	Size int64
	Repo *Repo
	Mode fs.FileMode
	Kind Kind

	mu   sync.Mutex
	held *content // nil until it is asked for

	known *traits // of a Python file; nil until they are asked for
}

// content is what a file holds, as far as it was asked for.
type content struct {
	bytes    []byte
	err      error // why it was not read
	lines    []string
	notebook func() (*NotebookFile, error)
	python   func() *python.File
	places   []place // of the lines of a notebook's code; set by python
	project  func() pyproject
	lock     func() uvLock
	pipeline func() *pipeline
	searched sync.Once
	leaks    []leaks.Leak // set by searched
}

// errLarge is that of a file that is not read because of its size.
var errLarge = errors.New("larger than the limit")

// Bytes is the content; nil if it cannot be read or is larger than the limit.
// It is not to be changed.
func (f *File) Bytes() []byte { return f.load().bytes }

// load reads the file, once.
func (f *File) load() *content {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.held != nil {
		return f.held
	}
	c, most := &content{}, f.most()
	f.held = c
	c.notebook = sync.OnceValues(func() (*NotebookFile, error) { return parseNotebook(c.bytes) })
	c.project = sync.OnceValue(func() pyproject { return parseProject(c.bytes) })
	c.lock = sync.OnceValue(func() uvLock { return parseLock(c.bytes) })
	c.pipeline = sync.OnceValue(func() *pipeline { return parsePipeline(f, c.bytes) })
	c.python = sync.OnceValue(func() *python.File {
		if f.Kind != Notebook {
			return python.Parse(c.bytes)
		}
		var code []byte
		if n, err := c.notebook(); err == nil {
			code, c.places = n.code()
		}
		return python.Parse(code)
	})
	if f.Size > most {
		c.err = errLarge
		return c
	}
	if c.bytes, c.err = f.readAtMost(most + 1); int64(len(c.bytes)) > most {
		c.err = errLarge // it grew
	}
	if c.err != nil {
		c.bytes = nil
	}
	return c
}

// Head is the beginning of the file, n bytes at most, however large it is.
func (f *File) Head(n int) []byte {
	f.mu.Lock()
	held := f.held
	f.mu.Unlock()
	if held != nil && held.bytes != nil {
		return held.bytes[:min(n, len(held.bytes))]
	}
	head, err := f.readAtMost(int64(n))
	if err != nil {
		return nil
	}
	return head
}

func (f *File) readAtMost(n int64) ([]byte, error) {
	file, err := f.Repo.fsys.Open(f.Path)
	if err != nil {
		return nil, err
	}
	var buffer bytes.Buffer
	buffer.Grow(int(min(n, f.Size+bytes.MinRead)))
	_, err = buffer.ReadFrom(io.LimitReader(file, n))
	return buffer.Bytes(), errors.Join(err, file.Close())
}

// Binary says whether the file holds something else than text, as git judges
// it: a NUL in its first 8000 bytes.
func (f *File) Binary() bool { return bytes.IndexByte(f.Head(8000), 0) >= 0 }

// Lines are the lines without their ends. The list is not to be changed.
func (f *File) Lines() []string {
	c := f.load()
	f.mu.Lock()
	defer f.mu.Unlock()
	if c.lines == nil && len(c.bytes) > 0 {
		c.lines = strings.Split(string(c.bytes), "\n")
		for i, line := range c.lines {
			c.lines[i] = strings.TrimSuffix(line, "\r")
		}
		if last := len(c.lines) - 1; c.lines[last] == "" {
			c.lines = c.lines[:last]
		}
	}
	return c.lines
}

// Line is the line of that number, from 1; "" if there is none.
func (f *File) Line(n int) string {
	lines := f.Lines()
	if n < 1 || n > len(lines) {
		return ""
	}
	return lines[n-1]
}

// YAML is the file's first YAML document. Aliases are not followed, so that a
// small file stays small.
func (f *File) YAML() (*yaml.Node, error) {
	var document yaml.Node
	err := yaml.Unmarshal(f.Bytes(), &document)
	return &document, err
}

// Notebook reads the cells of a notebook.
func (f *File) Notebook() (*NotebookFile, error) {
	c := f.load()
	if c.err != nil {
		return nil, c.err
	}
	return c.notebook()
}

// Python is a Python file, or the code of a notebook, as it was parsed, once. One that cannot be read is
// as if empty; its Error tells of the first line that is no Python.
func (f *File) Python() *python.File { return f.load().python() }

// release forgets what was read, to be read again when it is asked for.
func (f *File) release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held = nil
}

// clip shortens a line around the column that is of interest, and makes it
// fit for a report.
func clip(line string, column int) string {
	if len(line) > longestSource {
		from := min(max(0, column-1-longestSource/2), len(line)-longestSource)
		line = line[from : from+longestSource]
	}
	return strings.ToValidUTF8(strings.Clone(line), "�")
}

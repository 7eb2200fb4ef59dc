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
)

// Kind is what a file holds, by its name.
type Kind int

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

// File is one file of the repository. Its methods may be called by several
// goroutines. What cannot be read, or is larger than the limit, is as if
// empty: the linter itself reports it, rules need not.
type File struct {
	Path string // slash-separated, from the top of the repository
	Kind Kind
	Size int64
	Mode fs.FileMode
	Repo *Repo

	fsys   fs.FS
	limits Limits

	mu      sync.Mutex
	content []byte
	lines   []string
	read    bool
	err     error // why it was not read
}

// errLarge is that of a file that is not read because of its size.
var errLarge = errors.New("larger than the limit")

// Bytes is the content; nil if it cannot be read or is larger than the limit.
// It is not to be changed.
func (f *File) Bytes() []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.load()
	return f.content
}

// load reads the file, once.
func (f *File) load() {
	if f.read {
		return
	}
	f.read = true
	if f.Size > f.limits.FileSize {
		f.err = errLarge
		return
	}
	f.content, f.err = f.readAtMost(f.limits.FileSize + 1)
	if int64(len(f.content)) > f.limits.FileSize {
		f.content, f.err = nil, errLarge // it grew
	}
}

// Head is the beginning of the file, n bytes at most, however large it is.
func (f *File) Head(n int) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.content != nil {
		return f.content[:min(n, len(f.content))]
	}
	head, err := f.readAtMost(int64(n))
	if err != nil {
		f.err = err
	}
	return head
}

func (f *File) readAtMost(n int64) ([]byte, error) {
	file, err := f.fsys.Open(f.Path)
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

// Lines are the lines without their ends. It is not to be changed.
func (f *File) Lines() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.load()
	if f.lines == nil && len(f.content) > 0 {
		f.lines = strings.Split(string(f.content), "\n")
		for i, line := range f.lines {
			f.lines[i] = strings.TrimSuffix(line, "\r")
		}
		if last := len(f.lines) - 1; f.lines[last] == "" {
			f.lines = f.lines[:last]
		}
	}
	return f.lines
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

// release forgets what was read, to be read again when it is asked for.
func (f *File) release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.content, f.lines, f.read = nil, nil, false
}

// clip shortens a line around the column that is of interest.
func clip(line string, column int) string {
	if len(line) <= longestSource {
		return strings.ToValidUTF8(line, "�")
	}
	from := min(max(0, column-1-longestSource/2), len(line)-longestSource)
	return strings.ToValidUTF8(line[from:from+longestSource], "")
}

package lint

import (
	"fmt"
	"path"
	"runtime"
)

// Limits bound what a repository may cost. Zero fields take the default.
type Limits struct {
	Files    int   // so many files and folders are looked at; 1,000,000
	FileSize int64 // a file of more bytes is not read; 4 MiB
	Notebook int64 // the same for notebooks, whose outputs are large; 32 MiB
	Depth    int   // folders are looked into so deep; 100
}

const (
	// maxWorkers bounds how many files are held in memory at a time.
	maxWorkers = 8

	// longestSource is how much of a line is repeated, in bytes.
	longestSource = 400

	// longestMessage is how long a message may be, in bytes.
	longestMessage = 500

	// configuration is how many bytes a pipeline, a pyproject.toml and a
	// requirements file may have: GitLab reads 2 MiB, and the largest that
	// people write have some hundred KB.
	configuration = 1 << 20

	// mostFindings bounds the findings of one rule in one file.
	mostFindings = 200
)

func (l Limits) withDefaults() Limits {
	if l.Files == 0 {
		l.Files = 1_000_000
	}
	if l.FileSize == 0 {
		l.FileSize = 4 << 20
	}
	if l.Notebook == 0 {
		l.Notebook = 32 << 20
	}
	if l.Depth == 0 {
		l.Depth = 100
	}
	return l
}

// most is how many bytes the file may have to be looked into.
func (f *File) most() int64 {
	limits := f.Repo.limits
	base := path.Base(f.Path)
	switch {
	case f.Kind == Notebook:
		return limits.Notebook
	case f.Kind == Requirements, base == "pyproject.toml", base == "Pipfile", isPipeline(f.Path):
		return min(limits.FileSize, configuration)
	}
	return limits.FileSize
}

// bytesText is a number of bytes for people.
func bytesText(n int64) string {
	if n < 10<<20 {
		return fmt.Sprintf("%.1f MB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%d MB", n>>20)
}

// workers is how many files are looked at together.
func workers() int { return min(runtime.GOMAXPROCS(0), maxWorkers) }

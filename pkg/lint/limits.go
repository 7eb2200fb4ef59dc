package lint

import "runtime"

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

// size is how many bytes a file of a kind may have.
func (l Limits) size(k Kind) int64 {
	if k == Notebook {
		return l.Notebook
	}
	return l.FileSize
}

// workers is how many files are looked at together.
func workers() int { return min(runtime.GOMAXPROCS(0), maxWorkers) }

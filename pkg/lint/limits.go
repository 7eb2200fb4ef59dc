package lint

// Limits bound what a repository may cost.
type Limits struct {
	Files    int   // so many files are looked at; 1,000,000
	FileSize int64 // a file of more bytes is not read; 8 MiB
	Depth    int   // folders are looked into so deep; 200
}

const (
	// maxWorkers bounds how many files are held in memory at a time.
	maxWorkers = 8

	// longestSource is how much of a line is repeated, in bytes.
	longestSource = 400
)

func (l Limits) withDefaults() Limits {
	if l.Files == 0 {
		l.Files = 1_000_000
	}
	if l.FileSize == 0 {
		l.FileSize = 8 << 20
	}
	if l.Depth == 0 {
		l.Depth = 200
	}
	return l
}

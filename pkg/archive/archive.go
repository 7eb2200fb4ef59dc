// Package archive takes apart zip and tar archives of strangers, and writes
// tar archives whose bytes depend on the files only.
//
// In come an archive, of which any part can be had, and limits; out go files
// in a folder that appears as a whole or not at all, with their digests. It
// never writes outside of that folder, follows no link, believes no size that
// an archive states, and asks no service by itself.
package archive

import (
	"cmp"
	"context"
	"io"
	"path"
	"strings"
	"unicode/utf8"

	"gitlab.com/towline/towline/pkg/fault"
)

// Limits bound what an archive may unpack to. The zero value is useful.
type Limits struct {
	Files int   // entries; 100,000 by default
	Size  int64 // bytes unpacked; 20 GiB by default
	Ratio int64 // of bytes unpacked to bytes packed, for more than 64 MiB; 200 by default
}

const (
	mostDepth = 64   // folders in a path
	mostPath  = 1024 // bytes of a path
	mostName  = 255  // bytes of one name in it
	ratioFrom = 64 << 20
)

func (l Limits) settled() Limits {
	return Limits{Files: cmp.Or(l.Files, 100_000), Size: cmp.Or(l.Size, 20<<30), Ratio: cmp.Or(l.Ratio, 200)}
}

// File is a file that was unpacked.
type File struct {
	Path   string `json:"path"` // slash-separated, relative to the folder
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"` // hexadecimal
}

// Source is an archive of which any part can be had.
type Source interface {
	Size() int64
	// Open gives the bytes from offset from on, up to offset to and no further.
	Open(ctx context.Context, from, to int64) (io.ReadCloser, error)
}

// wrong is an archive that is not unpacked.
func wrong(format string, args ...any) error {
	return fault.Newf(fault.Repository, "unpack: "+format, args...).
		Hintf("look at the job that made the archive: nothing of it was unpacked")
}

// cleanName is the path of an entry. It refuses one that leads out of the
// folder, or that systems understand differently.
func cleanName(name string) (string, error) {
	clean := path.Clean(strings.TrimSuffix(name, "/"))
	parts := strings.Split(clean, "/")
	switch {
	case name == "":
		return "", wrong("an entry has no name")
	case !utf8.ValidString(name):
		return "", wrong("the name of entry %.80q is not UTF-8", name)
	case strings.ContainsRune(name, 0):
		return "", wrong("the name of entry %.80q holds a zero byte", name)
	case strings.Contains(name, `\`):
		return "", wrong("the name of entry %.80q holds a backslash", name)
	case strings.HasPrefix(name, "/"):
		return "", wrong("entry %.80q has an absolute path", name)
	case hasDotDot(name):
		return "", wrong("entry %.80q leads out of the folder", name)
	case len(clean) > mostPath:
		return "", wrong("entry %.80q… has a path of %d bytes, wanted %d at most", name, len(clean), mostPath)
	case len(parts) > mostDepth:
		return "", wrong("entry %.80q… lies %d folders deep, wanted %d at most", name, len(parts), mostDepth)
	}
	for _, part := range parts {
		if len(part) > mostName {
			return "", wrong("entry %.80q… has a name of %d bytes, wanted %d at most", name, len(part), mostName)
		}
	}
	return clean, nil
}

func hasDotDot(name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return true
		}
	}
	return false
}

// census refuses names that would meet on a disk: the same one twice, also in
// another case, and a file where a folder has to be.
type census struct {
	files map[string]string // as written, by name in lower case
	dirs  map[string]string // with what lies in them
}

func newCensus() *census { return &census{files: map[string]string{}, dirs: map[string]string{}} }

// add takes in an entry, whose name is clean.
func (c *census) add(name string, dir bool) error {
	key := strings.ToLower(name)
	if other, twice := c.files[key]; twice {
		return wrong("entries %.80q and %.80q have one name", other, name)
	}
	if dir {
		c.dirs[key] = name
	} else {
		if below, ok := c.dirs[key]; ok {
			return wrong("entry %.80q is a file, and %.80q needs a folder of that name", name, below)
		}
		c.files[key] = name
	}
	for parent := path.Dir(key); parent != "."; parent = path.Dir(parent) {
		if file, ok := c.files[parent]; ok {
			return wrong("entry %.80q is a file, and %.80q needs a folder of that name", file, name)
		}
		if _, known := c.dirs[parent]; known {
			return nil
		}
		c.dirs[parent] = name
	}
	return nil
}

// Match says whether a path is meant by one of the patterns; by none of no
// patterns all are. A pattern means a file, or a folder with all in it; * and
// ? stay within a name, ** goes over folders.
func Match(patterns []string, name string) bool {
	if len(patterns) == 0 {
		return true
	}
	parts := strings.Split(name, "/")
	for _, pattern := range patterns {
		if matchParts(strings.Split(path.Clean(pattern), "/"), parts) {
			return true
		}
	}
	return false
}

func matchParts(pattern, parts []string) bool {
	for i, want := range pattern {
		if want == "**" {
			for skip := 0; skip <= len(parts)-i; skip++ {
				if matchParts(pattern[i+1:], parts[i+skip:]) {
					return true
				}
			}
			return false
		}
		if i >= len(parts) {
			return false
		}
		if ok, err := path.Match(want, parts[i]); err != nil || !ok {
			return false
		}
	}
	return true
}

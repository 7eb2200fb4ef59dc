// Package logs is the part of CloudWatch Logs that shows what jobs and servers
// wrote: groups and streams of lines, one file for each stream.
//
// In come lines from the cloud's own jobs; out go events, page by page. It
// takes no events over the wire and deletes none.
package logs

import (
	"bytes"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Store is every group below one folder.
type Store struct {
	dir string
	now func() time.Time
}

// New makes a store; its folder is made with the first stream.
func New(dir string, now func() time.Time) *Store { return &Store{dir: dir, now: now} }

const (
	suffix  = ".log"
	maxLine = 256 << 10 // bytes of one event; what is longer is told in pieces
)

func (s *Store) path(group, stream string) string {
	return filepath.Join(s.dir, url.PathEscape(group), url.PathEscape(stream)+suffix)
}

// Stream opens a stream for writing, at its end.
func (s *Store) Stream(group, stream string) (*Stream, error) {
	path := s.path(group, stream)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	return &Stream{now: s.now, file: f}, nil
}

// Stream takes what a program writes and keeps it line by line, each with the
// time it came. A line in the file is <milliseconds since 1970> <text>.
type Stream struct {
	now func() time.Time

	mu   sync.Mutex
	file *os.File
	rest []byte // a line that has not ended
}

// Write never fails: a program is not ended because its log is lost.
func (s *Stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rest = append(s.rest, p...)
	var out []byte
	for {
		at := bytes.IndexByte(s.rest, '\n')
		if at < 0 && len(s.rest) < maxLine {
			break
		}
		if at < 0 || at > maxLine {
			out = s.line(out, s.rest[:maxLine])
			s.rest = s.rest[maxLine:]
			continue
		}
		out = s.line(out, s.rest[:at])
		s.rest = s.rest[at+1:]
	}
	s.append(out)
	s.rest = bytes.Clone(s.rest)
	return len(p), nil
}

func (s *Stream) line(out, text []byte) []byte {
	out = strconv.AppendInt(out, s.now().UnixMilli(), 10)
	out = append(out, ' ')
	out = append(out, bytes.ToValidUTF8(bytes.TrimRight(text, "\r"), []byte("\uFFFD"))...)
	return append(out, '\n')
}

func (s *Stream) append(lines []byte) {
	if len(lines) == 0 {
		return
	}
	info, err := s.file.Stat()
	if err != nil {
		return
	}
	if _, err := s.file.Write(lines); err != nil {
		_ = s.file.Truncate(info.Size()) // half a line would spoil the next
	}
}

// Close keeps a last line without an end, too.
func (s *Stream) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.rest) > 0 {
		s.append(s.line(nil, s.rest))
		s.rest = nil
	}
	return s.file.Close()
}

// groups and streams list what there is, in order of the names.
func (s *Store) groups() ([]string, error) { return names(s.dir, "") }

func (s *Store) streams(group string) ([]string, error) {
	return names(filepath.Join(s.dir, url.PathEscape(group)), suffix)
}

func names(dir, suffix string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []string
	for _, entry := range entries {
		name, err := url.PathUnescape(strings.TrimSuffix(entry.Name(), suffix))
		if err == nil {
			list = append(list, name)
		}
	}
	return list, nil
}

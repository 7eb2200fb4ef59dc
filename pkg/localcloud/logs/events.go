package logs

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// event is one line of a stream.
type event struct {
	Timestamp     int64  `json:"timestamp"` // milliseconds since 1970
	Message       string `json:"message"`
	IngestionTime int64  `json:"ingestionTime"`
}

// span limits what is read of a stream.
type span struct {
	start, end int64 // milliseconds since 1970; end is exclusive, 0 for none
	limit      int   // events
	match      func(string) bool
}

func (s span) takes(e event) bool {
	return e.Timestamp >= s.start && (s.end == 0 || e.Timestamp < s.end) && (s.match == nil || s.match(e.Message))
}

const (
	maxEvents = 10000
	maxAnswer = 1 << 20 // bytes of the events of one answer
)

// forward reads events from a place in a file on, and says where it ended.
func forward(path string, from int64, s span) ([]event, int64, error) {
	var list []event
	size := 0
	end, err := scan(path, from, func(e event) bool {
		if !s.takes(e) {
			return true
		}
		if len(list) == s.limit || size+len(e.Message) > maxAnswer {
			return false
		}
		list, size = append(list, e), size+len(e.Message)
		return true
	})
	return list, end, err
}

// backward reads the last events before a place in a file, and says where the
// first of them begins and where that place is; before < 0 is the end of the file.
func backward(path string, before int64, s span) (list []event, first, last int64, err error) {
	var starts []int64
	size := 0
	position := int64(0)
	last, err = scanUntil(path, 0, before, func(e event, start int64) bool {
		position = start
		if !s.takes(e) {
			return true
		}
		list, starts, size = append(list, e), append(starts, start), size+len(e.Message)
		for len(list) > s.limit || size > maxAnswer {
			size -= len(list[0].Message)
			list, starts = list[1:], starts[1:]
		}
		return true
	})
	if len(starts) > 0 {
		position = starts[0]
	}
	return list, position, last, err
}

func scan(path string, from int64, visit func(event) bool) (int64, error) {
	return scanUntil(path, from, -1, func(e event, _ int64) bool { return visit(e) })
}

// scanUntil visits whole lines from one place to another and gives the place
// after the last one that was taken.
func scanUntil(path string, from, to int64, visit func(e event, start int64) bool) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return from, err
	}
	defer func() { _ = f.Close() }() // it was only read
	if _, err := f.Seek(from, io.SeekStart); err != nil {
		return from, err
	}
	lines := bufio.NewReader(f)
	for to < 0 || from < to {
		line, err := lines.ReadString('\n')
		if err == io.EOF {
			return from, nil
		}
		if err != nil {
			return from, err
		}
		if e, ok := parse(line); ok && !visit(e, from) {
			return from, nil
		}
		from += int64(len(line))
	}
	return from, nil
}

func parse(line string) (event, bool) {
	stamp, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
	ms, err := strconv.ParseInt(stamp, 10, 64)
	return event{Timestamp: ms, Message: text, IngestionTime: ms}, err == nil
}

func isMissing(err error) bool { return errors.Is(err, fs.ErrNotExist) }

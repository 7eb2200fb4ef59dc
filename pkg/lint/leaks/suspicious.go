package leaks

import (
	"iter"
	"strings"
)

// The kinds of bytes that credentials are made of.
const (
	lower = iota + 1
	upper
	digit
	other
)

// kinds are those of all bytes; 0 is what no credential has in it.
var kinds = func() (table [256]uint8) {
	for c := range 26 {
		table['a'+c], table['A'+c] = lower, upper
	}
	for c := range 10 {
		table['0'+c] = digit
	}
	for _, c := range "_-.+/=" {
		table[c] = other
	}
	return table
}()

func kindOf(c byte) uint8 { return kinds[c] }

const (
	shortestRun = 12   // entropy of 3.5 bits, gitleaks' least, takes 12 different characters
	capitals    = 20   // an access key may have no digit
	longestRun  = 2000 // a picture in a notebook's output is one run of a megabyte
)

// suspects yields the parts of a line that could hold a credential, with where
// they begin: the line as a whole, or in long lines what surrounds each
// suspicious run that follows a quote, a space, = or :.
func suspects(line string) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		if len(line) <= longestLine {
			if start, _ := nextRun(line, 0); start >= 0 || strings.Contains(line, keyMark) {
				yield(0, line)
			}
			return
		}
		if at := strings.Index(line, keyMark); at >= 0 && !yield(at, line[at:min(len(line), at+longestLine)]) {
			return
		}
		for start, end := nextRun(line, 0); start >= 0; start, end = nextRun(line, end) {
			if start > 0 && !strings.ContainsRune("\"'` =:>", rune(line[start-1])) || end-start > longestRun {
				continue
			}
			from := max(0, start-before)
			if !yield(from, line[from:min(len(line), end+behind)]) {
				return
			}
		}
	}
}

// keyMark begins a key in PEM form.
const keyMark = "-----BEGIN"

// nextRun finds the next run of characters that could be a credential, long
// enough, of letters and digits; start is -1 if there is none.
func nextRun(line string, from int) (start, end int) {
	var counts [other + 1]int
	start = from
	for i := from; i <= len(line); i++ {
		kind := uint8(0)
		if i < len(line) {
			kind = kinds[line[i]]
		}
		if kind != 0 {
			counts[kind]++
			continue
		}
		if i-start >= shortestRun && (counts[digit] > 0 && counts[lower]+counts[upper] > 0 || counts[upper] >= capitals) {
			return start, i
		}
		if i > start {
			counts = [other + 1]int{}
		}
		start = i + 1
	}
	return -1, -1
}

// isKeyBlock says whether a private key in PEM form begins in a line, with
// what a key consists of in the next one, or behind an escaped line end.
func isKeyBlock(lines []string, i int) bool {
	_, rest, found := strings.Cut(lines[i], "-----BEGIN ")
	if !found {
		return false
	}
	kind, body, closed := strings.Cut(rest, "-----")
	if !closed || !strings.HasSuffix(kind, "PRIVATE KEY") && !strings.HasSuffix(kind, "PRIVATE KEY BLOCK") {
		return false
	}
	body = strings.TrimPrefix(body, `\n`)
	for next := i + 1; len(body) < 40 && next < min(len(lines), i+6); next++ {
		text := strings.Trim(lines[next], " \t\"',+\\n")
		if strings.Contains(text, ": ") || text == "" {
			continue // a header, such as Proc-Type
		}
		body = text
		break
	}
	run := 0
	for run < len(body) && kindOf(body[run]) != 0 {
		run++
	}
	return run >= 40
}

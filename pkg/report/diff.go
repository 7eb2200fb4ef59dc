package report

import (
	"bytes"
	"fmt"
	"strings"
)

// diffContext is how many unchanged lines are shown around a change.
const diffContext = 3

// Diff is the unified diff of a file, as git apply and patch take it: one hunk
// from the first to the last line that differs. Old is nil for a new file.
func Diff(path string, old, text []byte) []byte {
	if bytes.Equal(old, text) && old != nil {
		return nil
	}
	a, b := diffLines(old), diffLines(text)
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	from := max(0, head-diffContext)
	after := min(tail, diffContext)
	var d strings.Builder
	name := "a/" + path
	if old == nil {
		name = "/dev/null"
	}
	fmt.Fprintf(&d, "--- %s\n+++ b/%s\n@@ -%s +%s @@\n", name, path,
		span(from, len(a)-tail+after-from), span(from, len(b)-tail+after-from))
	diffBlock(&d, " ", a[from:head])
	diffBlock(&d, "-", a[head:len(a)-tail])
	diffBlock(&d, "+", b[head:len(b)-tail])
	diffBlock(&d, " ", a[len(a)-tail:len(a)-tail+after])
	return []byte(d.String())
}

// span is a range of lines as a hunk names it.
func span(from, count int) string {
	if count == 0 {
		return fmt.Sprintf("%d,0", from)
	}
	return fmt.Sprintf("%d,%d", from+1, count)
}

// diffLines are the lines with their ends; the last may have none.
func diffLines(text []byte) []string {
	lines := strings.SplitAfter(string(text), "\n")
	if last := len(lines) - 1; lines[last] == "" {
		lines = lines[:last]
	}
	return lines
}

func diffBlock(d *strings.Builder, mark string, lines []string) {
	for _, line := range lines {
		d.WriteString(mark + line)
		if !strings.HasSuffix(line, "\n") {
			d.WriteString("\n\\ No newline at end of file\n")
		}
	}
}

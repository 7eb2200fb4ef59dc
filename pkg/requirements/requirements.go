// Package requirements reads what Python projects say they need: the lines of
// pip's requirements files, requirements as PEP 508 writes them, and the
// version specifiers of PEP 440.
//
// In comes the text of one file, or of one line; out come lines and
// requirements. It never follows -r and -c, and looks nothing up: no disk, no
// index.
package requirements

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode/utf16"
)

// Line is one logical line of a requirements file: continued lines are joined,
// comments are gone.
type Line struct {
	Number int    // of its first line in the file, from 1
	Option string // such as -r or --index-url; "" for a requirement
	Value  string // of the option; or the requirement without its own options
	Own    string // options of the requirement, such as --hash=sha256:…
}

// Lines are the lines of a requirements file that say anything. Files in
// UTF-16, which PowerShell writes, are read by their byte order mark, as pip does.
func Lines(data []byte) []Line {
	var list []Line
	var joined strings.Builder // of lines that go on
	first, number := 0, 0
	for text := range strings.Lines(decode(data)) {
		number++
		text = strings.TrimRight(text, "\r\n")
		if first == 0 {
			first = number
		}
		comment := isComment(text)
		if rest, continued := strings.CutSuffix(text, `\`); continued && !comment {
			joined.WriteString(rest)
			continue
		}
		if comment && joined.Len() > 0 {
			text = "" // it ends what was continued
		}
		joined.WriteString(text)
		if line, ok := parseLine(joined.String(), first); ok {
			list = append(list, line)
		}
		joined.Reset()
		first = 0
	}
	if line, ok := parseLine(joined.String(), first); ok {
		list = append(list, line)
	}
	return list
}

// decode makes text of a file's bytes.
func decode(data []byte) string {
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		return string(data[3:])
	case bytes.HasPrefix(data, []byte("\xff\xfe")):
		order = binary.LittleEndian
	case bytes.HasPrefix(data, []byte("\xfe\xff")):
		order = binary.BigEndian
	default:
		return string(data)
	}
	units := make([]uint16, 0, len(data)/2)
	for i := 2; i+1 < len(data); i += 2 {
		units = append(units, order.Uint16(data[i:]))
	}
	return string(utf16.Decode(units))
}

func isComment(text string) bool { return strings.HasPrefix(strings.TrimSpace(text), "#") }

func parseLine(text string, number int) (Line, bool) {
	text = strings.TrimSpace(withoutComment(text))
	if text == "" {
		return Line{}, false
	}
	line := Line{Number: number}
	line.Option, line.Value = splitOption(text)
	if line.Option == "" {
		line.Value, line.Own = splitOwn(text)
	}
	return line, true
}

// withoutComment cuts off a # that begins the line or follows a space; the
// #egg=name of an address stays.
func withoutComment(text string) string {
	for i := range len(text) {
		if text[i] == '#' && (i == 0 || text[i-1] == ' ' || text[i-1] == '\t') {
			return text[:i]
		}
	}
	return text
}

// splitOption parts `-r file`, `-rfile` and `--requirement=file`; a line that
// is no option has the option "".
func splitOption(line string) (option, value string) {
	if !strings.HasPrefix(line, "-") {
		return "", line
	}
	end := strings.IndexAny(line, " =\t")
	if !strings.HasPrefix(line, "--") && (end < 0 || end > 2) {
		end = min(2, len(line))
	}
	if end < 0 {
		return line, ""
	}
	return line[:end], strings.Trim(line[end:], " =\t\"'")
}

// splitOwn parts a requirement from the options that follow it.
func splitOwn(text string) (requirement, own string) {
	for i := range len(text) - 2 {
		if (text[i] == ' ' || text[i] == '\t') && text[i+1] == '-' && text[i+2] == '-' {
			return strings.TrimSpace(text[:i]), strings.TrimSpace(text[i:])
		}
	}
	return text, ""
}

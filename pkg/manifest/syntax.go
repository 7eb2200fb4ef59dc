package manifest

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// bisected is how many lines a file may have for its broken line to be looked for.
const bisected = 500

var yamlError = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`) })

// syntaxProblem puts a YAML error where a reader would look for it. The
// library gives the line on which the surrounding block began, and counts
// some of them from 0; so the line is looked for, as the one after the longest
// beginning of the file that is good YAML.
func syntaxProblem(data []byte, err error) *Problem {
	message, line := err.Error(), 1
	if found := yamlError().FindStringSubmatch(message); found != nil {
		message = found[2]
		line, _ = strconv.Atoi(found[1])
	}
	if !utf8.Valid(data) && !utf16(data) {
		return invalidText(data)
	}
	lines := bytes.SplitAfter(data, []byte("\n"))
	if len(lines) <= bisected && len(data) <= 1<<16 {
		line = brokenLine(data, lines)
	}
	line = min(max(line, 1), len(lines))
	text := lines[line-1]
	column := len(text) - len(bytes.TrimLeft(text, " ")) + 1
	if strings.HasPrefix(string(text[column-1:]), "\t") {
		message = "a tab stands here: YAML is indented with spaces"
	}
	return &Problem{Position: Position{line, column}, Message: "not YAML: " + message}
}

// brokenLine is the number of the line after which no beginning of the file is good YAML.
func brokenLine(data []byte, lines [][]byte) int {
	end := len(data)
	for i := len(lines) - 1; i > 0; i-- {
		end -= len(lines[i])
		if yaml.Unmarshal(data[:end], &yaml.Node{}) == nil {
			return i + 1
		}
	}
	return 1
}

// utf16 says whether the text begins with a mark of UTF-16, which YAML may be written in.
func utf16(data []byte) bool {
	return bytes.HasPrefix(data, []byte{0xff, 0xfe}) || bytes.HasPrefix(data, []byte{0xfe, 0xff})
}

func invalidText(data []byte) *Problem {
	line, column := 1, 1
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		if r == utf8.RuneError && size == 1 {
			break
		}
		column++
		if r == '\n' {
			line, column = line+1, 1
		}
		data = data[size:]
	}
	return &Problem{Position: Position{line, column}, Message: "not YAML: this is not UTF-8 text"}
}

package release

import (
	"regexp"
	"strings"
	"sync"
)

// Header is the first line of a conventional commit.
type Header struct {
	Type     string // lower case
	Scope    string
	Breaking bool // it carries an exclamation mark
	Text     string
}

var header = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^([A-Za-z][A-Za-z0-9_-]*)(?:\(([^()\r\n]+)\))?(!)?: +(\S.*)$`)
})

// ParseHeader reads a line such as "feat(scope)!: text". The pattern is tied
// to both ends of the line; the space after the colon is required.
func ParseHeader(line string) (Header, bool) {
	m := header().FindStringSubmatch(strings.TrimRight(line, " \t\r"))
	if m == nil {
		return Header{}, false
	}
	return Header{Type: strings.ToLower(m[1]), Scope: m[2], Breaking: m[3] != "", Text: m[4]}, true
}

// has says whether the scope, or one of several with commas between them, is name.
func (h Header) has(name string) bool {
	for scope := range strings.SplitSeq(h.Scope, ",") {
		if strings.TrimSpace(scope) == name {
			return true
		}
	}
	return false
}

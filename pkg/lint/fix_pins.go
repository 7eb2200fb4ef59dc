package lint

import (
	"bytes"
	"regexp"
	"strings"
	"sync"

	"gitlab.com/towline/towline/pkg/requirements"
)

// pinned is a requirement's place in a file, and the line with its version.
type pinned struct {
	line int
	text string
}

// plainRequirement is a line on which nothing but a requirement and perhaps a
// comment stands.
var plainRequirement = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(\s*)([A-Za-z0-9][A-Za-z0-9._-]*(?:\s*\[[A-Za-z0-9._,\s-]*\])?)\s*[^;#]*?(\s*;[^#]*?)?(\s+#.*)?$`)
})

// finalVersion is a version as a release has it, which a pin may name.
var finalVersion = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[0-9]+(\.[0-9]+)*((a|b|rc)[0-9]+)?(\.post[0-9]+)?$`)
})

// pin is the requirement's line with the version that is installed in the
// project's environment. It is certain only where that version is a release
// that meets what the line asks for, and the line holds nothing else.
func pin(f *File, d declared) (pinned, bool) {
	version, installed := f.Repo.Installed(d.Name)
	if !installed || !finalVersion().MatchString(version) || !requirements.Admit(d.Specifiers, version) || d.line.Own != "" {
		return pinned{}, false
	}
	match := plainRequirement().FindStringSubmatch(f.Line(d.line.Number))
	if match == nil || strings.HasSuffix(match[0], `\`) {
		return pinned{}, false
	}
	return pinned{d.line.Number, match[1] + match[2] + "==" + version + match[3] + match[4]}, true
}

// fixPins writes all the pins of a file that are certain at once.
func fixPins(f *File, pins []pinned) *Fix {
	return &Fix{Path: f.Path, Content: func() ([]byte, error) {
		lines := bytes.SplitAfter(f.Bytes(), []byte("\n"))
		for _, p := range pins {
			old := lines[p.line-1]
			end := old[len(bytes.TrimRight(old, "\r\n")):]
			lines[p.line-1] = append([]byte(p.text), end...)
		}
		return bytes.Join(lines, nil), nil
	}}
}

package ci

import (
	"fmt"
	"strings"
	"time"
)

// SectionStart is the mark that begins a part of the log that GitLab can fold,
// with the line that stays visible. The name is unique in the job; parts may
// lie in one another. https://docs.gitlab.com/ci/jobs/job_logs/
func SectionStart(at time.Time, name, header string) string {
	return mark("section_start", at, SectionName(name)) + oneLine(header) + "\n"
}

// FoldedSectionStart is a SectionStart of a part that is folded at first.
func FoldedSectionStart(at time.Time, name, header string) string {
	return mark("section_start", at, SectionName(name)+"[collapsed=true]") + oneLine(header) + "\n"
}

// SectionEnd is the mark that ends the part of this name.
func SectionEnd(at time.Time, name string) string {
	return mark("section_end", at, SectionName(name)) + "\n"
}

// SectionName is a name that the marks may carry: letters, digits and _ . -
func SectionName(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '.', r == '-':
			return r
		}
		return '_'
	}, text)
}

// mark writes \e[0K in full: without the 0 GitLab does not see it.
func mark(kind string, at time.Time, name string) string {
	return fmt.Sprintf("\x1b[0K%s:%d:%s\r\x1b[0K", kind, at.Unix(), name)
}

func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
}

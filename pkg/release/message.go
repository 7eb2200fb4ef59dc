package release

import (
	"regexp"
	"strings"
	"sync"
)

// messageMax is how much of a commit message is read, in bytes.
const messageMax = 1 << 20

// Message is what a commit message says about versions.
type Message struct {
	Subject   string   // its first line
	Headers   []Header // the first line and the paragraphs that are conventional headers
	Breaking  string   // what breaks, in the author's words; the header's text where only a ! says so
	ReleaseAs string   // value of its last Release-As footer
	Revert    bool     // it takes other commits back
	Reverted  []string // hashes of those, as far as it names them
	Undone    Header   // header of the commit taken back, as far as it is quoted
	Ignored   string   // why the message counts for nothing: "fixup!", "draft"…
}

var (
	footer = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^(BREAKING CHANGE|[A-Za-z0-9][A-Za-z0-9-]*)(?:: | #)(.*)$`)
	})
	trailer = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^(?:[A-Z][A-Za-z0-9]*-[A-Za-z0-9-]*|(?i:refs?|closes|fixes|resolves|relates|see|cc)): `)
	})
	quotedRevert = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^Revert "(.*)"$`) })
	revertsLine  = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?m)^This reverts commit ([0-9a-f]{7,64})\b`) })
	hashes       = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\b[0-9a-f]{7,64}\b`) })
	ignored      = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^(?:(fixup!|squash!|amend!) |(?i:(draft|wip):|[\[(](draft|wip)[\])]))`)
	})
)

// ParseMessage reads a whole commit message. It never fails: a message that
// follows no convention says nothing.
func ParseMessage(text string) Message {
	paragraphs := paragraphsOf(text)
	if len(paragraphs) == 0 {
		return Message{}
	}
	m := Message{Subject: paragraphs[0][0]}
	if found := ignored().FindStringSubmatch(m.Subject); found != nil {
		m.Ignored = strings.ToLower(found[1] + found[2] + found[3])
		return m
	}
	for i, lines := range paragraphs {
		m.paragraph(lines, i == 0)
	}
	m.revert(text)
	return m
}

// paragraphsOf splits a message at its empty lines.
func paragraphsOf(text string) [][]string {
	if len(text) > messageMax {
		text = text[:messageMax]
	}
	var paragraphs [][]string
	var current []string
	for line := range strings.SplitSeq(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
		line = strings.TrimRight(line, " \t\r")
		if line != "" {
			current = append(current, line)
			continue
		}
		if current != nil {
			paragraphs = append(paragraphs, current)
			current = nil
		}
	}
	if current != nil {
		paragraphs = append(paragraphs, current)
	}
	return paragraphs
}

// paragraph adds what one paragraph says. One below the first that starts like
// a footer (Signed-off-by, Refs) is no header, though it reads like one. A line counts as a footer only in a
// block of footers: one that starts the paragraph, or follows its header.
func (m *Message) paragraph(lines []string, first bool) {
	h, isHeader := ParseHeader(lines[0])
	isHeader = isHeader && (first || !trailer().MatchString(lines[0]))
	if isHeader {
		m.Headers = append(m.Headers, h)
		if h.Breaking && m.Breaking == "" {
			m.Breaking = h.Text
		}
	}
	isFooter := footer().MatchString(lines[0])
	if first || isHeader && !isFooter {
		lines = lines[1:]
	}
	if len(lines) == 0 || !footer().MatchString(lines[0]) {
		return
	}
	for _, line := range lines {
		if f := footer().FindStringSubmatch(line); f != nil {
			m.footer(f[1], f[2], line)
		}
	}
}

func (m *Message) footer(token, value, line string) {
	switch {
	case strings.HasPrefix(line, "BREAKING CHANGE: "), strings.HasPrefix(line, "BREAKING-CHANGE: "):
		m.Breaking = value
	case strings.EqualFold(token, "Release-As"):
		m.ReleaseAs = strings.TrimSpace(value)
	case strings.EqualFold(token, "Refs") && len(m.Headers) > 0 && m.Headers[0].Type == "revert":
		m.Reverted = append(m.Reverted, hashes().FindAllString(value, -1)...)
	}
}

// revert finds out whether the message takes commits back, and which.
func (m *Message) revert(text string) {
	if quoted := quotedRevert().FindStringSubmatch(m.Subject); quoted != nil {
		m.Revert = true
		m.Undone, _ = ParseHeader(quoted[1])
	}
	if len(m.Headers) > 0 && m.Headers[0].Type == "revert" && strings.HasPrefix(strings.ToLower(m.Subject), "revert") {
		m.Revert = true
		m.Undone, _ = ParseHeader(m.Headers[0].Text)
	}
	if !m.Revert {
		m.Reverted = nil
		return
	}
	for _, found := range revertsLine().FindAllStringSubmatch(text, -1) {
		m.Reverted = append(m.Reverted, found[1])
	}
}

package release

import (
	"fmt"
	"slices"
	"strings"
)

// groups are the headings of a changelog, and the types of commits below each.
var groups = []struct {
	title string
	types []string
}{
	{"Features", []string{"feat"}},
	{"Fixes", []string{"fix"}},
	{"Performance", []string{"perf"}},
	{"Model", []string{"data", "features", "train"}},
	{"Reverts", []string{"revert"}},
}

// Changelog is what is new in the version, as Markdown. Commits that asked for
// nothing and belong under none of its headings are left out.
func Changelog(r Result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n", r.Version)
	written := section(&b, "Breaking changes", r.Reasons, func(r Reason) bool { return r.Breaking != "" })
	taken := map[string]bool{}
	for _, group := range groups {
		for _, kind := range group.types {
			taken[kind] = true
		}
		written = section(&b, group.title, r.Reasons, func(r Reason) bool {
			return r.Breaking == "" && !r.dropped() && slices.Contains(group.types, r.Type)
		}) || written
	}
	written = section(&b, "Other changes", r.Reasons, func(r Reason) bool {
		return r.Breaking == "" && !taken[r.Type] && r.Commit != "" && r.Bump != None.String() && r.Bump != ""
	}) || written
	if !written {
		b.WriteString("\n" + nothingNew(r) + "\n")
	}
	return b.String()
}

func nothingNew(r Result) string {
	switch {
	case r.Bump == "initial":
		return "The first version."
	case r.Released:
		return "No change of the code asked for this version."
	}
	return "Nothing to release."
}

// dropped says whether the commit was taken back, or takes one back.
func (r Reason) dropped() bool { return r.Type == "" }

// section writes the reasons that belong below one heading.
func section(b *strings.Builder, title string, reasons []Reason, belongs func(Reason) bool) bool {
	var lines []string
	for _, r := range reasons {
		if r.Commit != "" && belongs(r) {
			lines = append(lines, entry(r))
		}
	}
	if len(lines) == 0 {
		return false
	}
	fmt.Fprintf(b, "\n### %s\n\n%s\n", title, strings.Join(lines, "\n"))
	return true
}

// entry is one line of a changelog.
func entry(r Reason) string {
	text := r.Header
	if h, ok := ParseHeader(r.Header); ok {
		text = h.Text
		if h.Scope != "" {
			text = h.Scope + ": " + text
		}
	}
	if r.Breaking != "" && r.Breaking != text && !strings.HasSuffix(text, r.Breaking) {
		text += " — " + r.Breaking
	}
	return fmt.Sprintf("- %s (%s)", markdown(text), short(r.Commit))
}

// markdown keeps the words of a commit from being read as markup.
func markdown(text string) string {
	return strings.NewReplacer("\\", "\\\\", "`", "\\`", "*", "\\*", "_", "\\_", "[", "\\[", "]", "\\]",
		"<", "&lt;", "&", "&amp;", "#", "\\#").Replace(text)
}

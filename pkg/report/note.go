package report

import (
	"fmt"
	"strings"

	"gitlab.com/towline/towline/pkg/record"
)

// NoteMarker is the line by which the note of a model is known among others.
func NoteMarker(project, model string) string {
	return fmt.Sprintf("<!-- towline:report:%s/%s -->", project, model)
}

// Note writes the report as a note on a merge request: its marker, and then
// what Markdown writes. Of a release that is not judged yet it says what
// version it would get, and why. It has at most so many bytes: what does not
// fit is left out, and that is said.
func Note(rec record.Record, most int) string {
	var text strings.Builder
	text.WriteString(NoteMarker(rec.Project, rec.Model) + "\n")
	body := Markdown(rec)
	if rec.Verdict == nil {
		head, rest, _ := strings.Cut(body, "\n\n")
		body = head + "\n\n" + markdownVersion(rec.Version) + rest
	}
	foot := "\n"
	if rec.Source.Pipeline != "" {
		foot += "<sub>" + escape(clip(rec.Source.Commit, 8)) + ", [pipeline](" + clip(rec.Source.Pipeline, textLength) + ")</sub>\n"
	}
	const cut = "\n\n</details>\n\nThe report is longer than a note may be: the rest is in the job's artifacts.\n"
	room := most - text.Len() - len(foot)
	if len(body) > room {
		body = body[:max(room-len(cut), 0)]
		body = strings.ToValidUTF8(body[:strings.LastIndexByte(body, '\n')+1], "") + cut
	}
	text.WriteString(body)
	text.WriteString(foot)
	return text.String()
}

// markdownVersion says what version a release would get, and why.
func markdownVersion(v record.Version) string {
	var text strings.Builder
	switch {
	case v.Version == "":
		return ""
	case !v.Released:
		fmt.Fprintf(&text, "Nothing to release since %s.\n\n", code(name(v.Version)))
	case v.Base == "":
		fmt.Fprintf(&text, "It would be released as %s, the first version.\n\n", code(name(v.Version)))
	default:
		fmt.Fprintf(&text, "It would be released as %s, a %s release after %s.\n\n", code(name(v.Version)), escape(name(v.Bump)), code(name(v.Base)))
	}
	for _, reason := range first(v.Reason, maxReasons) {
		if reason.Commit == "" {
			continue
		}
		fmt.Fprintf(&text, "- %s %s (%s)\n", code(clip(reason.Commit, 8)), escape(said(reason.Header)), escape(said(reason.Text)))
	}
	if left := more(len(v.Reason), maxReasons, "reasons"); left != "" {
		fmt.Fprintf(&text, "- %s\n", left)
	}
	text.WriteString("\n")
	return text.String()
}

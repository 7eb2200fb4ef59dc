package release

import (
	"slices"
	"strings"
)

// Candidate names what is made before the gate has passed: <next>-cand.<iid>
// in a pipeline, <next>-dev.<start of the identity> elsewhere.
func Candidate(next, iid, identity string) string {
	if iid != "" {
		return next + "-cand." + number(iid)
	}
	return next + "-dev." + shortIdentity(identity)
}

// Preview says which merge request or branch a version is computed for.
type Preview struct {
	MergeRequest string `json:"merge_request,omitempty"` // its number in the project
	Branch       string `json:"branch,omitempty"`        // where there is no merge request; GitLab's slug of it, or its name
	Pipeline     string `json:"pipeline"`                // its number in the project
}

// PreviewVersion is the version of what a merge request or a branch makes. It
// is after the base and before what the base is followed by, and is never the
// name of a git tag.
func PreviewVersion(next string, p Preview) string {
	if p.MergeRequest != "" {
		return next + "-mr." + number(p.MergeRequest) + "." + number(p.Pipeline)
	}
	return next + "-" + slug(p.Branch) + "." + number(p.Pipeline)
}

// slugMax is how long a branch's part of a version may be, as in GitLab's own slugs.
const slugMax = 63

// slug is a branch's name as a SemVer identifier. A name of digits alone, and
// one that starts like a version of another kind, are marked with b- in front,
// and so are those that look marked: no two kinds of version share a name,
// not even where dots become dashes.
func slug(branch string) string {
	s := identifier(strings.ToLower(branch))
	first, _, _ := strings.Cut(s, "-")
	if digits(s) || slices.Contains([]string{"rc", "mr", "cand", "dev", "b"}, first) {
		s = "b-" + s
	}
	return cut(s, branch, slugMax)
}

// shortIdentity is the start of an identity as a SemVer identifier. One of
// digits alone would be a number, and one with a leading zero illegal: those
// get an x in front, which no hexadecimal digit is.
func shortIdentity(identity string) string {
	short := identifier(identity)
	if len(short) > 8 {
		short = short[:8]
	}
	if digits(short) {
		return "x" + short
	}
	return short
}

// identifier keeps of a text what a SemVer identifier may hold: runs of
// anything else become one dash, which does not stand at either end.
func identifier(text string) string {
	var b strings.Builder
	dash := false
	for _, r := range text {
		if !alphanumeric(r) {
			dash = b.Len() > 0
			continue
		}
		if dash {
			b.WriteByte('-')
			dash = false
		}
		b.WriteRune(r)
	}
	if b.Len() == 0 {
		return "0"
	}
	return b.String()
}

// numberMax is how many characters a pipeline's number may have.
const numberMax = 18

// number is a pipeline's number as a SemVer identifier: without zeros in
// front, which would be illegal.
func number(text string) string {
	id := identifier(text)
	if !digits(id) {
		return cut(id, text, numberMax)
	}
	id = strings.TrimLeft(id, "0")
	switch {
	case id == "":
		return "0"
	case len(id) > numberMax:
		return cut("x"+id, text, numberMax)
	}
	return id
}

func alphanumeric(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
}

func digits(text string) bool {
	return strings.Trim(text, "0123456789") == ""
}

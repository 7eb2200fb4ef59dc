package release

import "strings"

// Candidate names what is made before the gate has passed: <next>-cand.<iid>
// in a pipeline, <next>-dev.<start of the identity> elsewhere.
func Candidate(next, iid, identity string) string {
	if iid != "" {
		return next + "-cand." + number(iid)
	}
	return next + "-dev." + shortIdentity(identity)
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

// number is a pipeline's number as a SemVer identifier.
func number(text string) string {
	id := identifier(text)
	if !digits(id) {
		return id
	}
	if trimmed := strings.TrimLeft(id, "0"); trimmed != "" {
		return trimmed
	}
	return "0"
}

func alphanumeric(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
}

func digits(text string) bool {
	return strings.Trim(text, "0123456789") == ""
}

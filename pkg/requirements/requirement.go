package requirements

import (
	"errors"
	"fmt"
	"strings"
)

// Requirement is one dependency, as PEP 508 writes it.
type Requirement struct {
	Name       string      // normalised: lower case, single hyphens
	Extras     []string    // as written
	Specifiers []Specifier // all of them hold; none: any version
	URL        string      // where it comes from; "" for an index. Without a name: an address or a path alone
	Marker     string      // where it is needed, such as python_version < "3.11"; "" for everywhere
}

// Specifier is one condition on a version, such as >=1.2.
type Specifier struct {
	Operator string // ==, ===, !=, ~=, <, <=, > or >=
	Version  string // 1.2 or, with == and !=, 1.2.*
}

func (s Specifier) String() string { return s.Operator + s.Version }

// Parse reads a requirement. An address or a path alone, which pip takes too,
// has a URL and, unless #egg= says it, no name.
func Parse(text string) (Requirement, error) {
	var r Requirement
	text = strings.TrimSpace(text)
	if isAddress(text) {
		r.URL, r.Marker = cutMarker(text)
		if _, egg, ok := strings.Cut(r.URL, "#egg="); ok {
			egg, _, _ = strings.Cut(egg, "&")
			r.Name = Normal(egg)
		}
		return r, nil
	}
	name := text[:nameEnd(text)]
	if name == "" {
		return r, fmt.Errorf("%q does not begin with a name", clip(text))
	}
	r.Name = Normal(name)
	rest := strings.TrimSpace(text[len(name):])
	if strings.HasPrefix(rest, "[") {
		extras, after, closed := strings.Cut(rest[1:], "]")
		if !closed {
			return r, errors.New("the list of extras has no end")
		}
		for extra := range strings.SplitSeq(extras, ",") {
			if extra = strings.TrimSpace(extra); extra != "" {
				r.Extras = append(r.Extras, extra)
			}
		}
		rest = strings.TrimSpace(after)
	}
	if url, ok := strings.CutPrefix(rest, "@"); ok {
		r.URL, r.Marker = cutMarker(strings.TrimSpace(url))
		return r, nil
	}
	versions, marker, _ := strings.Cut(rest, ";")
	r.Marker = strings.TrimSpace(marker)
	versions = strings.TrimSpace(versions)
	if strings.HasPrefix(versions, "(") && strings.HasSuffix(versions, ")") {
		versions = versions[1 : len(versions)-1]
	}
	var err error
	r.Specifiers, err = ParseSpecifiers(versions)
	return r, err
}

// Pinned is the one version that is asked for, or "".
func (r Requirement) Pinned() string {
	for _, s := range r.Specifiers {
		if (s.Operator == "==" || s.Operator == "===") && !strings.HasSuffix(s.Version, ".*") {
			return s.Version
		}
	}
	return ""
}

// Normal is a name as PEP 503 compares it.
func Normal(name string) string {
	name = strings.ToLower(strings.TrimSpace(name))
	return strings.Join(strings.FieldsFunc(name, func(c rune) bool { return c == '-' || c == '_' || c == '.' }), "-")
}

// isAddress says whether a line is a path or an address, and no name.
func isAddress(text string) bool {
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "/") {
		return true
	}
	end := nameEnd(text)
	rest := text[end:]
	if scheme, _, ok := strings.Cut(text, "://"); ok && !strings.ContainsAny(scheme, " @;[") {
		return true
	}
	return strings.HasPrefix(rest, "/") || strings.HasSuffix(text, ".whl") && !strings.ContainsAny(text, " @")
}

func nameEnd(text string) int {
	for i := range len(text) {
		c := text[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && (i == 0 || c != '-' && c != '_' && c != '.') {
			return i
		}
	}
	return len(text)
}

// cutMarker parts an address from the marker behind it.
func cutMarker(text string) (address, marker string) {
	address, marker, found := strings.Cut(text, " ;")
	if !found {
		address, marker, _ = strings.Cut(text, "; ")
	}
	return strings.TrimSpace(address), strings.TrimSpace(marker)
}

func clip(text string) string { return text[:min(len(text), 60)] }

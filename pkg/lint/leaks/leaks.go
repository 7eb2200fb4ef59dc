// Package leaks finds credentials in text, by the rules of gitleaks.
//
// In comes text; out go the places of what looks like a credential and the
// rule that says so, never the credential. It reads no file and no setting.
//
// gitleaks' own detector runs some of its expressions over the whole of a
// text: ten seconds for ten megabytes of Python. Only lines that hold a run of
// characters that could be a credential are looked at here, an expression is
// made when the first such line has its keyword, and the rest is as gitleaks
// does it: the rule's path, entropy, allowlists.
package leaks

import (
	_ "embed"
	"fmt"
	"math"
	"regexp"
	"strings"
	"sync"

	"github.com/pelletier/go-toml/v2"
)

// rulesText are the rules of gitleaks, as its module has them; its licence lies beside them.
//
//go:embed gitleaks/gitleaks.toml
var rulesText []byte

// Leak is what looks like a credential.
type Leak struct {
	Rule   string // of gitleaks, such as aws-access-token
	Title  string // what it is, such as "AWS access token"
	Line   int    // from 1
	Column int    // from 1, in bytes
	End    int    // column behind the credential

	// Named says that the value alone says little: the name beside it makes
	// it a credential, as in airtable_key = "…".
	Named bool
}

// generic is the rule that goes by the name of a variable and the entropy of its value.
const generic = "generic-api-key"

const (
	longestLine = 1000 // in longer ones only what surrounds a suspicious run is looked at
	before      = 130  // so much before it: gitleaks' expressions reach back about 100 bytes
	behind      = 20
	mostPieces  = 2000 // of one text; minified JavaScript has no end of them
	mostLeaks   = 100  // in one text
)

// Finder knows the rules. It is safe for several goroutines.
type Finder struct {
	rules []rule
	allow []allowlist // for all rules
}

// rule is one rule of gitleaks.
type rule struct {
	ID         string
	Regex      string
	Path       string
	Entropy    float64
	Keywords   []string
	Group      int         `toml:"secretGroup"`
	Allow      []allowlist `toml:"allowlists"`
	reaches    bool        // back from the keyword, over what belongs to the variable's name
	expression func() *regexp.Regexp
	forPath    func() *regexp.Regexp
}

type allowlist struct {
	Condition   string
	Paths       []string
	Regexes     []string
	RegexTarget string
	StopWords   []string
	paths       func() []*regexp.Regexp
	regexes     func() []*regexp.Regexp
}

// reach is how many expressions of gitleaks begin. It makes them slow and
// finds nothing, so it is done by hand: see rule.match.
const reach = `[\w.-]{0,50}?`

// New reads the rules that come with gitleaks.
func New() (*Finder, error) {
	var file struct {
		Allow      allowlist   `toml:"allowlist"`
		Allowlists []allowlist `toml:"allowlists"`
		Rules      []rule
	}
	if err := toml.Unmarshal(rulesText, &file); err != nil {
		return nil, fmt.Errorf("read the rules of gitleaks: %w", err)
	}
	f := &Finder{allow: append(file.Allowlists, file.Allow)}
	for _, r := range file.Rules {
		if r.Regex == "" || len(r.Keywords) == 0 {
			continue
		}
		for i, keyword := range r.Keywords {
			r.Keywords[i] = strings.ToLower(keyword)
		}
		short, reaches := strings.CutPrefix(r.Regex, "(?i)"+reach)
		if reaches {
			r.Regex, r.reaches = "(?i)"+short, true
		}
		r.expression = compiled(r.Regex)
		r.forPath = compiled(r.Path)
		prepare(r.Allow)
		f.rules = append(f.rules, r)
	}
	prepare(f.allow)
	return f, nil
}

func prepare(lists []allowlist) {
	for i := range lists {
		lists[i].paths, lists[i].regexes = compiledAll(lists[i].Paths), compiledAll(lists[i].Regexes)
	}
}

func compiled(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}

func compiledAll(texts []string) func() []*regexp.Regexp {
	return sync.OnceValue(func() []*regexp.Regexp {
		list := make([]*regexp.Regexp, len(texts))
		for i, text := range texts {
			list[i] = regexp.MustCompile(text)
		}
		return list
	})
}

// Find looks for credentials in the lines of a file; each place is found once.
func (f *Finder) Find(path string, lines []string) []Leak {
	var leaks []Leak
	asked, skip := false, false
	pieces := 0
	for i, line := range lines {
		for from, piece := range suspects(line) {
			if !asked {
				asked, skip = true, anyAllows(f.allow, path)
			}
			if pieces++; skip || pieces > mostPieces || len(leaks) >= mostLeaks {
				return leaks
			}
			leaks = f.line(leaks, path, lines, i, from, piece)
		}
	}
	return leaks
}

// anyAllows says whether gitleaks leaves a path alone.
func anyAllows(lists []allowlist, path string) bool {
	for _, list := range lists {
		if matches(list.paths(), path) {
			return true
		}
	}
	return false
}

// line looks at one line, or a piece of a long one.
func (f *Finder) line(leaks []Leak, path string, lines []string, i, from int, text string) []Leak {
	if strings.Contains(text, "gitleaks:allow") {
		return leaks
	}
	if isKeyBlock(lines, i) {
		start := from + strings.Index(text, keyMark) + 1
		return append(leaks, Leak{Rule: "private-key", Title: "private key", Line: i + 1, Column: start, End: from + len(text) + 1})
	}
	lower := strings.ToLower(text)
	for r := range f.rules {
		rule := &f.rules[r]
		if rule.ID == "private-key" || !containsAny(lower, rule.Keywords) || rule.Path != "" && !rule.forPath().MatchString(path) {
			continue
		}
		for _, at := range rule.expression().FindAllStringSubmatchIndex(text, -1) {
			start, end := rule.secret(at)
			if f.allowed(rule, path, text, rule.match(text, at), text[start:end]) || signed(text[:start]) {
				continue
			}
			leaks = merge(leaks, Leak{rule.ID, strings.ReplaceAll(rule.ID, "-", " "), i + 1, from + start + 1, from + end + 1, rule.named()})
		}
	}
	return leaks
}

// named says whether the rule needs a name beside the value: those of gitleaks
// that begin with one, and two for what is given to curl.
func (r *rule) named() bool {
	return r.reaches || r.ID == generic || strings.HasPrefix(r.ID, "curl-auth")
}

// signed says whether what follows is the identifier in a signed address: it
// is public, ends soon, and goes without its secret.
func signed(before string) bool {
	return strings.HasSuffix(before, "X-Amz-Credential=") || strings.HasSuffix(before, "AWSAccessKeyId=")
}

// merge adds a leak, unless its place is known; a rule for one service is
// kept in place of the generic one.
func merge(leaks []Leak, leak Leak) []Leak {
	for i, known := range leaks {
		if known.Line == leak.Line && known.Column < leak.End && leak.Column < known.End {
			if known.Named && !leak.Named || known.Rule == generic {
				leaks[i] = leak
			}
			return leaks
		}
	}
	return append(leaks, leak)
}

// match is what the rule's own expression would have matched.
func (r *rule) match(text string, at []int) string {
	from := at[0]
	for r.reaches && from > max(0, at[0]-50) && (kindOf(text[from-1]) != 0 && !strings.ContainsRune("+/=", rune(text[from-1]))) {
		from--
	}
	return text[from:at[1]]
}

// secret is the part of a match that is the credential: the rule's group, or
// the first that is not empty.
func (r *rule) secret(at []int) (start, end int) {
	if r.Group > 0 && 2*r.Group+1 < len(at) && at[2*r.Group] >= 0 {
		return at[2*r.Group], at[2*r.Group+1]
	}
	for i := 2; i+1 < len(at); i += 2 {
		if at[i] >= 0 && at[i] < at[i+1] {
			return at[i], at[i+1]
		}
	}
	return at[0], at[1]
}

func (f *Finder) allowed(r *rule, path, line, match, secret string) bool {
	if r.Entropy > 0 && entropy(secret) <= r.Entropy {
		return true
	}
	for _, list := range append(f.allow[:len(f.allow):len(f.allow)], r.Allow...) {
		if list.allows(path, line, match, secret) {
			return true
		}
	}
	return false
}

func (a *allowlist) allows(path, line, match, secret string) bool {
	target := secret
	switch a.RegexTarget {
	case "line":
		target = line
	case "match":
		target = match
	}
	var checks []bool
	if len(a.Paths) > 0 {
		checks = append(checks, matches(a.paths(), path))
	}
	if len(a.Regexes) > 0 {
		checks = append(checks, matches(a.regexes(), target))
	}
	if len(a.StopWords) > 0 {
		checks = append(checks, containsAny(strings.ToLower(secret), a.StopWords))
	}
	all := strings.EqualFold(a.Condition, "and") || a.Condition == "&&"
	for _, holds := range checks {
		if holds != all {
			return holds
		}
	}
	return all && len(checks) > 0
}

func matches(expressions []*regexp.Regexp, text string) bool {
	for _, expression := range expressions {
		if expression.MatchString(text) {
			return true
		}
	}
	return false
}

func containsAny(text string, words []string) bool {
	for _, word := range words {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}

// entropy is Shannon's, in bits a byte.
func entropy(text string) float64 {
	var counts [256]int
	for i := range len(text) {
		counts[text[i]]++
	}
	sum := 0.0
	for _, n := range counts {
		if n > 0 {
			p := float64(n) / float64(len(text))
			sum -= p * math.Log2(p)
		}
	}
	return sum
}

package manifest

import (
	"math"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// checkScalar holds a value that was read against the limits of its key.
func (r *reader) checkScalar(n *yaml.Node, v reflect.Value, at place) {
	key := r.keys[strings.TrimSuffix(strings.TrimSuffix(at.key, "[]"), ".*")]
	switch v.Kind() {
	case reflect.String:
		r.checkText(n, v.String(), at, key)
	case reflect.Int:
		if number := v.Int(); key.Least != 0 && number < int64(key.Least) || key.Most != 0 && number > int64(key.Most) {
			r.problem(n, at, "%d is out of range, wanted %d to %d", number, key.Least, key.Most)
		}
	case reflect.Float64:
		if math.IsNaN(v.Float()) || math.IsInf(v.Float(), 0) {
			r.problem(n, at, "found %s, wanted a finite number", n.Value)
		}
	}
}

func (r *reader) checkText(n *yaml.Node, text string, at place, key Key) {
	switch {
	case text == "" && at.key != "" && (key.Pattern == "" || !r.match(key.Pattern, "")):
		r.problem(n, at, "the text is empty")
	case key.OneOf != nil && !slices.Contains(key.OneOf, text):
		r.problem(n, at, "found %s, wanted %s", quoted(text), either(key.OneOf))
	case key.Length != 0 && utf8.RuneCountInString(text) > key.Length:
		r.problem(n, at, "the text has %d characters, wanted %d at most", utf8.RuneCountInString(text), key.Length)
	case key.Pattern != "" && !r.match(key.Pattern, text):
		r.problem(n, at, "%s is not %s", quoted(text), key.Takes)
	}
}

func (r *reader) match(pattern, text string) bool {
	compiled, ok := r.patterns[pattern]
	if !ok {
		compiled = regexp.MustCompile(pattern)
		r.patterns[pattern] = compiled
	}
	return compiled.MatchString(text)
}

// checkName holds a name in a map against the rule for names there.
func (r *reader) checkName(n *yaml.Node, name string, at place) {
	key := r.keys[at.key]
	if key.Names == "" {
		return
	}
	if !r.match(key.Names, name) || key.NameLength != 0 && len(name) > key.NameLength {
		r.problem(n, at, "the name %s is not legal, wanted %s", quoted(name), key.NameRule)
	}
}

// checkCount holds the length of a list or a map against its limits.
func (r *reader) checkCount(n *yaml.Node, count int, at place) {
	if n.Kind != yaml.SequenceNode && n.Kind != yaml.MappingNode {
		return
	}
	key := r.keys[at.key]
	if count < key.Least {
		r.problem(n, at, "there are %d entries, wanted %d at least", count, key.Least)
	}
	if key.Most != 0 && count > key.Most {
		r.problem(n, at, "there are %d entries, wanted %d at most", count, key.Most)
	}
}

// either lists choices: a, b or c.
func either(choices []string) string {
	last := len(choices) - 1
	if last < 1 {
		return strings.Join(choices, "")
	}
	return strings.Join(choices[:last], ", ") + " or " + choices[last]
}

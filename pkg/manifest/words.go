package manifest

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"gopkg.in/yaml.v3"
)

// longestQuoted is how much of a value a message repeats.
const longestQuoted = 60

var plainKey = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_./-]{1,64}$`) })

// plain says whether a node is one piece of text, a number or a boolean.
func plain(n *yaml.Node) bool {
	switch n.ShortTag() {
	case "!!str", "!!int", "!!float", "!!bool", "!!timestamp":
		return n.Kind == yaml.ScalarNode
	}
	return false
}

// found names what a node is.
func found(n *yaml.Node) string {
	switch n.ShortTag() {
	case "!!map":
		return "a map"
	case "!!seq":
		return "a list"
	case "!!str":
		return "the text " + quoted(n.Value)
	case "!!int", "!!float":
		return "the number " + quoted(n.Value)
	case "!!bool", "!!timestamp":
		return quoted(n.Value)
	case nullTag:
		return "nothing"
	}
	return "the YAML tag " + quoted(n.Tag)
}

// quotes advises to quote what is meant to be text.
func quotes(n *yaml.Node, wanted string) string {
	if wanted != "text" || !plain(n) {
		return ""
	}
	return ": put it in quotes"
}

// asList shows the list that a single text was probably meant to be.
func asList(n *yaml.Node) string {
	words := strings.Fields(n.Value)
	if n.ShortTag() != "!!str" || len(words) == 0 || len(n.Value) > longestQuoted {
		return ""
	}
	return fmt.Sprintf(": [%s]", strings.Join(words, ", "))
}

// quoted is a value as a message repeats it: on one line, and not too long.
func quoted(text string) string {
	if len(text) > longestQuoted {
		return strconv.Quote(text[:longestQuoted]) + "…"
	}
	if plainKey().MatchString(text) {
		return text
	}
	return strconv.Quote(text)
}

// meant is the known key that was probably meant by an unknown one.
func meant(name string, fields map[string]reflect.StructField) string {
	best, distance := "", 3
	for _, known := range slices.Sorted(maps.Keys(fields)) {
		if d := editDistance(simple(name), simple(known)); d < min(distance, len(known)) {
			best, distance = known, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(", did you mean %s?", best)
}

// simple is a name without what maxRuntime, max-runtime and max_runtime differ in.
func simple(name string) string {
	if len(name) > longestQuoted {
		name = name[:longestQuoted]
	}
	return strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(name))
}

// editDistance is Levenshtein's: how many bytes must be put in, taken out or changed.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

package manifest

import (
	"fmt"
	"strings"
)

// String is the rule in words, such as "f1: higher is better, at least 0.8, may drop 0.005".
func (r Rule) String() string {
	words := []string{fmt.Sprintf("%s: %s is better", r.Metric, r.Better)}
	for _, limit := range []struct {
		text  string
		value *float64
	}{
		{"at least", r.AtLeast}, {"at most", r.AtMost},
		{"may drop", r.MayDrop}, {"may rise", r.MayRise},
	} {
		if limit.value != nil {
			words = append(words, fmt.Sprintf("%s %g", limit.text, *limit.value))
		}
	}
	return strings.Join(words, ", ")
}

package gate

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

const (
	namesShown = 12 // of the metrics that are there, when one is missing
	nameLength = 60 // runes of a name that are shown
)

// Number writes a metric for people: six significant digits.
func Number(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }

// exact writes every digit, for two numbers that would look alike.
func exact(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// missing says that a metric is not there, and which ones are.
func missing(metric string, have map[string]float64) string {
	return fmt.Sprintf("the evaluation has no metric %s; %s", plain(metric), there(have))
}

// unfit says that a metric is no number that can be compared.
func unfit(metric string, value float64, have map[string]float64) string {
	return fmt.Sprintf("%s is %g, wanted a finite number; %s", plain(metric), value, there(have))
}

func there(have map[string]float64) string {
	if len(have) == 0 {
		return "it has none at all"
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(have)) {
		names = append(names, plain(name))
	}
	if more := len(names) - namesShown; more > 0 {
		names = append(names[:namesShown], fmt.Sprintf("and %d more", more))
	}
	return "it has " + strings.Join(names, ", ")
}

// plain makes a name that came from a file fit for one line of a terminal.
func plain(name string) string {
	printable := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, name)
	if runes := []rune(printable); len(runes) > nameLength {
		return string(runes[:nameLength-1]) + "…"
	}
	return printable
}

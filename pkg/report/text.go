package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
)

// number writes a metric for people: six significant digits at most.
func number(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }

// percent writes a share of one.
func percent(share float64) string {
	if !finite(share) {
		return "–"
	}
	if p := share * 100; p > 0 && p < 1 {
		return "<1 %"
	} else if p > 99 && p < 100 {
		return ">99 %"
	}
	return strconv.Itoa(int(math.Round(share*100))) + " %"
}

// compact writes a count in a few characters.
func compact(n int64) string {
	switch {
	case n < 100_000:
		return strconv.FormatInt(n, 10)
	case n < 10_000_000:
		return strconv.FormatInt(n/1000, 10) + "k"
	case n < 10_000_000_000:
		return strconv.FormatInt(n/1_000_000, 10) + "M"
	}
	return fmt.Sprintf("%.1e", float64(n))
}

// bytesOf writes a size.
func bytesOf(n int64) string {
	switch {
	case n < 1000:
		return strconv.FormatInt(n, 10) + " B"
	case n < 1_000_000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	case n < 1_000_000_000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}

// clean makes any text fit for one line: no control characters, no
// characters that reverse the direction of writing, no broken UTF-8.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// clip is clean text of at most so many runes.
func clip(text string, length int) string {
	if len(text) > 8*length+64 {
		text = text[:8*length+64] // so that a huge text costs little
	}
	runes := []rune(clean(text))
	if len(runes) <= length {
		return string(runes)
	}
	return string(runes[:length-1]) + "…"
}

// name shows a metric's or class's name, and something for an empty one.
func name(text string) string {
	if text == "" {
		return "(no name)"
	}
	return clip(text, nameLength)
}

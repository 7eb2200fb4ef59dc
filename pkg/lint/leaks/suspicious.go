package leaks

import "strings"

// The kinds of bytes that credentials are made of.
const (
	lower = iota + 1
	upper
	digit
	other
)

func kindOf(c byte) int {
	switch {
	case c >= 'a' && c <= 'z':
		return lower
	case c >= 'A' && c <= 'Z':
		return upper
	case c >= '0' && c <= '9':
		return digit
	case c == '_' || c == '-' || c == '.' || c == '+' || c == '/' || c == '=':
		return other
	}
	return 0
}

const (
	shortestRun = 12 // entropy of 3.5 bits, gitleaks' least, takes 12 different characters
	capitals    = 20 // an access key may have no digit
)

// suspicious says whether a line holds a run of characters that could be a
// credential: long enough, of letters and digits; or begins a private key.
func suspicious(line string) bool {
	if len(line) < shortestRun {
		return false
	}
	var counts [other + 1]int
	length := 0
	for i := 0; i <= len(line); i++ {
		kind := 0
		if i < len(line) {
			kind = kindOf(line[i])
		}
		if kind != 0 {
			counts[kind]++
			length++
			continue
		}
		if length >= shortestRun {
			letters := counts[lower] + counts[upper]
			if counts[digit] > 0 && letters > 0 || counts[upper] >= capitals {
				return true
			}
			if length > 2*shortestRun && letters == 0 && counts[other] >= 5 && strings.Contains(line, "-----BEGIN") {
				return true
			}
		}
		if length > 0 {
			counts, length = [other + 1]int{}, 0
		}
	}
	return strings.Contains(line, "-----BEGIN")
}

// isKeyBlock says whether a private key in PEM form begins in a line, with
// what a key consists of in the next one, or behind an escaped line end.
func isKeyBlock(lines []string, i int) bool {
	_, rest, found := strings.Cut(lines[i], "-----BEGIN ")
	if !found {
		return false
	}
	kind, body, closed := strings.Cut(rest, "-----")
	if !closed || !strings.HasSuffix(kind, "PRIVATE KEY") && !strings.HasSuffix(kind, "PRIVATE KEY BLOCK") {
		return false
	}
	body = strings.TrimPrefix(body, `\n`)
	for next := i + 1; len(body) < 40 && next < min(len(lines), i+6); next++ {
		text := strings.Trim(lines[next], " \t\"',+\\n")
		if strings.Contains(text, ": ") || text == "" {
			continue // a header, such as Proc-Type
		}
		body = text
		break
	}
	run := 0
	for run < len(body) && kindOf(body[run]) != 0 {
		run++
	}
	return run >= 40
}

package lint

import "fmt"

// twins are rules of pylint, and ruff's codes for them. Those that ruff took
// over from pylint are not listed: they have pylint's number after PL.
var twins = [...][2]string{
	{"unused-import", "F401"},
	{"wildcard-import", "F403"},
	{"f-string-without-interpolation", "F541"},
	{"duplicate-key", "F601"},
	{"assert-on-tuple", "F631"},
	{"not-in-loop", "F701"},
	{"return-outside-function", "F706"},
	{"function-redefined", "F811"},
	{"reimported", "F811"},
	{"undefined-variable", "F821"},
	{"undefined-all-variable", "F822"},
	{"used-before-assignment", "F823"},
	{"unused-variable", "F841"},
	{"multiple-imports", "E401"},
	{"wrong-import-position", "E402"},
	{"line-too-long", "E501"},
	{"multiple-statements", "E701"},
	{"singleton-comparison", "E711"},
	{"unidiomatic-typecheck", "E721"},
	{"bare-except", "E722"},
	{"unnecessary-lambda-assignment", "E731"},
	{"trailing-whitespace", "W291"},
	{"missing-final-newline", "W292"},
	{"dangerous-default-value", "B006"},
	{"raise-missing-from", "B904"},
	{"broad-exception-caught", "BLE001"},
	{"exec-used", "S102"},
	{"eval-used", "S307"},
}

// twin is ruff's code for a rule of pylint, or "".
func twin(pylint string) string {
	for _, pair := range twins {
		if pair[0] == pylint {
			return pair[1]
		}
	}
	return ""
}

// withoutTwins takes out what another tool says of the same line: of pylint's
// findings those that ruff has too, and of both syntax errors that Towline's
// own rules have found.
func withoutTwins(all []*Finding) []*Finding {
	said := map[string]bool{}
	for _, f := range all {
		switch {
		case f.Tool == "ruff":
			said[at(f, f.Code)] = true
		case f.Tool == Own && f.Name == "syntax-error":
			said[f.Path] = true
		}
	}
	var rest []*Finding
	for _, f := range all {
		if f.Tool == Own || !f.again(said) {
			rest = append(rest, f)
		}
	}
	return rest
}

// again says whether another tool's finding was said already.
func (f *Finding) again(said map[string]bool) bool {
	syntax := f.Name == "syntax-error" || f.Code == "invalid-syntax"
	if syntax && said[f.Path] {
		return true
	}
	if f.Tool != "pylint" {
		return false
	}
	return said[at(f, "PL"+f.Code)] || said[at(f, twin(f.Name))] || syntax && said[at(f, "invalid-syntax")]
}

func at(f *Finding, code string) string { return fmt.Sprintf("%s:%d:%s", f.Path, f.Line, code) }

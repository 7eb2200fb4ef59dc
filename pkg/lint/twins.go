package lint

import "fmt"

// twin is ruff's code for a rule of pylint. Those that ruff took over from
// pylint are not listed: they have pylint's number after PL.
func twin(pylint string) string {
	switch pylint {
	case "unused-import":
		return "F401"
	case "wildcard-import":
		return "F403"
	case "f-string-without-interpolation":
		return "F541"
	case "duplicate-key":
		return "F601"
	case "assert-on-tuple":
		return "F631"
	case "not-in-loop":
		return "F701"
	case "return-outside-function":
		return "F706"
	case "function-redefined", "reimported":
		return "F811"
	case "undefined-variable":
		return "F821"
	case "undefined-all-variable":
		return "F822"
	case "used-before-assignment":
		return "F823"
	case "unused-variable":
		return "F841"
	case "multiple-imports":
		return "E401"
	case "wrong-import-position":
		return "E402"
	case "line-too-long":
		return "E501"
	case "multiple-statements":
		return "E701"
	case "singleton-comparison":
		return "E711"
	case "unidiomatic-typecheck":
		return "E721"
	case "bare-except":
		return "E722"
	case "unnecessary-lambda-assignment":
		return "E731"
	case "trailing-whitespace":
		return "W291"
	case "missing-final-newline":
		return "W292"
	case "dangerous-default-value":
		return "B006"
	case "raise-missing-from":
		return "B904"
	case "broad-exception-caught":
		return "BLE001"
	case "exec-used":
		return "S102"
	case "eval-used":
		return "S307"
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
		syntax := f.Name == "syntax-error" || f.Name == "invalid-syntax" || f.Code == "invalid-syntax"
		again := f.Tool != Own && syntax && said[f.Path]
		if f.Tool == "pylint" {
			again = again || said[at(f, "PL"+f.Code)] || said[at(f, twin(f.Name))] || syntax && said[at(f, "invalid-syntax")]
		}
		if !again {
			rest = append(rest, f)
		}
	}
	return rest
}

func at(f *Finding, code string) string { return fmt.Sprintf("%s:%d:%s", f.Path, f.Line, code) }

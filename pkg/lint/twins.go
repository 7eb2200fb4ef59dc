package lint

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

// told are Towline's own rules, and what others say of the same line when they
// mean the same.
var told = map[string][]string{
	"TL212": {"TL602"},
	"TL307": {"TL602", "ruff:S105", "ruff:S106", "ruff:S107"},
	"TL308": {"ruff:F403", "pylint:wildcard-import", "pylint:unused-wildcard-import", "pylint:redefined-builtin"},
	"TL309": {"ruff:T100", "pylint:forgotten-debug-statement"},
	"TL311": {"ruff:PLW0177", "pylint:nan-comparison"},
	"TL312": {"ruff:NPY001", "ruff:NPY201", "pylint:no-member"},
	"TL313": {"ruff:S102", "ruff:S307", "ruff:S602", "ruff:S605", "pylint:exec-used", "pylint:eval-used"},
	"TL314": {"ruff:S301"},
	"TL315": {"ruff:S614"},
	"TL414": {"ruff:E722", "ruff:BLE001", "ruff:S110", "pylint:bare-except", "pylint:broad-exception-caught"},
	"TL416": {"ruff:S201"},
	"TL507": {"pylint:import-error"},
	"TL509": {"ruff:invalid-syntax", "pylint:syntax-error"},
	"TL601": {"TL212", "TL307", "TL602", "TL705", "ruff:S105", "ruff:S106", "ruff:S107"},
	"TL602": {"ruff:S105", "ruff:S106", "ruff:S107"},
	"TL705": {"TL602"},
}

// ruleSyntax is the rule whose finding makes every other about syntax needless.
const ruleSyntax = "TL301"

// saying is what is said of one line, or of a whole file where the line is 0.
type saying struct {
	path string
	line int
	what string // a rule, as in settings; or a rule and its message
}

// withoutTwins takes out what is said twice: by one rule of one line in the
// same words, by pylint and ruff, and by either and Towline's own rules. The
// finding that stays is as bad as the worst of them. Findings are in order.
func withoutTwins(all []*Finding) []*Finding {
	said := map[saying]*Finding{}
	for _, f := range all {
		for _, rule := range told[f.Rule] {
			said[saying{f.Path, f.Line, rule}] = f
		}
		switch {
		case f.Rule == ruleSyntax:
			said[saying{f.Path, 0, f.Rule}] = f
		case f.Tool == "ruff":
			said[saying{f.Path, f.Line, f.Code}] = f
		}
	}
	var rest []*Finding
	for _, f := range all {
		again := saying{f.Path, f.Line, f.Rule + " " + f.Message}
		if first := f.again(said); first != nil {
			first.Severity = max(first.Severity, f.Severity)
		} else if said[again] == nil {
			said[again] = f
			rest = append(rest, f)
		}
	}
	return rest
}

// again is the finding that says what another one says too, and is said by no
// further one; or nil.
func (f *Finding) again(said map[saying]*Finding) *Finding {
	first := f.saidBy(said)
	if first == nil {
		return nil
	}
	if before := first.again(said); before != nil {
		return before
	}
	return first
}

// saidBy is a finding that says what another one says too, or nil.
func (f *Finding) saidBy(said map[saying]*Finding) *Finding {
	at := func(what string) *Finding { return said[saying{f.Path, f.Line, what}] }
	if first := at(f.Rule); first != nil {
		return first
	}
	syntax := f.Name == "syntax-error" || f.Code == "invalid-syntax"
	if first := said[saying{f.Path, 0, ruleSyntax}]; syntax && first != nil {
		return first
	}
	if f.Tool != "pylint" {
		return nil
	}
	codes := []string{"PL" + f.Code, twin(f.Name)}
	if syntax {
		codes = append(codes, "invalid-syntax")
	}
	for _, code := range codes {
		if first := at(code); first != nil {
			return first
		}
	}
	return nil
}

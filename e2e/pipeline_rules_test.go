package e2e_test

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// occasion is why a pipeline is made: its variables, and the files that changed.
type occasion struct {
	variables map[string]string
	changed   []string // nil where GitLab knows of no push: every path counts as changed
}

// when says when the job runs on an occasion: never, on_success, manual…
func (o occasion) when(job tree) (string, error) {
	rules, ok := job["rules"]
	if !ok {
		return "on_success", nil
	}
	for _, entry := range list(rules) {
		rule, ok := entry.(tree)
		if !ok {
			return "", fmt.Errorf("rule %v is no map", entry)
		}
		holds := true
		if condition, ok := rule["if"]; ok {
			var err error
			if holds, err = evaluate(fmt.Sprint(condition), o.variables); err != nil {
				return "", err
			}
		}
		if patterns, ok := rule["changes"]; ok && o.changed != nil {
			holds = holds && o.touches(patterns)
		}
		if !holds {
			continue
		}
		if when, ok := rule["when"]; ok {
			return fmt.Sprint(when), nil
		}
		return "on_success", nil
	}
	return "never", nil
}

func (o occasion) touches(patterns any) bool {
	if entry, ok := patterns.(tree); ok {
		patterns = entry["paths"]
	}
	return slices.ContainsFunc(o.changed, func(file string) bool {
		return slices.ContainsFunc(list(patterns), func(pattern any) bool { return glob(fmt.Sprint(pattern), file) })
	})
}

// glob matches as Ruby's File.fnmatch does with FNM_PATHNAME and FNM_DOTMATCH.
func glob(pattern, name string) bool {
	quoted := regexp.QuoteMeta(path.Clean(pattern))
	quoted = strings.NewReplacer(`\*\*/`, `(?:.*/)?`, `\*\*`, `.*`, `\*`, `[^/]*`, `\?`, `[^/]`).Replace(quoted)
	return regexp.MustCompile("^" + quoted + "$").MatchString(name)
}

// evaluate is a condition of rules:if, of which the templates use ==, !=, && and ||.
func evaluate(condition string, variables map[string]string) (bool, error) {
	for alternative := range strings.SplitSeq(condition, " || ") {
		holds := true
		for part := range strings.SplitSeq(alternative, " && ") {
			one, err := compare(strings.TrimSpace(part), variables)
			if err != nil {
				return false, err
			}
			holds = holds && one
		}
		if holds {
			return true, nil
		}
	}
	return false, nil
}

var comparison = regexp.MustCompile(`^(\$\w+|"[^"]*")(?: (==|!=) (\$\w+|"[^"]*"|null))?$`)

func compare(part string, variables map[string]string) (bool, error) {
	m := comparison.FindStringSubmatch(part)
	if m == nil {
		return false, fmt.Errorf("condition %q is not understood", part)
	}
	value := func(operand string) (string, bool) {
		if name, ok := strings.CutPrefix(operand, "$"); ok {
			text, set := variables[name]
			return text, set
		}
		return strings.Trim(operand, `"`), operand != "null"
	}
	left, set := value(m[1])
	if m[2] == "" {
		return set && left != "", nil
	}
	right, rightSet := value(m[3])
	return (left == right && set == rightSet) == (m[2] == "=="), nil
}

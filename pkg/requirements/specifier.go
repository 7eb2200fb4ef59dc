package requirements

import (
	"fmt"
	"strconv"
	"strings"
)

// operators are those of PEP 440, longer ones first.
var operators = [...]string{"===", "==", "!=", "~=", "<=", ">=", "<", ">"}

// ParseSpecifiers reads conditions that are separated by commas.
func ParseSpecifiers(text string) ([]Specifier, error) {
	var list []Specifier
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		s, ok := parseSpecifier(part)
		if !ok {
			return list, fmt.Errorf("%q is no condition on a version", clip(part))
		}
		list = append(list, s)
	}
	return list, nil
}

func parseSpecifier(text string) (Specifier, bool) {
	for _, operator := range operators {
		rest, ok := strings.CutPrefix(text, operator)
		if !ok {
			continue
		}
		s := Specifier{operator, strings.TrimSpace(rest)}
		return s, s.Version != "" && !strings.ContainsAny(s.Version, " =<>~'\"")
	}
	return Specifier{}, false
}

// Admits says whether a version meets the condition. It knows final releases
// such as 1.2.3, by their numbers; for anything else, such as 1.2rc1 or
// 1.2+cu118, known is false.
func (s Specifier) Admits(version string) (admits, known bool) {
	if s.Operator == "===" {
		return s.Version == version, true
	}
	wanted, wild := strings.CutSuffix(s.Version, ".*")
	want, ok := numbers(wanted)
	have, ok2 := numbers(version)
	if !ok || !ok2 {
		return false, false
	}
	order := compare(have, want)
	switch s.Operator {
	case "==", "!=":
		equal := order == 0
		if wild {
			equal = startsWith(have, want)
		}
		return equal == (s.Operator == "=="), true
	case "~=":
		return order >= 0 && startsWith(have, want[:max(1, len(want)-1)]), true
	case "<":
		return order < 0, true
	case "<=":
		return order <= 0, true
	case ">":
		return order > 0, true
	}
	return order >= 0, true
}

// Admit says whether a version meets all conditions, as far as that is known.
func Admit(conditions []Specifier, version string) bool {
	for _, s := range conditions {
		if admits, known := s.Admits(version); known && !admits {
			return false
		}
	}
	return true
}

// numbers are those of a final release.
func numbers(version string) ([]int, bool) {
	var list []int
	for part := range strings.SplitSeq(strings.TrimPrefix(version, "v"), ".") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 {
			return nil, false
		}
		list = append(list, n)
	}
	return list, true
}

// compare orders releases; missing numbers are 0.
func compare(a, b []int) int {
	for i := range max(len(a), len(b)) {
		if x, y := at(a, i), at(b, i); x != y {
			return x - y
		}
	}
	return 0
}

func startsWith(version, prefix []int) bool {
	for i, n := range prefix {
		if at(version, i) != n {
			return false
		}
	}
	return true
}

func at(list []int, i int) int {
	if i < len(list) {
		return list[i]
	}
	return 0
}

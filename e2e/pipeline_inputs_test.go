package e2e_test

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// tree is a part of a pipeline's configuration, as YAML gives it.
type tree = map[string]any

// spec is the header of a component: its inputs.
type spec struct {
	Spec struct {
		Component []string            `yaml:"component"`
		Inputs    map[string]*specKey `yaml:"inputs"`
	} `yaml:"spec"`
}

// specKey is one input. https://docs.gitlab.com/ci/inputs/
type specKey struct {
	Type        string    `yaml:"type"`
	Description string    `yaml:"description"`
	Default     yaml.Node `yaml:"default"`
	Options     []any     `yaml:"options"`
	Regex       string    `yaml:"regex"`
	Rules       []struct {
		If      string    `yaml:"if"`
		Options []any     `yaml:"options"`
		Default yaml.Node `yaml:"default"`
	} `yaml:"rules"`
}

// splitSpec parts a file into its header, if it has one, and its body.
func splitSpec(text []byte) (spec, tree, error) {
	decoder := yaml.NewDecoder(strings.NewReader(string(text)))
	var documents []yaml.Node
	for {
		var document yaml.Node
		if err := decoder.Decode(&document); err != nil {
			if err.Error() == "EOF" {
				break
			}
			return spec{}, nil, err
		}
		documents = append(documents, document)
	}
	var header spec
	if len(documents) == 2 {
		if err := documents[0].Decode(&header); err != nil {
			return spec{}, nil, err
		}
		documents = documents[1:]
	}
	body := tree{}
	if len(documents) != 1 {
		return spec{}, nil, fmt.Errorf("%d YAML documents, wanted a header and a body, or a body", len(documents))
	}
	return header, body, documents[0].Decode(&body)
}

// settle gives every input a value of its type, or says what is wrong with what was given.
func (s spec) settle(given tree) (tree, error) {
	var problems []error
	for name := range given {
		if s.Spec.Inputs[name] == nil {
			if _, known := s.Spec.Inputs[name]; !known {
				problems = append(problems, fmt.Errorf("unknown input %s", name))
			}
		}
	}
	values := tree{}
	for name, key := range s.Spec.Inputs {
		if key == nil {
			key = &specKey{}
		}
		value, err := key.value(given, name)
		if err != nil {
			problems = append(problems, fmt.Errorf("input %s: %w", name, err))
		}
		values[name] = value
	}
	return values, errors.Join(problems...)
}

func (k specKey) value(given tree, name string) (any, error) {
	options, fallback := k.Options, k.Default
	for _, rule := range k.Rules {
		if holds, err := inputRule(rule.If, given); err != nil || !holds {
			if err != nil {
				return nil, err
			}
			continue
		}
		options, fallback = rule.Options, rule.Default
		break
	}
	value, ok := given[name]
	if !ok {
		if fallback.IsZero() || fallback.Tag == "!!null" {
			return nil, errors.New("a value is required")
		}
		if err := fallback.Decode(&value); err != nil {
			return nil, err
		}
	}
	return value, k.check(value, options)
}

func (k specKey) check(value any, options []any) error {
	fits := false
	kind := k.Type
	switch kind {
	case "", "string":
		kind = "string"
		_, fits = value.(string)
	case "number":
		switch value.(type) {
		case int, float64:
			fits = true
		}
	case "boolean":
		_, fits = value.(bool)
	case "array":
		_, fits = value.([]any)
	default:
		return fmt.Errorf("there is no type %s", kind)
	}
	if !fits {
		return fmt.Errorf("%v is no %s", value, kind)
	}
	if len(options) > 50 || len(options) > 0 && kind == "boolean" {
		return fmt.Errorf("%d options of a %s", len(options), kind)
	}
	if len(options) > 0 && !slices.ContainsFunc(options, func(o any) bool { return reflect.DeepEqual(o, value) }) {
		return fmt.Errorf("%v is none of %v", value, options)
	}
	if k.Regex == "" {
		return nil
	}
	pattern, err := regexp.Compile(k.Regex) // GitLab's are RE2 too
	if err != nil || kind != "string" {
		return fmt.Errorf("regex %s of a %s: %w", k.Regex, kind, err)
	}
	if text, _ := value.(string); !pattern.MatchString(text) {
		return fmt.Errorf("%q does not match %s", text, k.Regex)
	}
	return nil
}

var inputTest = regexp.MustCompile(`^\$\[\[ inputs\.([a-z_-]+) \]\] (==|!=) "([^"]*)"$`)

// inputRule evaluates the condition of an input's rule, which is about other inputs.
func inputRule(condition string, given tree) (bool, error) {
	if condition == "" {
		return true, nil
	}
	for part := range strings.SplitSeq(condition, " && ") {
		m := inputTest.FindStringSubmatch(part)
		if m == nil {
			return false, fmt.Errorf("rule %q is not understood", condition)
		}
		if (fmt.Sprint(given[m[1]]) == m[3]) != (m[2] == "==") {
			return false, nil
		}
	}
	return true, nil
}

var block = regexp.MustCompile(`\$\[\[\s*([^\]]*?)\s*\]\]`)

// interpolate puts values into the $[[ … ]] of a tree, in keys too. A block
// that is a whole value keeps its type.
func interpolate(node any, values tree, variables map[string]string) (any, error) {
	switch n := node.(type) {
	case tree:
		filled := tree{}
		for key, value := range n {
			name, err := interpolate(key, values, variables)
			if err != nil {
				return nil, err
			}
			text := fmt.Sprint(name)
			if filled[text], err = interpolate(value, values, variables); err != nil {
				return nil, err
			}
		}
		return filled, nil
	case []any:
		filled := make([]any, len(n))
		for i, item := range n {
			var err error
			if filled[i], err = interpolate(item, values, variables); err != nil {
				return nil, err
			}
		}
		return filled, nil
	case string:
		return interpolateText(n, values, variables)
	}
	return node, nil
}

func interpolateText(text string, values tree, variables map[string]string) (any, error) {
	blocks := block.FindAllStringSubmatch(text, -1)
	if len(blocks) == 1 && blocks[0][0] == strings.TrimSpace(text) {
		return blockValue(blocks[0][1], values, variables)
	}
	for _, b := range blocks {
		value, err := blockValue(b[1], values, variables)
		if err != nil {
			return nil, err
		}
		text = strings.Replace(text, b[0], fmt.Sprint(value), 1)
	}
	return text, nil
}

// blockValue is the value of `inputs.name | function | function`.
func blockValue(expression string, values tree, variables map[string]string) (any, error) {
	parts := strings.Split(expression, "|")
	kind, name, _ := strings.Cut(strings.TrimSpace(parts[0]), ".")
	value, ok := values[name]
	switch {
	case kind == "component" && name == "version":
		value = nil // GitLab has none for a branch, a sha, or a project that is not in the catalog
	case kind != "inputs" || !ok:
		return nil, fmt.Errorf("there is no %s", strings.TrimSpace(parts[0]))
	}
	if len(parts) > 4 {
		return nil, fmt.Errorf("%s: more than three functions", expression)
	}
	for _, function := range parts[1:] {
		var err error
		if value, err = apply(strings.TrimSpace(function), fmt.Sprint(value), variables); err != nil {
			return nil, err
		}
	}
	return value, nil
}

var truncation = regexp.MustCompile(`^truncate\((\d+),\s*(\d+)\)$`)

func apply(function, value string, variables map[string]string) (string, error) {
	if m := truncation.FindStringSubmatch(function); m != nil {
		offset, _ := strconv.Atoi(m[1])
		length, _ := strconv.Atoi(m[2])
		offset = min(offset, len(value))
		return value[offset:min(offset+length, len(value))], nil
	}
	switch function {
	case "expand_vars":
		return expand(value, variables), nil
	case "posix_escape":
		return "'" + strings.ReplaceAll(value, "'", `'\''`) + "'", nil
	}
	return "", fmt.Errorf("there is no function %s", function)
}

var variable = regexp.MustCompile(`\$(\w+|\{\w+\})`)

// expand puts the values of variables into a text; those that are not known stay.
func expand(text string, variables map[string]string) string {
	return variable.ReplaceAllStringFunc(text, func(found string) string {
		if value, ok := variables[strings.Trim(found, "${}")]; ok {
			return value
		}
		return found
	})
}

package sts

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// policy is a trust policy, in IAM's own form.
type policy struct {
	Version   string            `json:"Version"`
	ID        string            `json:"Id,omitempty"`
	Statement oneOrMore[clause] `json:"Statement"`
}

// clause is one statement of a policy.
type clause struct {
	Sid       string                                  `json:"Sid,omitempty"`
	Effect    string                                  `json:"Effect"`
	Principal principals                              `json:"Principal"`
	Action    oneOrMore[string]                       `json:"Action"`
	Condition map[string]map[string]oneOrMore[string] `json:"Condition,omitempty"`
}

// oneOrMore is a list, written as such or as its only member.
type oneOrMore[T any] []T

// UnmarshalJSON reads both forms, strictly.
func (l *oneOrMore[T]) UnmarshalJSON(text []byte) error {
	if trimmed := bytes.TrimSpace(text); len(trimmed) > 0 && trimmed[0] == '[' {
		var many []T
		if err := strictly(text, &many); err != nil {
			return err
		}
		*l = many
		return nil
	}
	var one T
	if err := strictly(text, &one); err != nil {
		return err
	}
	*l = []T{one}
	return nil
}

// principals are who a statement is about, by kind: AWS, Federated, Service.
type principals map[string]oneOrMore[string]

// UnmarshalJSON reads "*" too, which is everybody in AWS.
func (p *principals) UnmarshalJSON(text []byte) error {
	var everybody string
	if json.Unmarshal(text, &everybody) == nil {
		if everybody != "*" {
			return fmt.Errorf("principal %q: wanted * or an object", everybody)
		}
		*p = principals{"AWS": {"*"}}
		return nil
	}
	var kinds map[string]oneOrMore[string]
	if err := strictly(text, &kinds); err != nil {
		return err
	}
	*p = kinds
	return nil
}

// strictly reads JSON whose every member is known.
func strictly(text []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}

// check finds what the local cloud would not judge as AWS does.
func (p policy) check() error {
	if len(p.Statement) == 0 {
		return errors.New("the policy has no Statement")
	}
	for i, c := range p.Statement {
		switch {
		case c.Effect != "Allow" && c.Effect != "Deny":
			return fmt.Errorf("statement %d: Effect %q: wanted Allow or Deny", i+1, c.Effect)
		case len(c.Principal) == 0:
			return fmt.Errorf("statement %d: it has no Principal", i+1)
		case len(c.Action) == 0:
			return fmt.Errorf("statement %d: it has no Action", i+1)
		}
		for kind := range c.Principal {
			if !slices.Contains([]string{"AWS", "Federated", "Service"}, kind) {
				return fmt.Errorf("statement %d: principal %q: wanted AWS, Federated or Service", i+1, kind)
			}
		}
		for name := range c.Condition {
			if _, ok := operatorOf(name); !ok {
				return fmt.Errorf("statement %d: the local cloud does not judge the condition %s: wanted one of %s",
					i+1, name, strings.Join(operatorNames(), ", "))
			}
		}
	}
	return nil
}

// request is what is asked of a policy.
type request struct {
	action     string
	kind       string // of principal: AWS or Federated
	principals []string
	keys       map[string][]string // condition keys, in lower case
}

// allows judges as IAM does: what no statement allows is denied, and a Deny
// stands against every Allow.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
func (p policy) allows(r request) bool {
	allowed := false
	for _, c := range p.Statement {
		if !c.matches(r) {
			continue
		}
		if c.Effect == "Deny" {
			return false
		}
		allowed = true
	}
	return allowed
}

func (c clause) matches(r request) bool {
	action := slices.ContainsFunc(c.Action, func(pattern string) bool {
		return like(strings.ToLower(pattern), strings.ToLower(r.action))
	})
	who := slices.ContainsFunc(c.Principal[r.kind], func(name string) bool {
		return name == "*" || slices.Contains(r.principals, name)
	})
	if !action || !who {
		return false
	}
	for name, wanted := range c.Condition {
		op, _ := operatorOf(name)
		for key, values := range wanted {
			if !op.holds(r.keys[strings.ToLower(key)], values) {
				return false
			}
		}
	}
	return true
}

// operator is a condition's way to compare.
type operator struct {
	equal    func(pattern, value string) bool
	negated  bool
	ifExists bool
	all      bool // ForAllValues
}

// comparisons are the operators without their prefixes and suffixes.
func comparisons() map[string]operator {
	same := func(a, b string) bool { return a == b }
	return map[string]operator{
		"StringEquals":              {equal: same},
		"StringNotEquals":           {equal: same, negated: true},
		"StringEqualsIgnoreCase":    {equal: strings.EqualFold},
		"StringNotEqualsIgnoreCase": {equal: strings.EqualFold, negated: true},
		"StringLike":                {equal: like},
		"StringNotLike":             {equal: like, negated: true},
		"ArnEquals":                 {equal: like},
		"ArnLike":                   {equal: like},
		"ArnNotEquals":              {equal: like, negated: true},
		"ArnNotLike":                {equal: like, negated: true},
	}
}

func operatorNames() []string {
	var names []string
	for name := range comparisons() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func operatorOf(name string) (operator, bool) {
	name, ifExists := strings.CutSuffix(name, "IfExists")
	name, all := strings.CutPrefix(name, "ForAllValues:")
	name = strings.TrimPrefix(name, "ForAnyValue:")
	op, ok := comparisons()[name]
	op.ifExists, op.all = ifExists, all
	return op, ok
}

// holds compares what a request brings with what is wanted. Of a key that it
// does not bring only negated operators hold, and those that say IfExists.
func (o operator) holds(got, wanted []string) bool {
	if len(got) == 0 {
		return o.negated || o.ifExists || o.all
	}
	one := func(value string) bool {
		found := slices.ContainsFunc(wanted, func(pattern string) bool { return o.equal(pattern, value) })
		return found != o.negated
	}
	if o.all || o.negated {
		return !slices.ContainsFunc(got, func(value string) bool { return !one(value) })
	}
	return slices.ContainsFunc(got, one)
}

// like matches a pattern in which * is any text and ? any character.
func like(pattern, text string) bool {
	p, t, star, retry := 0, 0, -1, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, retry = p, t
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p++
			t++
		case star >= 0:
			retry++
			p, t = star+1, retry
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

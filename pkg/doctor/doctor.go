// Package doctor judges the surroundings of a release: this machine, the
// repository, GitLab, and the environment's account in AWS.
//
// In come facts, gathered by those who ask; out go checks, each ok, a warning,
// failed or not checked, with what was found and the very setting to change.
// It asks nobody, changes nothing, and is given no secrets.
package doctor

import (
	"encoding/json"
	"errors"
	"slices"
	"time"

	"gitlab.com/towline/towline/pkg/fault"
)

// State is how a check ended.
type State string

// The states of a check.
const (
	OK         State = "ok"
	Warning    State = "warning"     // it works, or may, but not as well as it could
	Failed     State = "failed"      // something will not work
	NotChecked State = "not checked" // nobody knows
)

// The groups of checks, in the order in which they are told.
const (
	GroupMachine    = "machine"
	GroupRepository = "repository"
	GroupGitLab     = "gitlab"
	GroupIdentity   = "identity"
	GroupS3         = "s3"
	GroupSageMaker  = "sagemaker"
	GroupRegistry   = "registry"
)

// Groups are the names of the groups, in order.
func Groups() []string {
	return []string{GroupMachine, GroupRepository, GroupGitLab, GroupIdentity, GroupS3, GroupSageMaker, GroupRegistry}
}

// Check is one thing that was looked at.
type Check struct {
	Group   string          `json:"group"`
	Name    string          `json:"name"`
	State   State           `json:"state"`
	Found   string          `json:"found"`             // what there is, or why nobody looked
	Setting string          `json:"setting,omitempty"` // what to change, and where
	Paste   json.RawMessage `json:"paste,omitempty"`   // a policy that would allow it
	Code    fault.Kind      `json:"code,omitempty"`    // exit code that a failed check asks for
}

// Facts are what was found out.
type Facts struct {
	Only       []string // groups that are wanted; none for all
	Now        time.Time
	Machine    Machine
	Repository Repository
	GitLab     GitLab
	Identity   Identity
	S3         S3
	SageMaker  SageMaker
	Registry   Registry
}

// Answer is how a question ended. The zero value is a good answer.
type Answer struct {
	Not  string     // why it was not asked; "" if it was
	Kind fault.Kind // of the error; 0 for none
	Said string     // the error
	Hint string     // the setting that would mend it
}

// Answered is the answer that an error stands for; nil is a good one.
func Answered(err error) Answer {
	if err == nil {
		return Answer{}
	}
	return Answer{Kind: fault.KindOf(err), Said: err.Error(), Hint: fault.HintOf(err)}
}

// NotAsked is a question that nobody put.
func NotAsked(why string) Answer { return Answer{Not: why} }

// Good says whether the question was put, and answered well.
func (a Answer) Good() bool { return a == Answer{} }

// denied says whether a permission is what is missing.
func (a Answer) denied() bool { return a.Kind == fault.Denied }

// check is what an answer alone says: found, if it is good.
func (a Answer) check(name, found string) Check {
	switch {
	case a.Not != "":
		return Check{Name: name, State: NotChecked, Found: a.Not}
	case a.Kind != 0:
		return Check{Name: name, State: Failed, Found: a.Said, Setting: a.Hint, Code: a.Kind}
	}
	return Check{Name: name, State: OK, Found: found}
}

// as changes the state of a check that failed; what fails no more has no code.
func (c Check) as(state State) Check {
	if c.State == Failed {
		c.State, c.Code = state, 0
	}
	return c
}

// pasting adds a policy to a check that failed for want of a permission.
func (c Check) pasting(a Answer, policy json.RawMessage) Check {
	if a.denied() {
		c.Paste = policy
	}
	return c
}

// Examine judges the facts of the groups that are wanted.
func Examine(f Facts) []Check {
	var all []Check
	for _, group := range []struct {
		name   string
		skip   string
		checks func() []Check
	}{
		{GroupMachine, "", func() []Check { return f.Machine.checks() }},
		{GroupRepository, "", func() []Check { return f.Repository.checks() }},
		{GroupGitLab, f.GitLab.Skip, func() []Check { return f.GitLab.checks() }},
		{GroupIdentity, f.Identity.Skip, func() []Check { return f.Identity.checks(f.Now) }},
		{GroupS3, f.S3.Skip, func() []Check { return f.S3.checks() }},
		{GroupSageMaker, f.SageMaker.Skip, func() []Check { return f.SageMaker.checks() }},
		{GroupRegistry, f.Registry.Skip, func() []Check { return f.Registry.checks() }},
	} {
		if len(f.Only) > 0 && !slices.Contains(f.Only, group.name) {
			continue
		}
		checks := []Check{{Name: "all", State: NotChecked, Found: group.skip}}
		if group.skip == "" {
			checks = group.checks()
		}
		for _, check := range checks {
			check.Group = group.name
			all = append(all, check)
		}
	}
	return all
}

// Err is nil if no check failed. Otherwise its kind is the first of these that
// a check asks for: denied, missing, the repository, another service, time.
func Err(checks []Check) error {
	var failed []Check
	for _, check := range checks {
		if check.State == Failed {
			failed = append(failed, check)
		}
	}
	if len(failed) == 0 {
		return nil
	}
	kind := fault.Remote
	for _, first := range []fault.Kind{fault.Denied, fault.Missing, fault.Repository, fault.Remote, fault.Timeout} {
		if slices.ContainsFunc(failed, func(c Check) bool { return c.Code == first }) {
			kind = first
			break
		}
	}
	cause := fault.Newf(kind, "doctor: %d of %d checks failed: %w", len(failed), len(checks), errors.New(names(failed)))
	return cause.Hintf("change what stands below each of them, and run towline doctor again")
}

// names are those of the checks, each with its group.
func names(checks []Check) string {
	text := ""
	for i, check := range checks {
		if i > 0 {
			text += ", "
		}
		text += check.Group + " " + check.Name
	}
	return text
}

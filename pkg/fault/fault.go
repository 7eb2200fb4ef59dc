// Package fault is the one error a user meets.
//
// In come a kind, an operation and its cause; out go the text, the hint and
// the exit code. It never prints, never logs and never decides what to do next.
package fault

import (
	"errors"
	"fmt"
)

// Kind says whose move it is after an error. Its number is the exit code.
type Kind int

// The kinds are a contract: pipelines test them with allow_failure:exit_codes.
const (
	Bug        Kind = 1  // a mistake of Towline's own
	Usage      Kind = 2  // the command line asks for something impossible
	Repository Kind = 3  // the repository is wrong: its manifest, or findings in it
	Denied     Kind = 4  // a service refused the credentials or their rights
	Missing    Kind = 5  // an upstream job, artifact, file, tool or history is not there
	Remote     Kind = 6  // another service or program broke down
	Refused    Kind = 7  // the gate refused the candidate
	Conflict   Kind = 8  // a race was lost, or a name is taken
	Model      Kind = 9  // the model's own code broke down
	Timeout    Kind = 10 // waiting took longer than allowed
)

// Meaning describes the kind in the words of the exit-code table.
func (k Kind) Meaning() string {
	switch k {
	case Bug:
		return "a bug in Towline"
	case Usage:
		return "the command line is wrong"
	case Repository:
		return "the repository is wrong: its manifest, or findings in it"
	case Denied:
		return "denied: credentials or permissions"
	case Missing:
		return "something is missing: an upstream job, an artifact, a file, a tool, history"
	case Remote:
		return "another service or program failed"
	case Refused:
		return "the gate refused the candidate"
	case Conflict:
		return "lost a race, or the name is taken"
	case Model:
		return "the model's own code failed"
	case Timeout:
		return "timed out waiting"
	}
	return "unknown"
}

// Kinds lists every kind in the order of its exit code.
func Kinds() []Kind {
	return []Kind{Bug, Usage, Repository, Denied, Missing, Remote, Refused, Conflict, Model, Timeout}
}

// Error is an operation that did not succeed, and what a user can do about it.
type Error struct {
	Kind    Kind
	Details []string // one problem each, printed on lines of their own after the cause

	cause error
	hint  string
}

// Newf makes an error of the given kind. The text names the operation first,
// then what was found and what was wanted; %w keeps the cause.
func Newf(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, cause: fmt.Errorf(format, args...)}
}

// Hintf adds the action that would mend it.
func (e *Error) Hintf(format string, args ...any) *Error {
	e.hint = fmt.Sprintf(format, args...)
	return e
}

// With adds problems that are printed one to a line.
func (e *Error) With(details ...string) *Error {
	e.Details = append(e.Details, details...)
	return e
}

func (e *Error) Error() string { return e.cause.Error() }

// Unwrap gives the cause to errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.cause }

// Hint is the action that would mend it, or "".
func (e *Error) Hint() string { return e.hint }

// KindOf is the kind of the outermost fault in err's chain, and Bug for an
// error that nobody classified.
func KindOf(err error) Kind {
	var f *Error
	if errors.As(err, &f) {
		return f.Kind
	}
	return Bug
}

// HintOf is the first hint in err's chain, or "".
func HintOf(err error) string {
	for err != nil {
		var f *Error
		if !errors.As(err, &f) {
			return ""
		}
		if f.hint != "" {
			return f.hint
		}
		err = errors.Unwrap(f)
	}
	return ""
}

// DetailsOf collects the problems of the first fault in err's chain that has any.
func DetailsOf(err error) []string {
	for err != nil {
		var f *Error
		if !errors.As(err, &f) {
			return nil
		}
		if len(f.Details) > 0 {
			return f.Details
		}
		err = errors.Unwrap(f)
	}
	return nil
}

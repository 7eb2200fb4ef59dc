package manifest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"gitlab.com/towline/towline/pkg/fault"
)

// mostShown is how many problems are listed; a file with more is not a manifest.
const mostShown = 200

// Position is a place in the manifest's file, counted from 1. Its zero value
// is the file as a whole.
type Position struct {
	Line   int
	Column int
}

// Problem is one thing wrong with a manifest.
type Problem struct {
	Position
	Message string
}

func (p Problem) String() string {
	if p.Line == 0 {
		return fmt.Sprintf("%s: %s", File, p.Message)
	}
	return fmt.Sprintf("%s:%d:%d: %s", File, p.Line, p.Column, p.Message)
}

// faulty makes the one error of all problems.
func faulty(problems []Problem) error {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	var lines []string
	for _, p := range problems[:min(len(problems), mostShown)] {
		lines = append(lines, p.String())
	}
	if more := len(problems) - len(lines); more > 0 {
		lines = append(lines, fmt.Sprintf("%s: and %d more", File, more))
	}
	return fault.Newf(fault.Repository, "read %s: %w", File, problemList(problems)).
		With(lines...).
		Hintf("mend the lines above; docs/reference/manifest.md describes every key")
}

// problemList is the cause of the error of a manifest that is not valid.
type problemList []Problem

func (l problemList) Error() string {
	if len(l) == 1 {
		return "1 problem"
	}
	return fmt.Sprintf("%d problems", len(l))
}

// ProblemsOf gives the problems that an error of Load or Check stands for, in
// the order of the file.
func ProblemsOf(err error) []Problem {
	var list problemList
	errors.As(err, &list)
	return list
}

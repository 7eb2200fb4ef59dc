package lint

import (
	"iter"
	"path"
	"slices"
	"strings"

	"gitlab.com/towline/towline/pkg/lint/python"
)

// code is a Python file as the rules of families 3 to 5 ask it.
type code struct {
	*python.File
	in *File
}

// inCode makes a rule's hook of what looks at code.
func inCode(look func(code, *Report)) func(*File, *python.File, *Report) {
	return func(f *File, p *python.File, r *Report) { look(code{p, f}, r) }
}

// inOwnCode is inCode for code that runs in jobs and endpoints: tests and what
// builds or documents the repository are left out.
func inOwnCode(look func(code, *Report)) func(*File, *python.File, *Report) {
	return func(f *File, p *python.File, r *Report) {
		if !aside(f.Path) {
			look(code{p, f}, r)
		}
	}
}

// asideNames are folders and files that never run in a job.
var asideNames = []string{"tests", "test", "testing", "testdata", "docs", "doc", "benchmarks", "conftest.py", "setup.py", "noxfile.py", "tasks.py"}

// aside says whether a file is a test, documentation or a build script.
func aside(name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		if slices.Contains(asideNames, part) {
			return true
		}
	}
	base := path.Base(name)
	return strings.HasPrefix(base, "test_") || strings.HasSuffix(base, "_test.py")
}

// found reports a finding where an expression or statement starts.
func (c code) found(r *Report, start uint32, format string, args ...any) *Finding {
	line, column := c.Position(start)
	return r.At(c.in, line, column+1, format, args...)
}

// foundExpr reports a finding at an expression.
func (c code) foundExpr(r *Report, e python.Expr, format string, args ...any) {
	c.found(r, c.Extent(e).Start, format, args...)
}

// literal is the text of a plain string, and whether it is one.
func (c code) literal(e python.Expr) (string, bool) {
	if e == 0 {
		return "", false
	}
	return c.String(e)
}

// is says whether an expression is that constant: True, False, None.
func (c code) is(e python.Expr, constant string) bool {
	return e != 0 && c.Kind(e) == python.ExprConstant && c.Source(e) == constant
}

// around yields the statements around one, from the nearest out.
func (c code) around(stmt int32) iter.Seq[*python.Stmt] {
	return func(yield func(*python.Stmt) bool) {
		for i := c.Stmts[stmt].Parent; i >= 0; i = c.Stmts[i].Parent {
			if !yield(&c.Stmts[i]) {
				return
			}
		}
	}
}

// under says whether a statement stands in one of those kinds.
func (c code) under(stmt int32, kinds ...python.StmtKind) bool {
	for s := range c.around(stmt) {
		if slices.Contains(kinds, s.Kind) {
			return true
		}
	}
	return false
}

// guarded says whether a statement runs only if something holds.
func (c code) guarded(stmt int32) bool {
	return c.under(stmt, python.StmtIf, python.StmtElif, python.StmtElse, python.StmtTry, python.StmtExcept)
}

// mostNested is how many calls of one statement are looked into.
const mostNested = 200

// callsIn are the calls within an expression, the first ones of a very long
// statement.
func (c code) callsIn(e python.Expr) []python.Call {
	if e == 0 {
		return nil
	}
	var list []python.Call
	extent := c.Extent(e)
	all := c.CallsIn(c.StmtOf(e))
	for _, call := range all[:min(len(all), mostNested)] {
		if inner := c.Extent(call.Expr); inner.Start >= extent.Start && inner.End <= extent.End {
			list = append(list, call)
		}
	}
	return list
}

// imports says whether the file imports one of those packages, by their first names.
func (c code) imports(packages ...string) bool {
	for _, i := range c.Imports {
		if i.Level == 0 && slices.Contains(packages, python.Root(i.Module)) {
			return true
		}
	}
	return false
}

// last is a dotted name from its last dot on, without it.
func last(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }

// dropped says whether the call is a whole statement, so that nobody takes
// what it answers.
func (c code) dropped(call python.Call) bool {
	s := c.Stmts[call.Stmt]
	return s.Kind == python.StmtExpr && s.Expr == call.Expr
}

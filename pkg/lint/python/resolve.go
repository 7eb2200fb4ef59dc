package python

import (
	"cmp"
	"slices"
	"strings"
)

// alias is a name in a scope.
type alias struct {
	scope int32
	name  string
}

// maxName is how long a resolved name of a chain of calls may be, in bytes.
const maxName = 200

// Root is the part of a dotted name before its first dot.
func Root(name string) string {
	root, _, _ := strings.Cut(name, ".")
	return root
}

// Dotted is a chain of names as it is written: os.environ.get. It is false
// for anything else.
func (f *File) Dotted(e Expr) (string, bool) {
	length := 0
	at := e
	for f.nodes[at].kind == ExprAttribute {
		length += len(f.Attr(at)) + 1
		at = Expr(f.nodes[at].a)
	}
	if f.nodes[at].kind != ExprName {
		return "", false
	}
	n := f.nodes[e]
	if root := f.nodes[at]; int(n.end-root.start) == length+int(root.end-root.start) {
		return f.Text[root.start:n.end], true // nothing but names and dots
	}
	var parts []string
	for at = e; f.nodes[at].kind == ExprAttribute; at = Expr(f.nodes[at].a) {
		parts = append(parts, f.Attr(at))
	}
	parts = append(parts, f.Attr(at))
	slices.Reverse(parts)
	return strings.Join(parts, "."), true
}

// Name is what an expression names, aliases resolved, as in [Call]: after
// `import os as o`, o.environ["X"] has the name os.environ[].
func (f *File) Name(e Expr) string {
	if e == 0 {
		return ""
	}
	return f.name(e, f.Stmts[f.StmtOf(e)].Scope)
}

func (f *File) name(e Expr, scope int32) string {
	suffix := ""
	for {
		if text, ok := f.Dotted(e); ok {
			return f.Resolve(text, scope) + suffix
		}
		n := f.nodes[e]
		switch n.kind {
		case ExprAttribute:
			suffix = "." + f.Attr(e) + suffix
		case ExprSubscript:
			suffix = "[]" + suffix
		case ExprCall:
			if name := f.Calls[n.b].Name; name != "" && len(name)+len(suffix) <= maxName {
				return name + "()" + suffix
			}
			return ""
		default:
			return ""
		}
		if len(suffix) > maxName {
			return ""
		}
		e = Expr(n.a)
	}
}

// Resolve is the full name of a dotted name that is used in a scope: its root
// is replaced by what it was imported as. A root that a parameter or an
// assignment hides stays as it is.
func (f *File) Resolve(name string, scope int32) string {
	if len(f.aliases) == 0 {
		return name
	}
	root := Root(name)
	for at := scope; at >= 0; at = f.Scopes[at].Parent {
		if f.Scopes[at].Kind == ClassScope && at != scope {
			continue
		}
		key := alias{at, root}
		if target, ok := f.aliases[key]; ok {
			if target == root {
				return name
			}
			return target + name[len(root):]
		}
		if f.shadows[key] {
			return name
		}
	}
	return name
}

// resolve finds what names stand for, once everything is read.
func (f *File) resolve() {
	f.place()
	f.shade()
	for i := range f.Calls {
		c := &f.Calls[i]
		c.Name = f.name(c.Func, c.Scope)
	}
}

// place says where each import stands, and which names the imports bind.
func (f *File) place() {
	f.aliases = make(map[alias]string, len(f.Imports))
	for i := range f.Imports {
		im := &f.Imports[i]
		im.InFunction = f.inFunction(im.Scope)
		for at := f.Stmts[im.Stmt].Parent; at >= 0; at = f.Stmts[at].Parent {
			switch s := f.Stmts[at]; s.Kind {
			case StmtTry:
				im.InTry = true
			case StmtIf:
				im.TypeChecking = im.TypeChecking || strings.HasSuffix(f.Source(s.Expr), "TYPE_CHECKING")
			}
		}
		name := im.Bound()
		if name == "" {
			continue
		}
		target := im.Target()
		if im.Name == "" && im.As == "" {
			target = name
		}
		key := alias{im.Scope, name}
		if _, ok := f.aliases[key]; !ok { // the first of `try: import a … except: import b as a`
			f.aliases[key] = target
		}
	}
}

func (f *File) inFunction(scope int32) bool {
	for ; scope > 0; scope = f.Scopes[scope].Parent {
		if f.Scopes[scope].Kind == FunctionScope {
			return true
		}
	}
	return false
}

// shade finds the names of imports that parameters and assignments hide in
// scopes of their own.
func (f *File) shade() {
	names := make(map[string]bool, len(f.aliases))
	for key := range f.aliases {
		names[key.name] = true
	}
	f.shadows = map[alias]bool{}
	for _, fn := range f.Functions {
		for _, p := range fn.Params {
			if names[p.Name] {
				f.shadows[alias{fn.Body, p.Name}] = true
			}
		}
	}
	for _, a := range f.Assigns {
		if a.Scope != 0 && names[a.Name] {
			f.shadows[alias{a.Scope, a.Name}] = true
		}
	}
}

// StmtOf is the index of the statement that an expression belongs to, the
// innermost one.
func (f *File) StmtOf(e Expr) int32 {
	i, _ := slices.BinarySearchFunc(f.Stmts, e+1, func(s Stmt, e Expr) int { return cmp.Compare(s.first, e) })
	return int32(max(i-1, 0))
}

// CallsIn are the calls of a statement, those of its body included.
func (f *File) CallsIn(stmt int32) []Call {
	from, to := f.Stmts[stmt].span(stmt)
	return within(f.Calls, from, to, func(c Call) int32 { return c.Stmt })
}

// StringsIn are the string literals of a statement, those of its body
// included.
func (f *File) StringsIn(stmt int32) []Str {
	from, to := f.Stmts[stmt].span(stmt)
	return within(f.Strings, from, to, func(s Str) int32 { return s.Stmt })
}

// AssignsIn are the assignments of a statement, those of its body included.
func (f *File) AssignsIn(stmt int32) []Assign {
	from, to := f.Stmts[stmt].span(stmt)
	return within(f.Assigns, from, to, func(a Assign) int32 { return a.Stmt })
}

// span is the range of statements that a statement is, itself first.
func (s Stmt) span(own int32) (from, to int32) { return own, s.Last + 1 }

// within is the part of a list that belongs to the statements from, to.
func within[T any](list []T, from, to int32, stmt func(T) int32) []T {
	first, _ := slices.BinarySearchFunc(list, from, func(item T, at int32) int { return cmp.Compare(stmt(item), at) })
	last, _ := slices.BinarySearchFunc(list, to, func(item T, at int32) int { return cmp.Compare(stmt(item), at) })
	return list[first:last:last]
}

// Body are the indices of the statements directly under a statement; clauses,
// such as its else, are among them. The statements of a module are those
// under -1.
func (f *File) Body(stmt int32) []int32 {
	at, last := stmt+1, int32(len(f.Stmts)-1)
	if stmt >= 0 {
		last = f.Stmts[stmt].Last
	}
	var body []int32
	for at <= last {
		body = append(body, at)
		at = f.Stmts[at].Last + 1
	}
	return body
}

// Inside says whether a statement lies in another, at any depth, or is it.
func (f *File) Inside(stmt, outer int32) bool {
	return stmt >= outer && stmt <= f.Stmts[outer].Last
}

// MainGuard is the index of `if __name__ == "__main__"` at the top level, or -1.
func (f *File) MainGuard() int32 {
	for _, c := range f.Compares {
		s := f.Stmts[c.Stmt]
		if s.Kind != StmtIf || s.Parent >= 0 || c.Op != "==" {
			continue
		}
		left, right := c.Left, c.Right
		if f.Source(right) == "__name__" {
			left, right = right, left
		}
		if text, _ := f.String(right); text == "__main__" && f.Source(left) == "__name__" {
			return c.Stmt
		}
	}
	return -1
}

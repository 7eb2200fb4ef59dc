package python

import "iter"

// An Expr is an expression of a file, by number; zero is none. The parts of an
// expression have smaller numbers than the whole.
type Expr int32

// An ExprKind says what an expression is.
type ExprKind uint8

// The kinds of expressions.
const (
	ExprNone ExprKind = iota
	ExprName
	ExprNumber
	ExprString    // neighbours joined
	ExprConstant  // True, False, None, ...
	ExprAttribute // value.name
	ExprSubscript // value[index]
	ExprCall
	ExprUnary // + - ~ not
	ExprBinary
	ExprBool // and, or
	ExprCompare
	ExprConditional // a if b else c
	ExprLambda
	ExprTuple
	ExprList
	ExprSet
	ExprDict
	ExprComprehension
	ExprStar // *x, **x
	ExprAwait
	ExprYield
	ExprWalrus
	ExprSlice
)

// node is an expression; what a, b and c mean depends on the kind.
type node struct {
	start, end uint32
	a, b, c    int32
	kind       ExprKind
	op         Op
	parens     bool
}

// Kind says what an expression is.
func (f *File) Kind(e Expr) ExprKind { return f.nodes[e].kind }

// Extent is where an expression stands, parentheses around it left out.
func (f *File) Extent(e Expr) Text {
	n := f.nodes[e]
	line, _ := position(f.lines, n.start)
	return Text{n.start, n.end, line}
}

// LineOf is the line of an expression, from 1.
func (f *File) LineOf(e Expr) int { return int(f.Extent(e).Line) }

// Source is the text of an expression.
func (f *File) Source(e Expr) string { return f.Text[f.nodes[e].start:f.nodes[e].end] }

// Op is the operator of a unary, binary, boolean or comparing expression, or
// the constant's name, as Python writes it.
func (f *File) Op(e Expr) string {
	return f.nodes[e].op.String()
}

// Left is the first part: of an attribute or subscript its value, of a call
// what is called, of an operator its first operand, of a conditional what is
// taken if the test holds.
func (f *File) Left(e Expr) Expr {
	switch n := f.nodes[e]; n.kind {
	case ExprAttribute, ExprSubscript, ExprCall, ExprUnary, ExprBinary, ExprBool, ExprCompare, ExprConditional, ExprLambda, ExprStar,
		ExprAwait, ExprYield, ExprWalrus, ExprSlice:
		return Expr(n.a)
	}
	return 0
}

// Right is the second part: of a subscript its index, of an operator its
// second operand, of a conditional its test.
func (f *File) Right(e Expr) Expr {
	switch n := f.nodes[e]; n.kind {
	case ExprSubscript, ExprBinary, ExprBool, ExprCompare, ExprConditional, ExprWalrus, ExprSlice:
		return Expr(n.b)
	}
	return 0
}

// Third is the third part: of a conditional what is taken otherwise, of a
// slice its step.
func (f *File) Third(e Expr) Expr {
	if n := f.nodes[e]; n.kind == ExprConditional || n.kind == ExprSlice {
		return Expr(n.c)
	}
	return 0
}

// Elements are the elements of a tuple, list or set, the keys and values of a
// dict by turns (the key of ** is zero), and the parts of a comprehension.
func (f *File) Elements(e Expr) []Expr {
	switch n := f.nodes[e]; n.kind {
	case ExprTuple, ExprList, ExprSet, ExprDict, ExprComprehension:
		return f.kids[n.b : n.b+n.c : n.b+n.c]
	}
	return nil
}

// Attr is the name after the last dot of an attribute, or a name's own.
func (f *File) Attr(e Expr) string {
	switch n := f.nodes[e]; n.kind {
	case ExprAttribute:
		return f.Text[n.b:n.end]
	case ExprName:
		return f.Text[n.start:n.end]
	}
	return ""
}

// CallOf is the call that an expression is.
func (f *File) CallOf(e Expr) (Call, bool) {
	if n := f.nodes[e]; n.kind == ExprCall {
		return f.Calls[n.b], true
	}
	return Call{}, false
}

// All yields every expression of a kind, parts before wholes.
func (f *File) All(kind ExprKind) iter.Seq[Expr] {
	return func(yield func(Expr) bool) {
		for i := range f.nodes {
			if f.nodes[i].kind == kind && !yield(Expr(i)) {
				return
			}
		}
	}
}

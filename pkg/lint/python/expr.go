package python

// How tightly operators bind; names as in the reference.
const (
	bindOr = iota + 1
	bindAnd
	bindNot
	bindCompare
	bindPipe
	bindCaret
	bindAmper
	bindShift
	bindSum
	bindTerm
	bindUnary
	bindPower
)

var binds = [opIsNot + 1]uint8{
	kwOr: bindOr, kwAnd: bindAnd,
	kwIn: bindCompare, kwNot: bindCompare, kwIs: bindCompare, opLess: bindCompare, opGreater: bindCompare, opLessEqual: bindCompare,
	opGreaterEqual: bindCompare, opEqual: bindCompare, opNotEqual: bindCompare,
	opPipe: bindPipe, opCaret: bindCaret, opAmper: bindAmper, opLShift: bindShift, opRShift: bindShift, opPlus: bindSum, opMinus: bindSum,
	opStar: bindTerm, opSlash: bindTerm, opDoubleSlash: bindTerm, opPercent: bindTerm, opAt: bindTerm, opDoubleStar: bindPower,
}

// expression is a lambda, a conditional or anything that binds tighter.
func (p *parser) expression() Expr {
	if !p.enter() {
		return 0
	}
	defer p.leave()
	if p.is(kwLambda) {
		return p.lambda()
	}
	start := p.tok.Start
	e := p.binary(bindOr)
	if !p.is(kwIf) || p.pattern {
		return e
	}
	p.advance()
	test := p.binary(bindOr)
	if !p.is(kwElse) {
		p.fail("expected 'else' after 'if' expression")
		return e
	}
	p.advance()
	other := p.expression()
	return p.add(node{kind: ExprConditional, start: start, a: int32(e), b: int32(test), c: int32(other)})
}

// named is an expression, or name := expression.
func (p *parser) named() Expr {
	start := p.tok.Start
	e := p.expression()
	if !p.is(opWalrus) {
		return e
	}
	if n := p.f.nodes[e]; n.kind != ExprName || n.parens {
		p.fail("cannot use assignment expressions with this target")
		return e
	}
	p.advance()
	value := p.expression()
	p.bind(e, value, StmtAssign, false)
	return p.add(node{kind: ExprWalrus, start: start, a: int32(e), b: int32(value)})
}

// element is an element of a list or a tuple: a starred or a named
// expression; in patterns "as name" may follow.
func (p *parser) element() Expr {
	start := p.tok.Start
	if p.accept(opStar) {
		value := p.binary(bindPipe)
		return p.add(node{kind: ExprStar, op: opStar, start: start, a: int32(value)})
	}
	e := p.named()
	if p.pattern && p.accept(kwAs) {
		p.name("a name after 'as'")
	}
	return e
}

// expressions is one element or a tuple of them without parentheses.
func (p *parser) expressions() Expr {
	start := p.tok.Start
	e := p.element()
	if !p.is(opComma) {
		return e
	}
	return p.tuple(start, e)
}

// tuple is the rest of a tuple after its first element.
func (p *parser) tuple(start uint32, e Expr) Expr {
	mark := len(p.kids)
	p.kids = append(p.kids, e)
	for p.accept(opComma) && p.startsExpression() {
		p.kids = append(p.kids, p.element())
	}
	first, count := p.list(mark)
	return p.add(node{kind: ExprTuple, start: start, b: first, c: count})
}

// value is what may stand right of an assignment.
func (p *parser) value() Expr {
	if p.is(kwYield) {
		return p.yield()
	}
	e := p.expressions()
	if n := p.f.nodes[e]; n.kind == ExprWalrus && !n.parens {
		p.fail("':=' needs parentheses here")
	}
	return e
}

// startsExpression says whether an expression can begin at the token.
func (p *parser) startsExpression() bool {
	switch p.tok.Kind {
	case Name, Number, String:
		switch p.tok.Op {
		case opNone, kwFalse, kwNone, kwTrue, kwNot, kwLambda, kwAwait, kwYield:
			return true
		}
		return false
	}
	switch p.tok.Op {
	case opLParen, opLSquare, opLBrace, opPlus, opMinus, opTilde, opStar, opEllipsis:
		return true
	}
	return false
}

// binary reads operators that bind at least as tightly as asked for.
func (p *parser) binary(level uint8) Expr {
	start := p.tok.Start
	e := p.unary(level)
	for {
		op := p.tok.Op
		bind := binds[op]
		if bind < level || bind == 0 {
			return e
		}
		switch bind {
		case bindCompare:
			var ok bool
			if e, ok = p.comparison(start, e); !ok {
				return e
			}
			continue
		case bindPower:
			p.advance()
			right := p.operand()
			e = p.add(node{kind: ExprBinary, op: op, start: start, a: int32(e), b: int32(right)})
			continue
		}
		kind := ExprBinary
		if bind <= bindAnd {
			kind = ExprBool
		}
		p.advance()
		right := p.binary(bind + 1)
		e = p.add(node{kind: kind, op: op, start: start, a: int32(e), b: int32(right)})
	}
}

// operand is what a unary operator or a power takes.
func (p *parser) operand() Expr {
	if !p.enter() {
		return 0
	}
	defer p.leave()
	return p.binary(bindUnary)
}

// unary is a prefix operator with its operand, or a primary.
func (p *parser) unary(level uint8) Expr {
	op, start := p.tok.Op, p.tok.Start
	switch op {
	case kwNot:
		if level > bindNot {
			break // left to primary, which says what is wrong
		}
		p.advance()
		if !p.enter() {
			return 0
		}
		e := p.binary(bindNot)
		p.leave()
		return p.add(node{kind: ExprUnary, op: op, start: start, a: int32(e)})
	case opPlus, opMinus, opTilde:
		p.advance()
		e := p.operand()
		return p.add(node{kind: ExprUnary, op: op, start: start, a: int32(e)})
	case kwAwait:
		p.advance()
		e := p.primary()
		return p.add(node{kind: ExprAwait, start: start, a: int32(e)})
	}
	return p.primary()
}

// comparison reads one comparing operator and its right side; false if "not"
// is no operator here.
func (p *parser) comparison(start uint32, left Expr) (Expr, bool) {
	op, line := p.tok.Op, p.tok.Line
	p.advance()
	switch {
	case op == kwNot && !p.accept(kwIn):
		p.fail("invalid syntax")
		return left, false
	case op == kwNot:
		op = opNotIn
	case op == kwIs && p.accept(kwNot):
		op = opIsNot
	}
	right := p.binary(bindPipe)
	operand := left
	chain := p.f.nodes[left].kind == ExprCompare && !p.f.nodes[left].parens
	if chain {
		operand = Expr(p.f.nodes[left].b)
	}
	e := p.add(node{kind: ExprCompare, op: op, start: start, a: int32(operand), b: int32(right), c: int32(left)})
	p.f.Compares = append(p.f.Compares, Compare{Op: op.String(), Left: operand, Right: right, Expr: e, Stmt: p.current(), Line: line})
	return e, true
}

// lambda is "lambda parameters: expression".
func (p *parser) lambda() Expr {
	start := p.tok.Start
	p.advance()
	mark := len(p.params)
	p.parameters(opColon)
	p.params = p.params[:mark]
	p.expect(opColon)
	pattern, function := p.pattern, p.function
	p.pattern, p.function = false, true
	body := p.expression()
	p.pattern, p.function = pattern, function
	return p.add(node{kind: ExprLambda, start: start, a: int32(body)})
}

// yield is "yield", "yield values" or "yield from value".
func (p *parser) yield() Expr {
	start := p.tok.Start
	if !p.function {
		p.fail("'yield' outside function")
		return 0
	}
	p.advance()
	var e Expr
	if p.accept(kwFrom) {
		e = p.expression()
	} else if p.startsExpression() {
		e = p.expressions()
	}
	return p.add(node{kind: ExprYield, start: start, a: int32(e)})
}

// current is the statement that is being read.
func (p *parser) current() int32 { return int32(len(p.f.Stmts) - 1) }

package python

// primary is an atom with the attributes, calls and subscripts after it.
func (p *parser) primary() Expr {
	start, line := p.tok.Start, p.tok.Line
	e := p.atom()
	for {
		switch p.tok.Op {
		case opDot:
			p.advance()
			at := p.tok.Start
			if p.name("a name after '.'"); p.bad {
				return e
			}
			e = p.add(node{kind: ExprAttribute, start: start, a: int32(e), b: int32(at)})
		case opLParen:
			e = p.call(start, line, e)
		case opLSquare:
			p.advance()
			index := p.subscript()
			p.expect(opRSquare)
			e = p.add(node{kind: ExprSubscript, start: start, a: int32(e), b: int32(index)})
		default:
			return e
		}
	}
}

// atom is a name, a literal, or something in brackets.
func (p *parser) atom() Expr {
	t := p.tok
	switch t.Kind {
	case Name:
		switch t.Op {
		case opNone:
			p.advance()
			return p.add(node{kind: ExprName, start: t.Start})
		case kwFalse, kwNone, kwTrue:
			p.advance()
			return p.add(node{kind: ExprConstant, op: t.Op, start: t.Start})
		}
	case Number:
		p.advance()
		return p.add(node{kind: ExprNumber, start: t.Start})
	case String:
		return p.strings()
	}
	if !p.enter() {
		return 0
	}
	defer p.leave()
	switch t.Op {
	case opLParen:
		return p.parenthesis()
	case opLSquare:
		return p.brackets()
	case opLBrace:
		return p.braces()
	case opEllipsis:
		p.advance()
		return p.add(node{kind: ExprConstant, op: t.Op, start: t.Start})
	}
	p.unexpected()
	return 0
}

// unexpected says what stands where an expression should be.
func (p *parser) unexpected() {
	switch {
	case p.tok.Kind == Name:
		p.fail("invalid syntax at '%s'", p.tok.Op)
	case p.tok.Kind == Newline, p.tok.Kind == EndMarker:
		p.fail("expected an expression before the end of the line")
	case p.tok.Op != opNone:
		p.fail("invalid syntax at '%s'", p.tok.Op)
	default:
		p.fail("invalid syntax")
	}
}

// parenthesis is a group, a tuple, a generator or a yield in parentheses.
func (p *parser) parenthesis() Expr {
	start := p.tok.Start
	p.advance()
	if p.is(opRParen) {
		p.advance()
		return p.add(node{kind: ExprTuple, start: start, parens: true})
	}
	if p.is(kwYield) {
		e := p.yield()
		p.expect(opRParen)
		p.f.nodes[e].parens = true
		return e
	}
	at := p.tok.Start
	e := p.element()
	switch {
	case p.startsClause():
		mark := len(p.kids)
		p.kids = append(p.kids, e)
		return p.comprehension(start, mark, opLParen, opRParen)
	case p.is(opComma):
		e = p.tuple(at, e)
	case p.f.nodes[e].kind == ExprStar && !p.pattern:
		p.fail("cannot use starred expression here")
	}
	if !p.accept(opRParen) {
		p.missing(opRParen)
	}
	p.f.nodes[e].parens = true
	return e
}

// missing says that a list goes on without a comma, or is not closed.
func (p *parser) missing(op Op) {
	if p.startsExpression() {
		p.fail("invalid syntax, perhaps a comma is missing before this")
		return
	}
	p.fail("expected '%s'", op)
}

// brackets is a list or a list comprehension.
func (p *parser) brackets() Expr {
	start, mark := p.tok.Start, len(p.kids)
	p.advance()
	for !p.is(opRSquare) && !p.bad {
		p.kids = append(p.kids, p.element())
		if p.startsClause() && len(p.kids) == mark+1 {
			return p.comprehension(start, mark, opLSquare, opRSquare)
		}
		if !p.accept(opComma) {
			break
		}
	}
	if !p.accept(opRSquare) {
		p.missing(opRSquare)
	}
	first, count := p.list(mark)
	return p.add(node{kind: ExprList, start: start, b: first, c: count, parens: true})
}

// braces is a dict or a set, or a comprehension of one.
func (p *parser) braces() Expr {
	start, mark := p.tok.Start, len(p.kids)
	kind := ExprDict
	p.advance()
	for n := 0; !p.is(opRBrace) && !p.bad; n++ {
		if got := p.entry(); n == 0 {
			kind = got
		} else if got != kind {
			p.fail("dict entries and set elements are mixed")
		}
		if n == 0 && p.startsClause() {
			return p.comprehension(start, mark, opLBrace, opRBrace)
		}
		if !p.accept(opComma) {
			break
		}
	}
	if !p.accept(opRBrace) {
		p.missing(opRBrace)
	}
	first, count := p.list(mark)
	return p.add(node{kind: kind, start: start, b: first, c: count, parens: true})
}

// entry is `key: value` or `**value` of a dict, or an element of a set.
func (p *parser) entry() ExprKind {
	if p.accept(opDoubleStar) {
		p.kids = append(p.kids, 0, p.binary(bindPipe))
		return ExprDict
	}
	e := p.element()
	p.kids = append(p.kids, e)
	if !p.accept(opColon) {
		return ExprSet
	}
	if p.f.nodes[e].kind == ExprStar {
		p.fail("cannot use a starred expression as a key")
	}
	value := p.expression()
	if p.pattern && p.accept(kwAs) {
		p.name("a name after 'as'")
	}
	p.kids = append(p.kids, value)
	return ExprDict
}

func (p *parser) startsClause() bool { return p.is(kwFor) || p.is(kwAsync) }

// comprehension is the clauses after what it collects, which is the scratch
// from mark on.
func (p *parser) comprehension(start uint32, mark int, op, end Op) Expr {
	if n := p.kids[mark]; p.f.nodes[n].kind == ExprStar {
		p.fail("iterable unpacking cannot be used in comprehension")
	}
	p.clauses()
	if !p.accept(end) {
		p.missing(end)
	}
	first, count := p.list(mark)
	return p.add(node{kind: ExprComprehension, op: op, start: start, b: first, c: count, parens: true})
}

// clauses reads "for target in values if test …" into the scratch.
func (p *parser) clauses() {
	for p.startsClause() {
		if p.accept(kwAsync) && !p.is(kwFor) {
			p.fail("expected 'for'")
		}
		p.expect(kwFor)
		target := p.targets()
		p.checkTarget(target)
		p.expect(kwIn)
		p.kids = append(p.kids, target, p.binary(bindOr))
		if p.is(kwLambda) {
			p.fail("invalid syntax")
		}
		for p.accept(kwIf) {
			p.kids = append(p.kids, p.binary(bindOr))
		}
	}
}

// targets is what a for binds, up to its "in".
func (p *parser) targets() Expr {
	start := p.tok.Start
	e := p.starTarget()
	if !p.is(opComma) {
		return e
	}
	mark := len(p.kids)
	p.kids = append(p.kids, e)
	for p.accept(opComma) && p.startsExpression() {
		p.kids = append(p.kids, p.starTarget())
	}
	first, count := p.list(mark)
	return p.add(node{kind: ExprTuple, start: start, b: first, c: count})
}

func (p *parser) starTarget() Expr {
	start := p.tok.Start
	if p.accept(opStar) {
		e := p.binary(bindPipe)
		return p.add(node{kind: ExprStar, op: opStar, start: start, a: int32(e)})
	}
	return p.binary(bindPipe)
}

// subscript is what stands in square brackets after a value.
func (p *parser) subscript() Expr {
	start := p.tok.Start
	e := p.slice()
	if !p.is(opComma) {
		return e
	}
	mark := len(p.kids)
	p.kids = append(p.kids, e)
	for p.accept(opComma) && !p.is(opRSquare) {
		p.kids = append(p.kids, p.slice())
	}
	first, count := p.list(mark)
	return p.add(node{kind: ExprTuple, start: start, b: first, c: count})
}

// slice is an index, or start:stop:step of which each may be missing.
func (p *parser) slice() Expr {
	start := p.tok.Start
	var parts [3]int32
	if !p.is(opColon) {
		e := p.element()
		if !p.is(opColon) {
			return e
		}
		parts[0] = int32(e)
	}
	for i := 1; i < 3 && p.accept(opColon); i++ {
		if !p.is(opColon) && !p.is(opComma) && !p.is(opRSquare) {
			parts[i] = int32(p.expression())
		}
	}
	return p.add(node{kind: ExprSlice, start: start, a: parts[0], b: parts[1], c: parts[2]})
}

// call is the arguments after what is called.
func (p *parser) call(start, line uint32, callee Expr) Expr {
	args := p.callArguments()
	e := p.add(node{kind: ExprCall, start: start, a: int32(callee), b: int32(len(p.f.Calls))})
	p.f.Calls = append(p.f.Calls, Call{Args: args, Expr: e, Func: callee, Stmt: p.current(), Scope: p.scope, Line: line, Start: start})
	return e
}

// callArguments reads the arguments in parentheses.
func (p *parser) callArguments() []Arg {
	p.advance()
	mark := len(p.args)
	var keyword, unpacked, generator bool
	for !p.is(opRParen) && !p.bad {
		if generator {
			p.fail("generator expression must be parenthesized")
		}
		start := p.tok.Start
		a := p.argument()
		p.checkOrder(start, a, keyword, unpacked)
		unpacked = unpacked || a.Name == "**"
		keyword = keyword || a.Name != "" && a.Name != "*"
		if p.startsClause() && a.Name == "" {
			if len(p.args) > mark {
				p.fail("generator expression must be parenthesized")
			}
			a.Value = p.generator(start, a.Value)
			generator = true
		}
		p.args = append(p.args, a)
		if !p.accept(opComma) {
			break
		}
	}
	if !p.accept(opRParen) {
		p.missing(opRParen)
	}
	return p.arguments(mark)
}

// checkOrder fails where an argument may not follow those before it.
func (p *parser) checkOrder(start uint32, a Arg, keyword, unpacked bool) {
	switch {
	case a.Name == "*" && unpacked:
		p.failAt(int(start), "iterable argument unpacking follows keyword argument unpacking")
	case a.Name == "" && keyword:
		p.failAt(int(start), "positional argument follows keyword argument")
	}
}

// generator is a generator expression that needs no parentheses.
func (p *parser) generator(start uint32, e Expr) Expr {
	mark := len(p.kids)
	p.kids = append(p.kids, e)
	p.clauses()
	first, count := p.list(mark)
	return p.add(node{kind: ExprComprehension, op: opLParen, start: start, b: first, c: count, parens: true})
}

// argument is one argument.
func (p *parser) argument() Arg {
	switch {
	case p.accept(opStar):
		return Arg{"*", p.expression()}
	case p.accept(opDoubleStar):
		return Arg{"**", p.expression()}
	}
	word := p.word()
	e := p.element()
	if !p.is(opAssign) {
		return Arg{"", e}
	}
	if n := p.f.nodes[e]; n.kind != ExprName || n.parens {
		p.fail("expression cannot contain assignment, perhaps \"==\" was meant")
		return Arg{"", e}
	}
	p.advance()
	value := p.expression()
	if p.pattern && p.accept(kwAs) {
		p.name("a name after 'as'")
	}
	return Arg{word, value}
}

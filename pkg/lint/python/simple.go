package python

import "strings"

// simple reads the simple statements of one line.
func (p *parser) simple() {
	for {
		i := p.begin(StmtBad)
		kind := p.small(i)
		p.f.Stmts[i].Kind = kind
		p.finish(i)
		if p.accept(opSemi) && p.tok.Kind != Newline && !p.bad {
			continue
		}
		break
	}
	switch p.tok.Kind {
	case Newline:
		p.advance()
	case EndMarker:
	default:
		p.notEnded()
	}
}

// notEnded says what is wrong with a statement that does not end.
func (p *parser) notEnded() {
	s := p.f.Stmts[p.current()]
	if s.Kind == StmtExpr && p.f.nodes[s.Expr].kind == ExprName {
		switch word := p.f.Source(s.Expr); word {
		case "print", "exec":
			p.failAt(int(s.Start), "missing parentheses in call to '%s', which was a statement in Python 2", word)
			return
		}
	}
	p.unexpected()
}

// small reads one simple statement into the statement i.
func (p *parser) small(i int32) StmtKind {
	op := p.tok.Op
	switch op {
	case kwPass:
		p.advance()
		return StmtPass
	case kwBreak, kwContinue:
		return p.jump(op)
	case kwReturn:
		return p.returns(i)
	case kwRaise:
		return p.raise(i)
	case kwImport:
		p.imports(i)
		return StmtImport
	case kwFrom:
		p.fromImport(i)
		return StmtFromImport
	case kwGlobal, kwNonlocal:
		return p.names(op)
	case kwDel:
		return p.del(i)
	case kwAssert:
		return p.assert(i)
	}
	if p.isName() && p.word() == "type" && p.isTypeAlias() {
		return p.typeAlias(i)
	}
	return p.assignment(i)
}

// jump is break or continue.
func (p *parser) jump(op Op) StmtKind {
	if p.loop == 0 {
		p.fail("'%s' outside loop", op)
	}
	p.advance()
	if op == kwBreak {
		return StmtBreak
	}
	return StmtContinue
}

func (p *parser) returns(i int32) StmtKind {
	if !p.function || p.f.Scopes[p.scope].Kind != FunctionScope {
		p.fail("'return' outside function")
	}
	p.advance()
	if p.startsExpression() {
		p.set(i, p.expressions(), 0)
	}
	return StmtReturn
}

// set gives a statement its expressions.
func (p *parser) set(i int32, e, value Expr) {
	p.f.Stmts[i].Expr, p.f.Stmts[i].Value = e, value
}

func (p *parser) raise(i int32) StmtKind {
	p.advance()
	if p.startsExpression() {
		e := p.expression()
		var cause Expr
		if p.accept(kwFrom) {
			cause = p.expression()
		}
		p.set(i, e, cause)
	}
	return StmtRaise
}

func (p *parser) names(op Op) StmtKind {
	p.advance()
	p.name("a name")
	for p.accept(opComma) {
		p.name("a name")
	}
	if op == kwGlobal {
		return StmtGlobal
	}
	return StmtNonlocal
}

func (p *parser) del(i int32) StmtKind {
	p.advance()
	e := p.expressions()
	p.checkTarget(e)
	p.set(i, e, 0)
	return StmtDelete
}

func (p *parser) assert(i int32) StmtKind {
	p.advance()
	e := p.expression()
	var message Expr
	if p.accept(opComma) {
		message = p.expression()
	}
	p.set(i, e, message)
	return StmtAssert
}

// isTypeAlias says whether "type" begins `type Name = …`.
func (p *parser) isTypeAlias() bool {
	ahead := p.lex.ahead()
	if t := ahead.next(); t.Kind != Name || t.Op != opNone {
		return false
	}
	t := ahead.next()
	return t.Op == opAssign || t.Op == opLSquare
}

func (p *parser) typeAlias(i int32) StmtKind {
	p.advance()
	e := p.atom()
	p.typeParameters()
	p.expect(opAssign)
	p.set(i, e, p.expression())
	return StmtTypeAlias
}

// imports reads "import a.b as c, d".
func (p *parser) imports(i int32) {
	p.advance()
	for {
		im := Import{Line: p.tok.Line, Start: p.tok.Start, Stmt: i, Scope: p.scope}
		im.Module = p.dotted()
		if p.accept(kwAs) {
			im.As = p.name("a name after 'as'")
		}
		p.f.Imports = append(p.f.Imports, im)
		if !p.accept(opComma) {
			return
		}
	}
}

// dotted reads the name of a module.
func (p *parser) dotted() string {
	start := p.tok.Start
	p.name("a module's name")
	for p.accept(opDot) {
		p.name("a name after '.'")
	}
	text := p.f.Text[start:max(start, p.last)]
	if strings.ContainsAny(text, " \t\f\r\n\\") {
		text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\f\r\n\\", r) }), "")
	}
	return text
}

// fromImport reads "from ..a import b as c, d", in parentheses or not.
func (p *parser) fromImport(i int32) {
	im := Import{Stmt: i, Scope: p.scope}
	p.advance()
	for p.is(opDot) || p.is(opEllipsis) {
		im.Level++
		if p.is(opEllipsis) {
			im.Level += 2
		}
		p.advance()
	}
	if !p.is(kwImport) || im.Level == 0 {
		im.Module = p.dotted()
	}
	p.expect(kwImport)
	if p.is(opStar) {
		im.Name, im.Line, im.Start = "*", p.tok.Line, p.tok.Start
		p.f.Imports = append(p.f.Imports, im)
		p.advance()
		return
	}
	parens := p.accept(opLParen)
	for {
		im.Line, im.Start, im.As = p.tok.Line, p.tok.Start, ""
		im.Name = p.name("a name to import")
		if p.accept(kwAs) {
			im.As = p.name("a name after 'as'")
		}
		if p.bad {
			return
		}
		p.f.Imports = append(p.f.Imports, im)
		if !p.accept(opComma) || parens && p.is(opRParen) {
			break
		}
	}
	if parens {
		p.expect(opRParen)
	}
}

// assignment reads an expression, and what is assigned to it.
func (p *parser) assignment(i int32) StmtKind {
	target := p.value()
	p.set(i, target, 0)
	switch p.tok.Op {
	case opAssign:
		p.chain(i, target)
		return StmtAssign
	case opAugmented:
		p.checkPlace(target)
		p.advance()
		value := p.value()
		p.set(i, target, value)
		p.bind(target, value, StmtAugAssign, false)
		return StmtAugAssign
	case opColon:
		return p.annotated(i, target)
	}
	n := &p.f.nodes[target]
	if n.kind == ExprStar {
		p.failAt(int(n.start), "cannot use starred expression here")
	}
	if n.kind == ExprString {
		for s := n.b; s < n.b+n.c; s++ {
			p.f.Strings[s].Doc = true
		}
	}
	return StmtExpr
}

// chain reads "= b = value" after a target; each target is bound to the value.
func (p *parser) chain(i int32, target Expr) {
	mark := len(p.kids)
	value := target
	for p.accept(opAssign) {
		p.checkTarget(value)
		p.kids = append(p.kids, value)
		value = p.value()
	}
	p.set(i, target, value)
	for _, t := range p.kids[mark:] {
		p.bindTarget(t, value, StmtAssign, false)
	}
	p.kids = p.kids[:mark]
}

func (p *parser) annotated(i int32, target Expr) StmtKind {
	p.checkPlace(target)
	p.advance()
	p.expression()
	var value Expr
	if p.accept(opAssign) {
		value = p.value()
	}
	p.set(i, target, value)
	p.bind(target, value, StmtAnnAssign, false)
	return StmtAnnAssign
}

// checkTarget fails where an expression cannot be assigned to.
func (p *parser) checkTarget(e Expr) {
	n := p.f.nodes[e]
	switch n.kind {
	case ExprName, ExprAttribute, ExprSubscript, ExprNone:
	case ExprStar:
		p.checkTarget(Expr(n.a))
	case ExprTuple, ExprList:
		for _, part := range p.f.kids[n.b : n.b+n.c] {
			p.checkTarget(part)
		}
	default:
		p.failAt(int(n.start), "cannot assign to this expression")
	}
}

// checkPlace fails where an expression is no single place for a value.
func (p *parser) checkPlace(e Expr) {
	switch n := p.f.nodes[e]; n.kind {
	case ExprName, ExprAttribute, ExprSubscript, ExprNone:
	default:
		p.failAt(int(n.start), "this expression cannot be annotated or assigned to in place")
	}
}

// bindTarget records what a target, or each part of it, is bound to.
func (p *parser) bindTarget(e, value Expr, kind StmtKind, unpack bool) {
	n := p.f.nodes[e]
	switch n.kind {
	case ExprStar:
		p.bindTarget(Expr(n.a), value, kind, true)
	case ExprTuple, ExprList:
		for _, part := range p.f.kids[n.b : n.b+n.c] {
			p.bindTarget(part, value, kind, true)
		}
	default:
		p.bind(e, value, kind, unpack)
	}
}

func (p *parser) bind(e, value Expr, kind StmtKind, unpack bool) {
	n := p.f.nodes[e]
	a := Assign{Target: e, Value: value, Kind: kind, Unpack: unpack, Stmt: p.current(), Scope: p.scope, Start: n.start}
	a.Line = p.f.Stmts[a.Stmt].Line
	if n.kind == ExprName || n.kind == ExprAttribute {
		a.Name, _ = p.f.Dotted(e)
	}
	p.f.Assigns = append(p.f.Assigns, a)
}

package python

// module reads the statements of a file.
func (p *parser) module() {
	for p.tok.Kind != EndMarker {
		p.statement()
	}
	if p.lex.err == nil && p.bad {
		p.lex.fail(int(p.tok.Start), "invalid syntax")
	}
}

// statement reads one line of statements, or a compound one; whatever it
// finds, it gets on.
func (p *parser) statement() {
	switch p.tok.Kind {
	case Indent:
		p.lex.fail(int(p.tok.End), "unexpected indent")
		p.advance()
		return
	case Dedent, Newline:
		p.advance()
		return
	}
	if !p.compound() {
		p.simple()
	}
	if p.bad {
		p.recover()
	}
}

// compound reads a compound statement, if one begins here.
func (p *parser) compound() bool {
	switch p.tok.Op {
	case kwIf:
		p.ifs()
	case kwFor:
		p.fors(p.begin(StmtFor))
	case kwWhile:
		p.whiles()
	case kwTry:
		p.try()
	case kwWith:
		p.with(p.begin(StmtWith))
	case kwDef:
		p.def(p.begin(StmtFunctionDef), nil)
	case kwClass:
		p.class(p.begin(StmtClassDef), nil)
	case opAt:
		p.decorated()
	case kwAsync:
		p.async()
	case kwElif, kwElse, kwExcept, kwFinally:
		p.fail("'%s' without a statement that it belongs to", p.tok.Op)
	default:
		return p.isName() && p.word() == "match" && p.match()
	}
	return true
}

// body reads ": statements" of the statement i, and closes it.
func (p *parser) body(i int32, what string) {
	line := p.f.Stmts[i].Line
	if !p.accept(opColon) {
		p.fail("expected ':'")
		p.finish(i)
		return
	}
	outer := p.stmt
	p.stmt = i
	if p.tok.Kind == Newline {
		p.advance()
		p.indented(what, line)
	} else {
		p.simple()
	}
	p.stmt = outer
	p.finish(i)
}

// indented reads a block on lines of its own.
func (p *parser) indented(what string, line uint32) {
	if p.tok.Kind != Indent {
		p.fail("expected an indented block after '%s' on line %d", what, line)
		p.bad = false
		p.tok = p.failed
		return
	}
	p.advance()
	if !p.enter() {
		return
	}
	for p.tok.Kind != Dedent && p.tok.Kind != EndMarker {
		p.statement()
	}
	p.leave()
	if p.tok.Kind == Dedent {
		p.advance()
	}
}

func (p *parser) ifs() {
	i := p.begin(StmtIf)
	p.advance()
	p.f.Stmts[i].Expr = p.named()
	p.body(i, "if")
	outer := p.stmt
	p.stmt = i
	for p.is(kwElif) {
		j := p.begin(StmtElif)
		p.advance()
		p.f.Stmts[j].Expr = p.named()
		p.body(j, "elif")
	}
	p.otherwise()
	p.stmt = outer
	p.finish(i)
}

// otherwise reads an else clause, if there is one.
func (p *parser) otherwise() {
	if p.is(kwElse) {
		j := p.begin(StmtElse)
		p.advance()
		p.body(j, "else")
	}
}

func (p *parser) fors(i int32) {
	p.advance()
	target := p.targets()
	p.checkTarget(target)
	p.expect(kwIn)
	s := &p.f.Stmts[i]
	s.Expr, s.Value = target, p.expressions()
	p.bindTarget(target, 0, StmtFor, false)
	p.looping(i, "for")
}

func (p *parser) whiles() {
	i := p.begin(StmtWhile)
	p.advance()
	p.f.Stmts[i].Expr = p.named()
	p.looping(i, "while")
}

// looping reads the body of a loop and its else.
func (p *parser) looping(i int32, what string) {
	p.loop++
	p.body(i, what)
	p.loop--
	outer := p.stmt
	p.stmt = i
	p.otherwise()
	p.stmt = outer
	p.finish(i)
}

func (p *parser) try() {
	i := p.begin(StmtTry)
	p.advance()
	p.body(i, "try")
	outer := p.stmt
	p.stmt = i
	handled := p.is(kwExcept)
	for p.is(kwExcept) {
		p.except()
	}
	if handled {
		p.otherwise()
	}
	switch {
	case p.is(kwFinally):
		j := p.begin(StmtFinally)
		p.advance()
		p.body(j, "finally")
	case !handled:
		p.fail("expected 'except' or 'finally' block")
	}
	p.stmt = outer
	p.finish(i)
}

func (p *parser) except() {
	j := p.begin(StmtExcept)
	h := Handler{Stmt: j, Line: p.tok.Line}
	p.advance()
	h.Group = p.accept(opStar)
	if !p.is(opColon) {
		h.Type = p.expression()
		if p.is(opComma) {
			p.fail("multiple exception types must be parenthesized")
		}
		if p.accept(kwAs) {
			h.As = p.name("a name after 'as'")
		}
	}
	p.f.Stmts[j].Expr = h.Type
	p.f.Handlers = append(p.f.Handlers, h)
	p.body(j, "except")
}

func (p *parser) with(i int32) {
	p.advance()
	if p.is(opLParen) && p.parenthesized() {
		p.advance()
		for !p.is(opRParen) && !p.bad {
			p.withItem(i)
			if !p.accept(opComma) {
				break
			}
		}
		p.expect(opRParen)
	} else {
		p.withItem(i)
		for p.accept(opComma) {
			p.withItem(i)
		}
	}
	p.body(i, "with")
}

// parenthesized says whether the parenthesis at the token closes right before
// a colon, so that it holds the items of a with.
func (p *parser) parenthesized() bool {
	ahead := p.lex.ahead()
	depth := len(ahead.brackets)
	for {
		switch t := ahead.next(); {
		case t.Kind == EndMarker, t.Kind == ErrorToken, t.Kind == Newline:
			return false
		case t.Op == opRParen && len(ahead.brackets) < depth:
			for t = ahead.next(); t.Kind == Comment || t.Kind == NL; {
				t = ahead.next()
			}
			return t.Op == opColon
		}
	}
}

func (p *parser) withItem(i int32) {
	start := p.tok.Start
	var e Expr
	if p.is(kwYield) {
		e = p.yield()
	} else {
		e = p.element()
	}
	if p.startsClause() {
		e = p.generator(start, e)
	}
	w := With{Context: e, Stmt: i}
	if p.accept(kwAs) {
		w.As = p.starTarget()
		p.checkTarget(w.As)
		p.bindTarget(w.As, 0, StmtWith, false)
	}
	p.f.Withs = append(p.f.Withs, w)
}

func (p *parser) async() {
	i := p.begin(StmtFor)
	p.f.Stmts[i].Async = true
	p.advance()
	switch p.tok.Op {
	case kwFor:
		p.fors(i)
	case kwWith:
		p.f.Stmts[i].Kind = StmtWith
		p.with(i)
	case kwDef:
		p.f.Stmts[i].Kind = StmtFunctionDef
		p.def(i, nil)
	default:
		p.f.Stmts[i].Kind = StmtBad
		p.fail("expected 'def', 'with' or 'for' after 'async'")
	}
}

// match reads a match statement, if the name begins one.
func (p *parser) match() bool {
	if !p.endsInColon() {
		return false
	}
	i := p.begin(StmtMatch)
	p.advance()
	p.f.Stmts[i].Expr = p.expressions()
	p.expect(opColon)
	if p.tok.Kind != Newline {
		p.fail("expected a line end after the ':' of 'match'")
		p.finish(i)
		return true
	}
	p.advance()
	if p.tok.Kind != Indent {
		p.fail("expected an indented block after 'match' on line %d", p.f.Stmts[i].Line)
		p.finish(i)
		return true
	}
	p.advance()
	outer := p.stmt
	p.stmt = i
	for p.tok.Kind != Dedent && p.tok.Kind != EndMarker && p.enter() {
		p.cases()
		p.leave()
	}
	p.stmt = outer
	if p.tok.Kind == Dedent {
		p.advance()
	}
	p.finish(i)
	return true
}

// cases reads a case clause.
func (p *parser) cases() {
	if !p.isName() || p.word() != "case" {
		p.fail("expected 'case'")
		p.recover()
		return
	}
	i := p.begin(StmtCase)
	p.advance()
	p.pattern = true
	pattern := p.expressions()
	p.pattern = false
	p.f.Stmts[i].Expr = pattern
	if p.accept(kwIf) {
		p.f.Stmts[i].Value = p.named()
	}
	p.body(i, "case")
	if p.bad {
		p.recover()
	}
}

// endsInColon says whether the logical line after a soft keyword ends in a
// colon, with more than the colon before it.
func (p *parser) endsInColon() bool {
	ahead := p.lex.ahead()
	first := ahead.next()
	switch {
	case first.Kind == Newline, first.Kind == EndMarker, first.Op == opColon, first.Op == opAssign, first.Op == opDot, first.Op == opComma:
		return false
	}
	before := first
	for t := first; ; t = ahead.next() {
		switch t.Kind {
		case Newline:
			return before.Op == opColon
		case EndMarker, ErrorToken:
			return false
		case Comment, NL:
		default:
			before = t
		}
	}
}

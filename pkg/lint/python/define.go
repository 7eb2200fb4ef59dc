package python

// decorated reads decorators and the def or class after them.
func (p *parser) decorated() {
	i := p.begin(StmtFunctionDef)
	var decorators []Expr
	for p.accept(opAt) {
		decorators = append(decorators, p.named())
		if p.tok.Kind != Newline {
			p.fail("expected a line end after the decorator")
			return
		}
		p.advance()
	}
	if p.is(kwAsync) {
		p.f.Stmts[i].Async = true
		p.advance()
	}
	switch p.tok.Op {
	case kwDef:
		p.def(i, decorators)
	case kwClass:
		p.f.Stmts[i].Kind = StmtClassDef
		p.class(i, decorators)
	default:
		p.fail("expected a def or a class after the decorator")
	}
}

// def reads a function from its "def" on.
func (p *parser) def(i int32, decorators []Expr) {
	fn := Function{Decorators: decorators, Async: p.f.Stmts[i].Async, Line: p.tok.Line, Stmt: i, Scope: p.scope}
	p.advance()
	fn.Start = p.tok.Start
	fn.Name = p.name("a function's name")
	p.typeParameters()
	p.expect(opLParen)
	mark := len(p.params)
	p.parameters(opRParen)
	from := len(p.paramArena)
	p.paramArena = append(p.paramArena, p.params[mark:]...)
	p.params = p.params[:mark]
	fn.Params = p.paramArena[from:len(p.paramArena):len(p.paramArena)]
	p.expect(opRParen)
	if p.accept(opArrow) {
		fn.Returns = p.expression()
	}
	fn.Body = p.inner(FunctionScope, fn.Name, i)
	p.f.Functions = append(p.f.Functions, fn)
	loop, function, scope := p.loop, p.function, p.scope
	p.loop, p.function, p.scope = 0, true, fn.Body
	p.body(i, "def")
	p.loop, p.function, p.scope = loop, function, scope
}

// inner adds a scope.
func (p *parser) inner(kind ScopeKind, name string, stmt int32) int32 {
	if outer := p.f.Scopes[p.scope].Name; outer != "" && len(outer) < 200 {
		name = outer + "." + name
	}
	p.f.Scopes = append(p.f.Scopes, Scope{Kind: kind, Name: name, Parent: p.scope, Stmt: stmt})
	return int32(len(p.f.Scopes) - 1)
}

// class reads a class from its "class" on.
func (p *parser) class(i int32, decorators []Expr) {
	c := Class{Decorators: decorators, Line: p.tok.Line, Stmt: i, Scope: p.scope}
	p.advance()
	c.Start = p.tok.Start
	c.Name = p.name("a class's name")
	p.typeParameters()
	if p.is(opLParen) {
		c.Bases = p.callArguments()
	}
	c.Body = p.inner(ClassScope, c.Name, i)
	p.f.Classes = append(p.f.Classes, c)
	loop, function, scope := p.loop, p.function, p.scope
	p.loop, p.function, p.scope = 0, false, c.Body
	p.body(i, "class")
	p.loop, p.function, p.scope = loop, function, scope
}

// typeParameters steps over [T: bound = default, *Ts, **P].
func (p *parser) typeParameters() {
	if !p.accept(opLSquare) {
		return
	}
	for !p.is(opRSquare) && !p.bad {
		if !p.accept(opStar) {
			p.accept(opDoubleStar)
		}
		p.name("a type parameter")
		if p.accept(opColon) {
			p.expression()
		}
		if p.accept(opAssign) {
			p.element()
		}
		if !p.accept(opComma) {
			break
		}
	}
	p.expect(opRSquare)
}

// parameters reads those of a def, or of a lambda, whose end is a colon, into
// the scratch.
func (p *parser) parameters(end Op) {
	mark, kind := len(p.params), Positional
	var defaults, star bool
	for !p.is(end) && !p.bad {
		switch {
		case p.is(opSlash):
			p.slash(mark, star)
		case p.is(opDoubleStar):
			p.advance()
			p.parameter(VarKeyword, end)
			p.accept(opComma)
			return
		case p.is(opStar):
			if star {
				p.fail("* argument may appear only once")
			}
			kind, star = KeywordOnly, true
			p.star(end)
		default:
			has := p.parameter(kind, end)
			if kind == Positional && defaults && !has {
				p.fail("parameter without a default follows parameter with a default")
			}
			defaults = defaults || has
		}
		if !p.accept(opComma) {
			return
		}
	}
}

// slash makes the parameters before it positional-only.
func (p *parser) slash(mark int, star bool) {
	if star || len(p.params) == mark || p.params[mark].Kind == PositionalOnly {
		p.fail("invalid syntax at '/'")
	}
	p.advance()
	for i := mark; i < len(p.params); i++ {
		p.params[i].Kind = PositionalOnly
	}
}

// star is *args, or the bare star before keyword-only parameters.
func (p *parser) star(end Op) {
	p.advance()
	if !p.is(opComma) {
		p.parameter(VarPositional, end)
		return
	}
	ahead := p.lex.ahead()
	if next := ahead.next(); next.Kind != Name && next.Kind != NL && next.Kind != Comment {
		p.fail("named arguments must follow bare *")
	}
}

// parameter reads a name, with its annotation if not of a lambda, and its
// default; it says whether there was one.
func (p *parser) parameter(kind ParamKind, end Op) bool {
	param := Param{Kind: kind, Name: p.name("a parameter's name")}
	if end == opRParen && p.accept(opColon) {
		if kind == VarPositional {
			param.Annotation = p.element()
		} else {
			param.Annotation = p.expression()
		}
	}
	if p.accept(opAssign) {
		param.Default = p.expression()
	}
	p.params = append(p.params, param)
	return param.Default != 0
}

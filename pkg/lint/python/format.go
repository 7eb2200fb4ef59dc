package python

// strings is a string literal, or several that are joined.
func (p *parser) strings() Expr {
	start, mark := p.tok.Start, len(p.strs)
	bytes := p.tok.flags & strBytes
	for p.tok.Kind == String {
		t := p.tok
		if t.flags&strBytes != bytes {
			p.fail("cannot mix bytes and nonbytes literals")
			break
		}
		s := Str{Start: t.Start, End: t.End, Line: t.Line, Stmt: p.current(), flags: t.flags}
		if t.flags&strFormat != 0 {
			s.fields, s.count = p.fields(t)
		}
		p.strs = append(p.strs, s)
		p.advance()
	}
	first, own := len(p.f.Strings), p.strs[mark:]
	e := p.add(node{kind: ExprString, start: start, b: int32(first), c: int32(len(own))})
	for i := range own {
		own[i].Expr = e
	}
	p.f.Strings = append(p.f.Strings, own...)
	p.strs = p.strs[:mark]
	return e
}

// fields reads the fields of an f-string; they are where kids says.
func (p *parser) fields(t Token) (first, count int32) {
	quotes := 1
	if t.flags&strTriple != 0 {
		quotes = 3
	}
	at := int(t.Start)
	for class[p.f.Text[at]] != classQuote {
		at++
	}
	outer, last := p.lex, p.last
	mark := len(p.kids)
	p.literal(at+quotes, int(t.End)-quotes, t.flags)
	first, count = p.list(mark)
	outer.err = p.lex.err
	p.lex, p.last = outer, last
	if p.bad {
		p.failed = t
	} else {
		p.tok = t
	}
	return first, count
}

// literal reads the text of an f-string, from at to stop, and its fields.
func (p *parser) literal(at, stop int, flags uint8) {
	text := p.f.Text[:stop]
	scan := lexer{src: text}
	for at < stop && !p.bad {
		switch c := text[at]; {
		case c == '\\':
			at = scan.afterBackslash(at, flags)
		case (c == '{' || c == '}') && at+1 < stop && text[at+1] == c:
			at += 2
		case c == '{':
			at = p.field(at+1, stop)
		case c == '}':
			p.failAt(at, "f-string: single '}' is not allowed")
		default:
			at++
		}
	}
}

// field reads one field after its brace, and answers where it ends.
func (p *parser) field(at, stop int) int {
	if !p.enter() {
		return stop
	}
	defer p.leave()
	err := p.lex.err
	p.lex = newLexer(p.f.Text[:stop], p.f.lines)
	line, _ := position(p.f.lines, uint32(at))
	p.lex.pos, p.lex.line, p.lex.fresh, p.lex.field, p.lex.err = at, line, false, true, err
	p.tok.End = uint32(at)
	p.advance()
	if p.is(opRBrace) {
		p.fail("f-string: empty expression not allowed")
	}
	p.kids = append(p.kids, p.value())
	p.accept(opAssign)
	if p.accept(opBang) {
		p.name("a conversion after '!'")
	}
	switch {
	case p.is(opRBrace):
		return int(p.tok.End)
	case p.is(opColon):
		return p.spec(int(p.tok.End), stop)
	}
	p.fail("f-string: expecting '}'")
	return stop
}

// spec reads a format specification and the fields in it.
func (p *parser) spec(at, stop int) int {
	for at < stop && !p.bad {
		switch p.f.Text[at] {
		case '}':
			return at + 1
		case '{':
			at = p.field(at+1, stop)
		default:
			at++
		}
	}
	p.failAt(at, "f-string: expecting '}'")
	return stop
}

package python

import (
	"fmt"
	"strings"
)

// maxDepth is how deep statements and expressions may lie in each other.
const maxDepth = 1000

// A parser reads the tokens of a file into its facts. After an error it reads
// only the end of the input until it recovers at the next statement.
type parser struct {
	f      *File
	lex    lexer
	tok    Token
	last   uint32 // where the token before ended
	bad    bool
	failed Token // the token at which it went bad
	depth  int

	scope    int32
	stmt     int32
	loop     int  // loops around, in this function
	function bool // a function is around
	pattern  bool // reading the pattern of a case

	kids   []Expr // scratch for lists that are being read
	args   []Arg
	params []Param
	strs   []Str

	argArena   []Arg
	paramArena []Param
}

func newParser(f *File) *parser {
	n := len(f.Text)
	f.nodes = make([]node, 1, n/10+8)
	f.kids = make([]Expr, 0, n/40)
	f.Stmts = make([]Stmt, 0, n/48+4)
	f.Calls = make([]Call, 0, n/120)
	f.Strings = make([]Str, 0, n/100)
	p := &parser{f: f, lex: newLexer(f.Text, f.lines), stmt: -1}
	p.argArena = make([]Arg, 0, n/90)
	f.Scopes = append(f.Scopes, Scope{Parent: -1, Stmt: -1})
	p.advance()
	return p
}

// advance goes to the next token of the grammar; comments are kept aside.
func (p *parser) advance() {
	if p.bad {
		return
	}
	p.last = p.tok.End
	for {
		p.tok = p.lex.next()
		switch p.tok.Kind {
		case NL:
		case Comment:
			p.f.Comments = append(p.f.Comments, Text{p.tok.Start, p.tok.End, p.tok.Line})
		case ErrorToken:
			p.fail("invalid syntax")
			return
		default:
			return
		}
	}
}

// fail records an error at the token and reads no further, until recover.
func (p *parser) fail(format string, args ...any) {
	p.failAt(int(p.tok.Start), format, args...)
}

func (p *parser) failAt(at int, format string, args ...any) {
	if p.bad {
		return
	}
	p.lex.fail(at, format, args...)
	p.bad, p.failed = true, p.tok
	p.tok = Token{Start: p.tok.Start, End: p.tok.Start, Line: p.tok.Line, Kind: ErrorToken}
}

// recover goes on after the logical line that went bad. Where a bracket in it
// is never closed, that is the next line which begins as only statements do.
func (p *parser) recover() {
	own := p.lex.err
	p.bad, p.tok = false, p.failed
	open := 0
	var lost bool
	for {
		if n := len(p.lex.brackets); n > 0 {
			open = int(p.lex.brackets[n-1].at) + 1
		}
		lost = open > 0 && p.beginsLine()
		if lost || p.tok.Kind == Newline || p.tok.Kind == EndMarker {
			break
		}
		p.tok = p.lex.next()
		if p.tok.Kind == Comment {
			p.f.Comments = append(p.f.Comments, Text{p.tok.Start, p.tok.End, p.tok.Line})
		}
	}
	if lost || open > 0 && int(p.tok.Start) >= len(p.f.Text) {
		p.unclosed(uint32(open-1), own)
	}
	switch {
	case lost:
		p.lex.pos, p.lex.fresh, p.lex.brackets = int(p.f.lines[p.tok.Line-1]), true, p.lex.brackets[:0]
		p.advance()
	case p.tok.Kind == Newline:
		p.advance()
	}
}

// beginsLine says whether the token is a keyword that only begins statements,
// at the start of a line.
func (p *parser) beginsLine() bool {
	switch p.tok.Op {
	case kwDef, kwClass, kwImport, kwReturn, kwTry, kwWhile, kwWith, kwRaise, kwPass, kwGlobal:
	default:
		return false
	}
	start := p.f.lines[p.tok.Line-1]
	return len(p.lex.brackets) > 0 && strings.TrimLeft(p.f.Text[start:p.tok.Start], " \t\f") == ""
}

// unclosed makes the bracket that is never closed the error, if it stands
// before what was found.
func (p *parser) unclosed(at uint32, found *SyntaxError) {
	line, column := position(p.f.lines, at)
	if found != nil && (line < found.Line || line == found.Line && column < found.Column) {
		p.lex.err = &SyntaxError{line, column, fmt.Sprintf("'%c' was never closed", p.f.Text[at])}
	}
}

func (p *parser) is(op Op) bool { return p.tok.Op == op }

// accept steps over an operator or keyword, if it is there.
func (p *parser) accept(op Op) bool {
	if p.tok.Op != op {
		return false
	}
	p.advance()
	return true
}

func (p *parser) expect(op Op) {
	if !p.accept(op) {
		p.fail("expected '%s'", op)
	}
}

// enter goes one level deeper; it fails where that is too deep.
func (p *parser) enter() bool {
	if p.depth >= maxDepth {
		p.fail("too deeply nested")
		return false
	}
	p.depth++
	return true
}

func (p *parser) leave() { p.depth-- }

// word is the text of a name token.
func (p *parser) word() string { return p.f.Text[p.tok.Start:p.tok.End] }

func (p *parser) isName() bool { return p.tok.Kind == Name && p.tok.Op == opNone }

// name steps over a name and answers it.
func (p *parser) name(what string) string {
	if !p.isName() {
		p.fail("expected %s", what)
		return ""
	}
	word := p.word()
	p.advance()
	return word
}

// add makes a node that ends where the token before ended.
func (p *parser) add(n node) Expr {
	n.end = max(p.last, n.start)
	p.f.nodes = append(p.f.nodes, n)
	return Expr(len(p.f.nodes) - 1)
}

// list moves the scratch from a mark on to where it stays.
func (p *parser) list(mark int) (first, count int32) {
	first, count = int32(len(p.f.kids)), int32(len(p.kids)-mark)
	p.f.kids = append(p.f.kids, p.kids[mark:]...)
	p.kids = p.kids[:mark]
	return first, count
}

// arguments moves the scratch of arguments to where it stays.
func (p *parser) arguments(mark int) []Arg {
	from := len(p.argArena)
	p.argArena = append(p.argArena, p.args[mark:]...)
	p.args = p.args[:mark]
	return p.argArena[from:len(p.argArena):len(p.argArena)]
}

// begin adds a statement that starts at the token.
func (p *parser) begin(kind StmtKind) int32 {
	i := int32(len(p.f.Stmts))
	p.f.Stmts = append(p.f.Stmts, Stmt{
		Kind: kind, Line: p.tok.Line, EndLine: p.tok.Line, Start: p.tok.Start, End: p.tok.Start,
		Parent: p.stmt, Last: i, Scope: p.scope, first: Expr(len(p.f.nodes)),
	})
	return i
}

// finish closes a statement after its last token.
func (p *parser) finish(i int32) {
	s := &p.f.Stmts[i]
	s.Last = int32(len(p.f.Stmts) - 1)
	s.End = max(p.last, s.Start)
	if s.Last > i {
		s.End = max(p.f.Stmts[s.Last].End, s.Start)
	}
	s.EndLine, _ = position(p.f.lines, s.End)
}

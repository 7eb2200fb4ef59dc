package python

import (
	"fmt"
	"slices"
	"strings"
)

// What a byte can be part of.
const (
	classStart = 1 << iota // begins a name
	classDigit
	classSpace
	classHigh // part of a character beyond ASCII
	classQuote
)

// Limits of nesting, as CPython's tokenizer has them.
const (
	maxBrackets = 200
	maxIndents  = 100
)

var class = classes()

func classes() (table [256]uint8) {
	for c := range 256 {
		switch {
		case c >= 0x80:
			table[c] = classHigh
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_':
			table[c] = classStart
		case c >= '0' && c <= '9':
			table[c] = classDigit
		case c == ' ', c == '\t', c == '\f':
			table[c] = classSpace
		case c == '"', c == '\'':
			table[c] = classQuote
		}
	}
	return table
}

// bracket is one that is open.
type bracket struct {
	op Op
	at uint32
}

// indent is the column of a block: with tabs of eight and with tabs of one,
// so that a mixture whose meaning depends on the tab's width is found.
type indent struct{ column, alternative int }

// A lexer cuts a text into tokens, one at a time.
type lexer struct {
	src      string
	lines    []uint32 // where each line starts
	pos      int
	line     uint32
	fresh    bool // at the start of a logical line
	blank    bool // on a line without a statement
	open     bool // a statement is not ended
	field    bool // within a field of an f-string: no layout
	ended    bool
	dedents  int
	wasted   int // bytes looked at in vain for the end of an f-string
	depth    int // of f-strings within f-strings
	brackets []bracket
	indents  []indent
	err      *SyntaxError
}

func newLexer(src string, lines []uint32) lexer {
	return lexer{src: src, lines: lines, line: 1, fresh: true}
}

// ahead is a copy that can be moved on without moving the lexer.
func (l *lexer) ahead() lexer {
	other := *l
	other.brackets, other.indents = slices.Clone(l.brackets), slices.Clone(l.indents)
	return other
}

// fail keeps the first error.
func (l *lexer) fail(at int, format string, args ...any) {
	if l.err == nil {
		l.err = &SyntaxError{Message: fmt.Sprintf(format, args...)}
		l.err.Line, l.err.Column = position(l.lines, uint32(at))
	}
}

// token makes the token from start to end, and goes there.
func (l *lexer) token(kind Kind, op Op, start, end int) Token {
	l.pos = end
	for int(l.line) < len(l.lines) && int(l.lines[l.line]) <= start {
		l.line++
	}
	return Token{Start: uint32(start), End: uint32(end), Line: l.line, Kind: kind, Op: op}
}

// next is the next token; after the end, EndMarker for ever.
func (l *lexer) next() Token {
	if l.dedents > 0 {
		l.dedents--
		return l.token(Dedent, opNone, l.pos, l.pos)
	}
	if l.fresh {
		if t, ok := l.layout(); ok {
			return t
		}
	}
	for {
		i := l.pos
		for i < len(l.src) && class[l.src[i]] == classSpace {
			i++
		}
		if i >= len(l.src) {
			return l.finish(i)
		}
		switch c := l.src[i]; {
		case class[c]&(classStart|classHigh) != 0:
			l.open = true
			return l.name(i)
		case c == '\n' || c == '\r':
			return l.newline(i)
		case c == '#':
			return l.comment(i)
		case c == '\\':
			if t, ok := l.continuation(i); !ok {
				return t
			}
		default:
			l.open = true
			return l.other(i)
		}
	}
}

// other is a number, a string or an operator.
func (l *lexer) other(i int) Token {
	c := l.src[i]
	switch {
	case class[c] == classDigit, c == '.' && l.at(i+1, classDigit):
		return l.token(Number, opNone, i, numberEnd(l.src, i))
	case class[c] == classQuote:
		return l.str(i, i)
	}
	return l.operator(i)
}

func (l *lexer) at(i int, want uint8) bool { return i < len(l.src) && class[l.src[i]]&want != 0 }

func (l *lexer) byteAt(i int) byte {
	if i < len(l.src) {
		return l.src[i]
	}
	return 0
}

func (l *lexer) newline(i int) Token {
	end := i + 1
	if l.src[i] == '\r' && l.byteAt(end) == '\n' {
		end++
	}
	if len(l.brackets) > 0 || l.field {
		return l.token(NL, opNone, i, end)
	}
	kind := Newline
	if l.blank {
		kind = NL
	}
	l.fresh, l.blank, l.open = true, false, false
	return l.token(kind, opNone, i, end)
}

func (l *lexer) comment(i int) Token {
	end := len(l.src)
	if n := strings.IndexAny(l.src[i:], "\r\n"); n >= 0 {
		end = i + n
	}
	return l.token(Comment, opNone, i, end)
}

// continuation steps over a backslash at the end of a line.
func (l *lexer) continuation(i int) (Token, bool) {
	switch end := i + 1; {
	case l.byteAt(end) == '\r' && l.byteAt(end+1) == '\n':
		l.pos = end + 2
	case l.byteAt(end) == '\n', l.byteAt(end) == '\r':
		l.pos = end + 1
	case end >= len(l.src):
		l.fail(i, "unexpected end of file after a backslash")
		l.pos = end
	default:
		l.fail(end, "unexpected character after the line continuation backslash")
		return l.token(ErrorToken, opNone, i, end), false
	}
	return Token{}, true
}

// layout measures the indentation of a logical line, and answers a token if
// that opens or closes a block.
func (l *lexer) layout() (Token, bool) {
	l.fresh = false
	start, i := l.pos, l.pos
	var at indent
	for ; i < len(l.src) && class[l.src[i]] == classSpace; i++ {
		switch l.src[i] {
		case ' ':
			at.column++
			at.alternative++
		case '\t':
			at.column = (at.column/8 + 1) * 8
			at.alternative++
		default:
			at = indent{}
		}
	}
	if i == len(l.src) {
		return l.finish(start), true
	}
	l.pos = i
	if c := l.src[i]; c == '#' || c == '\n' || c == '\r' {
		l.blank = true
		return Token{}, false
	}
	return l.block(start, i, at)
}

// block opens or closes blocks for a line that is indented like this.
func (l *lexer) block(start, i int, at indent) (Token, bool) {
	var top indent
	if n := len(l.indents); n > 0 {
		top = l.indents[n-1]
	}
	switch {
	case at.column == top.column:
		if at.alternative != top.alternative {
			l.fail(i, "inconsistent use of tabs and spaces in indentation")
		}
		return Token{}, false
	case at.column > top.column:
		if at.alternative <= top.alternative {
			l.fail(i, "inconsistent use of tabs and spaces in indentation")
		}
		if len(l.indents) >= maxIndents {
			return l.stop(i, "too many levels of indentation"), true
		}
		l.indents = append(l.indents, at)
		return l.token(Indent, opNone, start, i), true
	}
	for len(l.indents) > 0 && l.indents[len(l.indents)-1].column > at.column {
		l.indents = l.indents[:len(l.indents)-1]
		l.dedents++
	}
	var outer indent
	if n := len(l.indents); n > 0 {
		outer = l.indents[n-1]
	}
	switch {
	case outer.column != at.column:
		l.fail(i, "unindent does not match any outer indentation level")
	case outer.alternative != at.alternative:
		l.fail(i, "inconsistent use of tabs and spaces in indentation")
	}
	l.dedents--
	return l.token(Dedent, opNone, i, i), true
}

// stop gives the rest of the text up.
func (l *lexer) stop(at int, format string, args ...any) Token {
	l.fail(at, format, args...)
	l.brackets = nil
	return l.token(ErrorToken, opNone, at, len(l.src))
}

// finish ends the last statement and every block, and then the text.
func (l *lexer) finish(at int) Token {
	if l.field {
		return l.token(EndMarker, opNone, len(l.src), len(l.src))
	}
	if n := len(l.brackets); n > 0 {
		l.fail(int(l.brackets[n-1].at), "'%s' was never closed", l.brackets[n-1].op)
		l.brackets = nil
	}
	switch {
	case l.blank:
		l.blank = false
		t := l.token(NL, opNone, at, at)
		l.line = uint32(len(l.lines))
		return t
	case l.open:
		l.open = false
		return l.token(Newline, opNone, at, at)
	}
	if !l.ended && at > 0 && !endsLine(l.src[at-1]) {
		l.line++ // as if the last line were ended
	}
	l.ended = true
	if n := len(l.indents); n > 0 {
		l.indents = nil
		l.dedents = n - 1
		return l.token(Dedent, opNone, at, at)
	}
	return l.token(EndMarker, opNone, at, at)
}

func endsLine(c byte) bool { return c == '\n' || c == '\r' }

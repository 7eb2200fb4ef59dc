// Package python reads Python source without Python: as tokens, as statements
// and expressions, and as the facts that rules look for.
//
// In come the bytes of one file. Out comes a [File]: its statements, scopes,
// imports, functions, classes, calls, assignments, strings, handlers and
// comments in source order, and the first syntax error, if there is one. The
// tokens are those of CPython 3.11's tokenize, position for position; the
// grammar is that of Python 3.14, so that newer syntax is no error.
//
// It never imports, evaluates or opens anything, and it is bounded: time is
// linear in the size, nesting and size have limits, and no input makes it
// panic. After a syntax error the facts of the other lines are still there.
package python

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxSize is the largest file that is read, in bytes.
const MaxSize = 32 << 20

// A SyntaxError is what is wrong with a file: Line counts from 1, Column in
// bytes from 0.
type SyntaxError struct {
	Line, Column uint32
	Message      string
}

// Error is the message after its line.
func (e *SyntaxError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Message) }

// A File is a Python file that was read. Its slices are in source order and
// are not to be changed; a File may be read by several at once.
type File struct {
	Text  string       // the decoded source, without a byte order mark
	Error *SyntaxError // the first syntax error, or nil

	Stmts     []Stmt
	Scopes    []Scope // the first is the module's
	Imports   []Import
	Functions []Function
	Classes   []Class
	Calls     []Call
	Assigns   []Assign
	Strings   []Str
	Handlers  []Handler
	Withs     []With
	Compares  []Compare
	Comments  []Text

	lines   []uint32
	nodes   []node
	kids    []Expr
	aliases map[alias]string
	shadows map[alias]bool
}

// Parse reads a file. It always answers one; what is wrong is in its Error.
func Parse(src []byte) *File {
	text, fault := decode(src)
	f := &File{Text: text, lines: lineStarts(text)}
	p := newParser(f)
	p.module()
	f.Error = p.lex.err
	if fault != nil {
		f.Error = fault
	}
	f.resolve()
	return f
}

// Lex cuts a file into tokens, comments and layout included, up to and with
// the EndMarker. The error is that of decoding or the first of the tokens;
// Text is what the tokens' offsets count in.
func Lex(src []byte) (tokens []Token, text string, err error) {
	text, fault := decode(src)
	lex := newLexer(text, lineStarts(text))
	tokens = make([]Token, 0, len(text)/5+4)
	for {
		t := lex.next()
		tokens = append(tokens, t)
		if t.Kind == EndMarker {
			break
		}
	}
	if fault == nil {
		fault = lex.err
	}
	if fault != nil {
		return tokens, text, fault
	}
	return tokens, text, nil
}

// lineStarts is the offset of each line; a lone carriage return ends a line
// too, as for the compiler.
func lineStarts(text string) []uint32 {
	starts := make([]uint32, 1, strings.Count(text, "\n")+2)
	returns := strings.IndexByte(text, '\r') >= 0
	for at := 0; ; {
		n := nextEnd(text[at:], returns)
		if n < 0 {
			return starts
		}
		at += n + 1
		if text[at-1] == '\r' && at < len(text) && text[at] == '\n' {
			at++
		}
		starts = append(starts, uint32(at))
	}
}

func nextEnd(text string, returns bool) int {
	if returns {
		return strings.IndexAny(text, "\r\n")
	}
	return strings.IndexByte(text, '\n')
}

// position is the line, from 1, and the column in bytes, from 0, of an offset.
func position(lines []uint32, at uint32) (line, column uint32) {
	i, found := slices.BinarySearchFunc(lines, at, cmp.Compare[uint32])
	if !found {
		i--
	}
	return uint32(i + 1), at - lines[i]
}

// Position is the line, from 1, and the column in bytes, from 0, of an offset
// in the text.
func (f *File) Position(offset uint32) (line, column int) {
	l, c := position(f.lines, min(offset, uint32(len(f.Text))))
	return int(l), int(c)
}

// Characters is the column of an offset in characters, from 0.
func (f *File) Characters(offset uint32) int {
	_, column := f.Position(offset)
	return utf8.RuneCountInString(f.Text[int(offset)-column : offset])
}

// Line is the text of a line, counted from 1, without its end.
func (f *File) Line(number int) string {
	if number < 1 || number > len(f.lines) {
		return ""
	}
	end := len(f.Text)
	if number < len(f.lines) {
		end = int(f.lines[number])
	}
	return strings.TrimRight(f.Text[f.lines[number-1]:end], "\r\n")
}

// Lines is how many lines there are, the empty one after the last end included.
func (f *File) Lines() int { return len(f.lines) }

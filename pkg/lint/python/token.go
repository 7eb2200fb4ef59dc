package python

// A Kind says what a token is. The kinds are those of CPython's tokenize.
type Kind uint8

// The kinds of tokens.
const (
	EndMarker Kind = iota
	Name
	Number
	String
	Operator
	Comment
	NL // a line end that ends no statement
	Newline
	Indent
	Dedent
	ErrorToken // a character that cannot stand where it stands
)

var kindNames = [...]string{"ENDMARKER", "NAME", "NUMBER", "STRING", "OP", "COMMENT", "NL", "NEWLINE", "INDENT", "DEDENT", "ERRORTOKEN"}

// String is the kind as CPython's tokenize names it.
func (k Kind) String() string { return kindNames[k] }

// A Token is one token of a file: 16 bytes, and no text of its own.
type Token struct {
	Start, End uint32 // byte offsets in the file's text
	Line       uint32 // the line of Start, from 1
	Kind       Kind
	Op         Op // which operator or keyword it is, or opNone
	flags      uint8
}

// What a token of kind String is.
const (
	strFormat   = 1 << iota // an f-string, or a t-string
	strBytes                // b"…"
	strRaw                  // r"…"
	strTriple               // three quotes
	strTemplate             // t"…"
)

// An Op is an operator, a bracket or a keyword.
type Op uint8

// Operators and brackets, then keywords from the shortest to the longest.
const (
	opNone Op = iota
	opLParen
	opRParen
	opLSquare
	opRSquare
	opLBrace
	opRBrace
	opComma
	opColon
	opSemi
	opDot
	opEllipsis
	opArrow
	opWalrus
	opAt
	opPlus
	opMinus
	opStar
	opDoubleStar
	opSlash
	opDoubleSlash
	opPercent
	opPipe
	opAmper
	opCaret
	opTilde
	opLess
	opGreater
	opLessEqual
	opGreaterEqual
	opEqual
	opNotEqual
	opLShift
	opRShift
	opAssign
	opBang // only within the fields of f-strings
	opAugmented
	kwAs
	kwIf
	kwIn
	kwIs
	kwOr
	kwAnd
	kwDef
	kwDel
	kwFor
	kwNot
	kwTry
	kwNone
	kwTrue
	kwElif
	kwElse
	kwFrom
	kwPass
	kwWith
	kwFalse
	kwAsync
	kwAwait
	kwBreak
	kwClass
	kwRaise
	kwWhile
	kwYield
	kwAssert
	kwExcept
	kwGlobal
	kwImport
	kwLambda
	kwReturn
	kwFinally
	kwContinue
	kwNonlocal
	opNotIn // of comparisons, never of tokens
	opIsNot
)

var opNames = [...]string{
	"", "(", ")", "[", "]", "{", "}", ",", ":", ";", ".", "...", "->", ":=", "@", "+", "-", "*", "**", "/", "//", "%", "|", "&", "^", "~",
	"<", ">", "<=", ">=", "==", "!=", "<<", ">>", "=", "!", "augmented assignment",
	"as", "if", "in", "is", "or", "and", "def", "del", "for", "not", "try", "None", "True", "elif", "else", "from", "pass", "with", "False", "async", "await", "break", "class", "raise", "while", "yield", "assert", "except", "global", "import", "lambda", "return", "finally", "continue", "nonlocal",
	"not in", "is not",
}

// String is the operator as it is written in Python.
func (o Op) String() string { return opNames[o] }

// keyword is the keyword that a name is, or opNone. Keywords of one length are
// neighbours in the lists below, so that few are compared.
func keyword(name string) Op {
	var from, to Op
	switch len(name) {
	case 2:
		from, to = kwAs, kwOr
	case 3:
		from, to = kwAnd, kwTry
	case 4:
		from, to = kwNone, kwWith
	case 5:
		from, to = kwFalse, kwYield
	case 6:
		from, to = kwAssert, kwReturn
	case 7:
		from, to = kwFinally, kwFinally
	case 8:
		from, to = kwContinue, kwNonlocal
	}
	for op := from; op <= to && from != opNone; op++ {
		if opNames[op][0] == name[0] && opNames[op] == name {
			return op
		}
	}
	return opNone
}

package python

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// name is a name or a keyword, or a string whose prefix looks like a name.
func (l *lexer) name(start int) Token {
	i := start
	for i < len(l.src) && class[l.src[i]]&(classStart|classDigit) != 0 {
		i++
	}
	if i < len(l.src) {
		switch c := l.src[i]; {
		case class[c] == classHigh:
			return l.wideName(start, i)
		case class[c] == classQuote && i-start <= 2 && isPrefix(l.src[start:i]):
			return l.str(start, i)
		}
	}
	return l.token(Name, keyword(l.src[start:i]), start, i)
}

// wideName is a name with characters beyond ASCII, from i on.
func (l *lexer) wideName(start, i int) Token {
	for i < len(l.src) {
		r, n := utf8.DecodeRuneInString(l.src[i:])
		if i == start && !startsName(r) || !continuesName(r) {
			break
		}
		i += n
	}
	if i == start {
		r, n := utf8.DecodeRuneInString(l.src[i:])
		l.fail(i, "invalid character %q (U+%04X)", r, r)
		return l.token(ErrorToken, opNone, i, i+n)
	}
	return l.token(Name, opNone, start, i)
}

// startsName and continuesName are XID_Start and XID_Continue of UAX 31.
func startsName(r rune) bool {
	return r == '_' || unicode.IsLetter(r) || unicode.In(r, unicode.Nl, unicode.Other_ID_Start)
}

func continuesName(r rune) bool {
	return startsName(r) || unicode.In(r, unicode.Mn, unicode.Mc, unicode.Nd, unicode.Pc, unicode.Other_ID_Continue)
}

// isPrefix says whether a name before a quote is the prefix of a string.
func isPrefix(s string) bool {
	var sorted [2]byte
	copy(sorted[:], strings.ToLower(s))
	if sorted[0] > sorted[1] {
		sorted[0], sorted[1] = sorted[1], sorted[0]
	}
	switch string(sorted[:]) {
	case "\x00r", "\x00u", "\x00b", "\x00f", "\x00t", "br", "fr", "rt":
		return true
	}
	return false
}

// numberEnd is where the number that begins at i ends; whatever follows it
// directly is another token, as in "1if x".
func numberEnd(src string, i int) int {
	if src[i] == '0' && i+1 < len(src) {
		if end := radixEnd(src, i+2, src[i+1]|0x20); end > i+2 {
			return end
		}
	}
	end := digitsEnd(src, i)
	whole := true
	if end < len(src) && src[end] == '.' {
		whole = false
		end = digitsEnd(src, end+1)
	}
	if exponent := exponentEnd(src, end); exponent > end {
		whole = false
		end = exponent
	}
	if end < len(src) && src[end]|0x20 == 'j' {
		return end + 1
	}
	if whole && src[i] == '0' {
		return zerosEnd(src, i)
	}
	return end
}

// radixEnd is the end of the digits of a hexadecimal, octal or binary number.
func radixEnd(src string, i int, mark byte) int {
	var digits string
	switch mark {
	case 'x':
		digits = "0123456789abcdefABCDEF"
	case 'o':
		digits = "01234567"
	case 'b':
		digits = "01"
	default:
		return i
	}
	for {
		at := i
		if at < len(src) && src[at] == '_' {
			at++
		}
		if at >= len(src) || strings.IndexByte(digits, src[at]) < 0 {
			return i
		}
		i = at + 1
	}
}

// digitsEnd is the end of decimal digits with single underscores between them.
func digitsEnd(src string, i int) int {
	start := i
	for i < len(src) {
		switch {
		case class[src[i]] == classDigit:
			i++
		case src[i] == '_' && i > start && i+1 < len(src) && class[src[i+1]] == classDigit:
			i += 2
		default:
			return i
		}
	}
	return i
}

func exponentEnd(src string, i int) int {
	if i >= len(src) || src[i]|0x20 != 'e' {
		return i
	}
	at := i + 1
	if at < len(src) && (src[at] == '+' || src[at] == '-') {
		at++
	}
	if end := digitsEnd(src, at); end > at {
		return end
	}
	return i
}

// zerosEnd is the end of 0, 00 or 0_0: other digits may not follow a zero.
func zerosEnd(src string, i int) int {
	for i++; i < len(src); i++ {
		if src[i] == '_' && i+1 < len(src) && src[i+1] == '0' {
			i++
		}
		if src[i] != '0' {
			return i
		}
	}
	return i
}

// Operators of one character, with "=" after it, and doubled.
var (
	single = [128]Op{
		'(': opLParen, ')': opRParen, '[': opLSquare, ']': opRSquare, '{': opLBrace, '}': opRBrace, ',': opComma, ':': opColon,
		';': opSemi, '.': opDot, '@': opAt, '+': opPlus, '-': opMinus, '*': opStar, '/': opSlash, '%': opPercent, '|': opPipe,
		'&': opAmper, '^': opCaret, '~': opTilde, '<': opLess, '>': opGreater, '=': opAssign,
	}
	assigning = [128]Op{
		':': opWalrus, '@': opAugmented, '+': opAugmented, '-': opAugmented, '*': opAugmented, '/': opAugmented, '%': opAugmented,
		'|': opAugmented, '&': opAugmented, '^': opAugmented, '<': opLessEqual, '>': opGreaterEqual, '=': opEqual, '!': opNotEqual,
	}
	doubled = [128]Op{'*': opDoubleStar, '/': opDoubleSlash, '<': opLShift, '>': opRShift}
)

func (l *lexer) operator(i int) Token {
	op, length := longest(l.src[i:min(i+3, len(l.src))])
	if l.field && len(l.brackets) == 0 { // where ":" begins a format and "!" a conversion
		switch {
		case op == opWalrus:
			op, length = opColon, 1
		case op == opNone && l.src[i] == '!':
			op = opBang
		}
	}
	switch {
	case op == opNone:
		l.fail(i, "invalid character %q", rune(l.src[i]))
		return l.token(ErrorToken, opNone, i, i+length)
	case op <= opRBrace:
		return l.nest(op, i)
	}
	return l.token(Operator, op, i, i+length)
}

// longest is the longest operator that a text of up to three bytes begins with.
func longest(text string) (Op, int) {
	c := text[0]
	if len(text) == 1 {
		return single[c], 1
	}
	switch d := text[1]; {
	case d == '=' && assigning[c] != opNone:
		return assigning[c], 2
	case d == c && doubled[c] != opNone:
		if len(text) == 3 && text[2] == '=' {
			return opAugmented, 3
		}
		return doubled[c], 2
	case c == '-' && d == '>':
		return opArrow, 2
	case text == "...":
		return opEllipsis, 3
	}
	return single[c], 1
}

// nest keeps the open brackets.
func (l *lexer) nest(op Op, i int) Token {
	switch op {
	case opLParen, opLSquare, opLBrace:
		if len(l.brackets) >= maxBrackets {
			return l.stop(i, "too many nested parentheses")
		}
		l.brackets = append(l.brackets, bracket{op, uint32(i)})
		return l.token(Operator, op, i, i+1)
	}
	n := len(l.brackets)
	switch {
	case n == 0 && l.field && op == opRBrace:
	case n == 0:
		l.fail(i, "unmatched '%s'", op)
	case l.brackets[n-1].op != op-1:
		open := l.brackets[n-1]
		line, _ := position(l.lines, open.at)
		l.fail(i, "closing parenthesis '%s' does not match '%s' on line %d", op, open.op, line)
	}
	l.brackets = l.brackets[:max(n-1, 0)]
	return l.token(Operator, op, i, i+1)
}

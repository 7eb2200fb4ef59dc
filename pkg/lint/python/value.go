package python

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxLiteral is how deep literals lie in each other that are evaluated.
const maxLiteral = 50

// A Pair is an entry of a dict literal. Of `**other` the key is zero.
type Pair struct{ Key, Value Expr }

// Pairs are the entries of a dict literal, in order.
func (f *File) Pairs(e Expr) []Pair {
	if f.Kind(e) != ExprDict {
		return nil
	}
	kids := f.Elements(e)
	pairs := make([]Pair, 0, len(kids)/2)
	for i := 0; i+1 < len(kids); i += 2 {
		pairs = append(pairs, Pair{kids[i], kids[i+1]})
	}
	return pairs
}

// Fields are the expressions in the fields of an f-string.
func (f *File) Fields(s Str) []Expr { return f.kids[s.fields : s.fields+s.count : s.fields+s.count] }

// StringsOf are the literals that a string expression joins.
func (f *File) StringsOf(e Expr) []Str {
	if n := f.nodes[e]; n.kind == ExprString {
		return f.Strings[n.b : n.b+n.c : n.b+n.c]
	}
	return nil
}

// String is the value of a string or bytes literal, neighbours joined. It is
// false for anything else, an f-string with fields too.
func (f *File) String(e Expr) (string, bool) {
	parts := f.StringsOf(e)
	switch len(parts) {
	case 0:
		return "", false
	case 1:
		return f.Value(parts[0]), parts[0].count == 0
	}
	var b strings.Builder
	for _, s := range parts {
		if s.count > 0 {
			return "", false
		}
		b.WriteString(f.Value(s))
	}
	return b.String(), true
}

// Template is the value of a string literal with "{}" for each field of an
// f-string; it is false for anything but strings.
func (f *File) Template(e Expr) (string, bool) {
	parts := f.StringsOf(e)
	if len(parts) == 0 {
		return "", false
	}
	if len(parts) == 1 {
		return f.Value(parts[0]), true
	}
	var b strings.Builder
	for _, s := range parts {
		b.WriteString(f.Value(s))
	}
	return b.String(), true
}

// Value is what one string literal stands for: without prefix and quotes,
// escapes resolved, fields of an f-string as "{}".
func (f *File) Value(s Str) string {
	text := f.Raw(s)
	if s.flags&strFormat != 0 {
		return formatted(text, s.flags)
	}
	if s.flags&strRaw == 0 && strings.IndexByte(text, '\\') >= 0 {
		return unescape(text, s.flags&strBytes != 0)
	}
	return text
}

// Raw is the text of one string literal between its quotes, as it is written.
func (f *File) Raw(s Str) string {
	text := f.Text[s.Start:s.End]
	text = text[strings.IndexAny(text, `"'`):]
	quotes := 1
	if s.flags&strTriple != 0 {
		quotes = 3
	}
	return text[quotes : len(text)-quotes]
}

// formatted is the text of an f-string with "{}" for its fields.
func formatted(text string, flags uint8) string {
	if !strings.ContainsAny(text, `{}\`) {
		return text
	}
	scan := lexer{src: text}
	var b strings.Builder
	for at := 0; at < len(text); {
		switch c := text[at]; {
		case c == '\\':
			end := min(scan.afterBackslash(at, flags), len(text))
			if flags&strRaw != 0 {
				b.WriteString(text[at:end])
			} else {
				b.WriteString(unescape(text[at:end], false))
			}
			at = end
		case (c == '{' || c == '}') && at+1 < len(text) && text[at+1] == c:
			b.WriteByte(c)
			at += 2
		case c == '{':
			b.WriteString("{}")
			at, _ = scan.fieldEnd(at+1, "\x00")
		default:
			b.WriteByte(c)
			at++
		}
	}
	return b.String()
}

// unescape resolves the escapes of a string; unknown ones stay as they are.
func unescape(text string, bytes bool) string {
	var b strings.Builder
	b.Grow(len(text))
	for {
		i := strings.IndexByte(text, '\\')
		if i < 0 || i+1 >= len(text) {
			b.WriteString(text)
			return b.String()
		}
		b.WriteString(text[:i])
		text = text[i+escape(&b, text[i:], bytes):]
	}
}

// escape writes what the escape at the start of text stands for, and answers
// its length.
func escape(b *strings.Builder, text string, bytes bool) int {
	const from, to = `\'"abfnrtv`, "\\'\"\a\b\f\n\r\t\v"
	c := text[1]
	if i := strings.IndexByte(from, c); i >= 0 {
		b.WriteByte(to[i])
		return 2
	}
	switch c {
	case '\n':
		return 2
	case '\r':
		return 1 + escaped(text, 0)
	case '0', '1', '2', '3', '4', '5', '6', '7':
		end := 2
		for end < min(4, len(text)) && text[end] >= '0' && text[end] <= '7' {
			end++
		}
		return number(b, text[1:end], 8, bytes, end)
	}
	if end := 2 + hexDigits(c, bytes); end > 2 && end <= len(text) {
		return number(b, text[2:end], 16, bytes, end)
	}
	b.WriteString(text[:2])
	return 2
}

// hexDigits is how many digits follow \x, \u and \U.
func hexDigits(c byte, bytes bool) int {
	switch {
	case c == 'x':
		return 2
	case c == 'u' && !bytes:
		return 4
	case c == 'U' && !bytes:
		return 8
	}
	return 0
}

// number writes the character, or the byte, of a number; digits that are none
// stay as they are.
func number(b *strings.Builder, digits string, base int, bytes bool, length int) int {
	n, err := strconv.ParseUint(digits, base, 32)
	switch {
	case err != nil:
		b.WriteByte('\\')
		return 1
	case bytes:
		b.WriteByte(byte(n))
	case n <= utf8.MaxRune:
		b.WriteRune(rune(n))
	}
	return length
}

// Int is the value of an integer literal, with a sign or without.
func (f *File) Int(e Expr) (int64, bool) {
	v, ok := f.Literal(e)
	n, integer := v.(int64)
	return n, ok && integer
}

// Float is the value of a number literal, integer or not, with a sign or
// without.
func (f *File) Float(e Expr) (float64, bool) {
	switch v, _ := f.Literal(e); v := v.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

// Constant says whether an expression is the constant: "None", "True",
// "False" or "...".
func (f *File) Constant(e Expr, name string) bool {
	return f.nodes[e].kind == ExprConstant && f.Source(e) == name
}

// Literal is the value of a literal: string (of bytes too), int64, float64,
// bool, nil for None, []any for lists, tuples and sets, and map[string]any for
// dicts whose keys are strings. It is false for anything else.
func (f *File) Literal(e Expr) (any, bool) { return f.literal(e, maxLiteral) }

func (f *File) literal(e Expr, depth int) (any, bool) {
	if e == 0 || depth == 0 {
		return nil, false
	}
	n := f.nodes[e]
	switch n.kind {
	case ExprString:
		return f.String(e)
	case ExprNumber:
		return numeral(f.Source(e))
	case ExprConstant:
		if n.op == kwNone {
			return nil, true
		}
		return n.op == kwTrue, n.op == kwTrue || n.op == kwFalse
	case ExprUnary:
		return f.signed(n, depth)
	case ExprList, ExprTuple, ExprSet:
		return f.literals(f.Elements(e), depth)
	case ExprDict:
		return f.mapping(e, depth)
	}
	return nil, false
}

func (f *File) signed(n node, depth int) (any, bool) {
	v, ok := f.literal(Expr(n.a), depth-1)
	switch v := v.(type) {
	case int64:
		if n.op == opMinus {
			return -v, ok
		}
		return v, ok && n.op == opPlus
	case float64:
		if n.op == opMinus {
			return -v, ok
		}
		return v, ok && n.op == opPlus
	}
	return nil, false
}

func (f *File) literals(elements []Expr, depth int) (any, bool) {
	list := make([]any, 0, len(elements))
	for _, e := range elements {
		v, ok := f.literal(e, depth-1)
		if !ok {
			return nil, false
		}
		list = append(list, v)
	}
	return list, true
}

func (f *File) mapping(e Expr, depth int) (any, bool) {
	values := map[string]any{}
	for _, pair := range f.Pairs(e) {
		key, isString := f.String(pair.Key)
		v, ok := f.literal(pair.Value, depth-1)
		if !isString || !ok {
			return nil, false
		}
		values[key] = v
	}
	return values, true
}

// numeral is the value of a number token; integers that do not fit are floats,
// and imaginary numbers are none.
func numeral(text string) (any, bool) {
	text = strings.ReplaceAll(text, "_", "")
	if strings.HasSuffix(text, "j") || strings.HasSuffix(text, "J") {
		return nil, false
	}
	if n, err := strconv.ParseInt(text, 0, 64); err == nil {
		return n, true
	}
	if strings.Trim(text, "0") == "" {
		return int64(0), true
	}
	x, err := strconv.ParseFloat(text, 64)
	if err != nil && !math.IsInf(x, 0) {
		return nil, false
	}
	return x, true
}

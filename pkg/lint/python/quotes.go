package python

import "strings"

// maxFStrings is how deep f-strings may lie in f-strings.
const maxFStrings = 32

// str is the string whose prefix begins at start and whose quote is at i.
func (l *lexer) str(start, i int) Token {
	flags := prefixFlags(l.src[start:i])
	quote := l.src[i]
	if strings.HasPrefix(l.src[i+1:], twice(quote)) {
		flags |= strTriple
	}
	end, ok := l.stringEnd(i, flags)
	t := l.token(String, opNone, start, end)
	t.flags = flags
	if !ok {
		t.Kind = ErrorToken
		if flags&strTriple != 0 {
			l.fail(start, "unterminated triple-quoted string literal")
		} else {
			l.fail(start, "unterminated string literal")
		}
	}
	return t
}

func twice(quote byte) string {
	if quote == '"' {
		return `""`
	}
	return "''"
}

func prefixFlags(prefix string) (flags uint8) {
	for i := range len(prefix) {
		switch prefix[i] | 0x20 {
		case 'b':
			flags |= strBytes
		case 'r':
			flags |= strRaw
		case 'f':
			flags |= strFormat
		case 't':
			flags |= strFormat | strTemplate
		}
	}
	return flags
}

// stringEnd is where the string ends whose quote is at i. An f-string is read
// with its fields, in which the same quotes may stand (PEP 701); where that
// finds no end it is read as a plain string.
func (l *lexer) stringEnd(i int, flags uint8) (int, bool) {
	if flags&strFormat != 0 && l.wasted <= 2*len(l.src)+1<<16 {
		l.depth++
		end, ok := l.formatEnd(i, flags)
		l.depth--
		if ok {
			return end, true
		}
		l.wasted += end - i
	}
	if flags&strTriple != 0 {
		return tripleEnd(l.src, i)
	}
	return plainEnd(l.src, i)
}

// plainEnd is the end of a string of one line.
func plainEnd(src string, i int) (int, bool) {
	quote := src[i]
	for i++; i < len(src); i++ {
		switch c := src[i]; c {
		case quote:
			return i + 1, true
		case '\\':
			i += escaped(src, i)
		case '\n', '\r':
			return i, false
		}
	}
	return len(src), false
}

func tripleEnd(src string, i int) (int, bool) {
	quote := src[i]
	for i += 3; i < len(src); i++ {
		switch src[i] {
		case quote:
			if i+2 < len(src) && src[i+1] == quote && src[i+2] == quote {
				return i + 3, true
			}
		case '\\':
			i++
		}
	}
	return len(src), false
}

// escaped is how many bytes a backslash takes with it.
func escaped(src string, i int) int {
	if i+2 < len(src) && src[i+1] == '\r' && src[i+2] == '\n' {
		return 2
	}
	return 1
}

// formatEnd is the end of an f-string, or how far it was looked for.
func (l *lexer) formatEnd(i int, flags uint8) (int, bool) {
	if l.depth > maxFStrings {
		return i, false
	}
	open := closing(l.src, i, flags)
	for i += len(open); i < len(l.src); {
		switch c := l.src[i]; {
		case c == open[0] && strings.HasPrefix(l.src[i:], open):
			return i + len(open), true
		case c == '\\':
			i = l.afterBackslash(i, flags)
		case endsLine(c) && flags&strTriple == 0:
			return i, false
		case c == '{':
			if l.byteAt(i+1) == '{' {
				i += 2
				continue
			}
			end, ok := l.fieldEnd(i+1, open)
			if !ok {
				return end, false
			}
			i = end
		default:
			i++
		}
	}
	return len(l.src), false
}

// closing is the quotes that end the string whose quote is at i.
func closing(src string, i int, flags uint8) string {
	if flags&strTriple != 0 {
		return src[i : i+3]
	}
	return src[i : i+1]
}

// afterBackslash steps over an escape; \N{name} is one, but \{ is a backslash
// before a field.
func (l *lexer) afterBackslash(i int, flags uint8) int {
	switch c := l.byteAt(i + 1); {
	case c == '{' || c == '}':
		return i + 1
	case c == 'N' && l.byteAt(i+2) == '{' && flags&strRaw == 0:
		if n := strings.IndexAny(l.src[i:min(len(l.src), i+200)], "}\"'\n"); n > 0 && l.src[i+n] == '}' {
			return i + n + 1
		}
	}
	return i + 1 + escaped(l.src, i)
}

// fieldEnd is where the field ends that begins at i, after its brace.
func (l *lexer) fieldEnd(i int, open string) (int, bool) {
	nested := 0
	for i < len(l.src) {
		switch c := l.src[i]; c {
		case '(', '[', '{':
			nested++
			i++
		case ')', ']':
			nested--
			i++
		case '}':
			i++
			if nested <= 0 {
				return i, true
			}
			nested--
		case ':':
			i++
			if nested == 0 {
				return l.specEnd(i, open)
			}
		case '#':
			i = l.lineEnd(i)
		case '"', '\'':
			end, ok := l.nestedEnd(i)
			if !ok {
				return end, false
			}
			i = end
		default:
			i++
		}
	}
	return i, false
}

func (l *lexer) lineEnd(i int) int {
	if n := strings.IndexAny(l.src[i:], "\r\n"); n >= 0 {
		return i + n
	}
	return len(l.src)
}

// nestedEnd is the end of a string within a field, whose quote is at i.
func (l *lexer) nestedEnd(i int) (int, bool) {
	from := i
	for from > 0 && i-from < 3 && class[l.src[from-1]]&(classStart|classDigit) != 0 {
		from--
	}
	var flags uint8
	if isPrefix(l.src[from:i]) && i-from <= 2 {
		flags = prefixFlags(l.src[from:i])
	}
	if strings.HasPrefix(l.src[i+1:], twice(l.src[i])) {
		flags |= strTriple
	}
	switch {
	case flags&strFormat != 0:
		l.depth++
		defer func() { l.depth-- }()
		return l.formatEnd(i, flags)
	case flags&strTriple != 0:
		return tripleEnd(l.src, i)
	}
	return plainEnd(l.src, i)
}

// specEnd is the end of a field whose format specification begins at i;
// fields may lie in it.
func (l *lexer) specEnd(i int, open string) (int, bool) {
	l.depth++
	defer func() { l.depth-- }()
	for i < len(l.src) {
		switch c := l.src[i]; {
		case c == '}':
			return i + 1, true
		case c == '{' && l.depth <= maxFStrings:
			end, ok := l.fieldEnd(i+1, open)
			if !ok {
				return end, false
			}
			i = end
		case c == open[0] && strings.HasPrefix(l.src[i:], open), endsLine(c) && len(open) == 1:
			return i, false
		default:
			i++
		}
	}
	return i, false
}

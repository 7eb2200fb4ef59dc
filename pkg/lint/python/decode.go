package python

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

const byteOrderMark = "\ufeff"

// decode turns the bytes of a file into text as PEP 263 says: a byte order
// mark is dropped, a coding line is honoured, UTF-8 is the default. When the
// text cannot be read it answers what is wrong, and the text as far as it is
// understood, with U+FFFD for what is not.
func decode(src []byte) (string, *SyntaxError) {
	if n := len(src); n > MaxSize {
		return "", &SyntaxError{Line: 1, Message: fmt.Sprintf("file of %d bytes, more than the %d that are read", n, MaxSize)}
	}
	text, marked := bytes.CutPrefix(src, []byte(byteOrderMark))
	encoding, line := coding(text)
	if marked && encoding != "" && !strings.HasPrefix(encoding, "utf-8") {
		return strings.ToValidUTF8(string(text), "\ufffd"), &SyntaxError{Line: line, Message: "coding line says " + encoding + ", the byte order mark UTF-8"}
	}
	encoding = charsetName(encoding)
	switch encoding {
	case "", "utf-8":
		return decodeUTF8(text)
	case "iso8859-1":
		return decodeBytes(text, ""), nil
	case "ascii":
		return decodeASCII(text)
	}
	if upper := upperHalf(encoding); upper != "" {
		return decodeBytes(text, upper), nil
	}
	if from := wide(encoding); from != nil {
		return decodeWide(text, from), nil
	}
	return strings.ToValidUTF8(string(text), "\ufffd"), &SyntaxError{Line: line, Message: "unknown encoding: " + encoding}
}

func decodeUTF8(src []byte) (string, *SyntaxError) {
	text := string(src)
	if utf8.ValidString(text) {
		return text, nil
	}
	at := 0
	for at < len(text) {
		r, n := utf8.DecodeRuneInString(text[at:])
		if r == utf8.RuneError && n == 1 {
			break
		}
		at += n
	}
	return strings.ToValidUTF8(text, "\ufffd"), &SyntaxError{
		Line: uint32(1 + strings.Count(text[:at], "\n")), Column: uint32(at - 1 - strings.LastIndexByte(text[:at], '\n')),
		Message: fmt.Sprintf("byte 0x%02x is not UTF-8, and no coding line names another encoding", text[at]),
	}
}

func decodeASCII(src []byte) (string, *SyntaxError) {
	for i, c := range src {
		if c >= utf8.RuneSelf {
			return strings.ToValidUTF8(string(src), "\ufffd"), &SyntaxError{
				Line: uint32(1 + bytes.Count(src[:i], []byte("\n"))), Message: fmt.Sprintf("byte 0x%02x is not ASCII, as the coding line says", c),
			}
		}
	}
	return string(src), nil
}

// decodeBytes reads a charset of one byte per character; without a table each
// byte is the character of its number, as in ISO 8859-1.
func decodeBytes(src []byte, upper string) string {
	table := []rune(upper)
	var b strings.Builder
	b.Grow(len(src) + len(src)/8)
	for _, c := range src {
		switch {
		case c < utf8.RuneSelf:
			b.WriteByte(c)
		case len(table) == 0:
			b.WriteRune(rune(c))
		default:
			b.WriteRune(table[c-utf8.RuneSelf])
		}
	}
	return b.String()
}

// coding is the encoding that one of the first two lines names, in lower case
// with dashes, and that line's number.
func coding(src []byte) (string, uint32) {
	for number := uint32(1); number <= 2; number++ {
		line, rest, _ := bytes.Cut(src, []byte("\n"))
		line = bytes.TrimLeft(line[:min(len(line), 1000)], " \t\f")
		if len(bytes.TrimRight(line, "\r")) > 0 && line[0] != '#' {
			return "", 1
		}
		if name := cookie(string(line)); name != "" {
			return strings.ToLower(strings.ReplaceAll(name, "_", "-")), number
		}
		src = rest
	}
	return "", 1
}

// cookie is what follows "coding:" or "coding=" in a comment.
func cookie(line string) string {
	for {
		_, after, found := strings.Cut(line, "coding")
		if !found {
			return ""
		}
		if after != "" && (after[0] == ':' || after[0] == '=') {
			name := strings.TrimLeft(after[1:], " \t")
			end := 0
			for end < len(name) && (wordByte(name[end]) || name[end] == '-' || name[end] == '.') {
				end++
			}
			if end > 0 {
				return name[:end]
			}
		}
		line = after
	}
}

func wordByte(c byte) bool { return class[c]&(classStart|classDigit) != 0 }

// charsetName brings the spellings of a charset's name together. Beside a byte
// order mark CPython takes no other spelling than "utf-8".
func charsetName(name string) string {
	switch name {
	case "utf8", "u8", "utf", "utf-8-sig", "cp65001":
		return "utf-8"
	case "latin-1", "latin1", "l1", "iso-8859-1", "iso8859-1", "8859", "cp819", "iso-latin-1", "latin":
		return "iso8859-1"
	case "us-ascii", "646":
		return "ascii"
	case "latin-2", "latin2", "l2":
		return "iso8859-2"
	case "latin-9", "latin9", "l9":
		return "iso8859-15"
	case "macroman", "macintosh":
		return "mac-roman"
	case "koi8r":
		return "koi8-r"
	}
	if strings.HasPrefix(name, "utf-8-") {
		return "utf-8"
	}
	for _, other := range []struct{ from, to string }{
		{"iso-latin-1-", "iso8859-1"}, {"latin-1-", "iso8859-1"}, {"iso-8859-1-", "iso8859-1"},
	} {
		if strings.HasPrefix(name, other.from) {
			return other.to
		}
	}
	if number, found := strings.CutPrefix(name, "windows-"); found {
		return "cp" + number
	}
	if number, found := strings.CutPrefix(name, "iso-8859-"); found {
		return "iso8859-" + number
	}
	return name
}

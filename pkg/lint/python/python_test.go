package python_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/towline/towline/pkg/lint/python"
)

// snippet is a piece of Python, and whether it is valid: ok, bad, or new,
// which is valid since 3.12.
type snippet struct{ verdict, name, text string }

func snippets(t testing.TB) []snippet {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "syntax.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var list []snippet
	for _, part := range strings.Split("\n"+string(data), "\n== ")[1:] {
		head, text, _ := strings.Cut(part+"\n", "\n")
		verdict, name, _ := strings.Cut(head, ": ")
		list = append(list, snippet{verdict, name, text})
	}
	return list
}

func TestSyntax(t *testing.T) {
	for _, s := range snippets(t) {
		t.Run(s.name, func(t *testing.T) {
			f := python.Parse([]byte(s.text))
			if bad := s.verdict == "bad"; bad != (f.Error != nil) {
				t.Errorf("Parse says %v of code that is %s:\n%s", f.Error, s.verdict, s.text)
			}
			visit(t, f)
		})
	}
}

func TestSyntaxErrorsSayWhereAndWhat(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"a statement of Python 2", "x = 1\nprint 'a'\n", "2:0 missing parentheses in call to 'print', which was a statement in Python 2"},
		{"a bracket that is not closed", "x = foo(1,\ny = 2\ndef f():\n    pass\n", "1:7 '(' was never closed"},
		{"a missing colon", "if x\n    y\n", "1:4 expected ':'"},
		{"a missing block", "while x:\ny\n", "2:0 expected an indented block after 'while' on line 1"},
		{"the wrong bracket", "x = (\n1]\n", "2:1 closing parenthesis ']' does not match '(' on line 1"},
		{"bytes that are no UTF-8", "x = 1\ny = '\xff'\n", "2:5 byte 0xff is not UTF-8, and no coding line names another encoding"},
		{"a NUL", "x = 1\x00\n", "1:5 invalid character '\\x00'"},
		{"too many brackets", strings.Repeat("(", 300), "1:200 too many nested parentheses"},
		{"too many signs", "x = " + strings.Repeat("-", 5000) + "1", "1:1004 too deeply nested"},
		{"a conflict that was committed", "<<<<<<< HEAD\nx = 1\n", "1:0 invalid syntax at '<<'"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := python.Parse([]byte(tt.text))
			got := "nothing"
			if f.Error != nil {
				got = fmt.Sprintf("%d:%d %s", f.Error.Line, f.Error.Column, f.Error.Message)
			}
			if got != tt.want {
				t.Errorf("Parse says %q, want %q", got, tt.want)
			}
			visit(t, f)
		})
	}
}

func TestFactsSurviveAnError(t *testing.T) {
	f := python.Parse([]byte("import os\nx = [1,\ndef f():\n    os.getcwd(\nos.chdir('x'))\nif y\n    os.sync()\n"))
	var names []string
	for _, c := range f.Calls {
		names = append(names, c.Name)
	}
	if want := []string{"os.chdir", "os.getcwd", "os.sync"}; f.Error == nil || !slices.Equal(names, want) {
		t.Errorf("Parse finds the calls %q and the error %v, want %q and an error", names, f.Error, want)
	}
}

func TestDecoding(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"a byte order mark", "\xef\xbb\xbfx = 1", "x = 1"},
		{"Latin-1 by a coding line", "# -*- coding: latin-1 -*-\nx = '\xe9'", "# -*- coding: latin-1 -*-\nx = 'é'"},
		{"the coding line is the second", "#!/usr/bin/python\n# vim: set fileencoding=koi8-r :\nx = '\xc1'", "#!/usr/bin/python\n# vim: set fileencoding=koi8-r :\nx = 'а'"},
		{"UTF-8 by its other name", "# coding=utf8\nx = 'é'", "# coding=utf8\nx = 'é'"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := python.Parse([]byte(tt.text))
			if f.Text != tt.want || f.Error != nil {
				t.Errorf("Parse reads %q, %v, want %q", f.Text, f.Error, tt.want)
			}
		})
	}
	for _, text := range []string{"# coding: klingon\n", "\xef\xbb\xbf# coding: latin-1\n", "x = '\xe9'\n", "# coding: ascii\nx = '\xe9'\n"} {
		if f := python.Parse([]byte(text)); f.Error == nil {
			t.Errorf("Parse(%q) finds nothing wrong", text)
		}
	}
}

func TestNamesAreResolved(t *testing.T) {
	f := python.Parse([]byte(`
import numpy as np
import os.path
from os import path as p, environ
from . import local
from torch.utils import data
import boto3
def f(np, x):
    np.zeros(1)
def g():
    import pandas as pd
    pd.read_csv("x")
    np.ones(2)
class A:
    def m(self):
        p.join("a")
        self.x.y()
os.path.exists("x")
environ.get("HOME")
local.run()
data.DataLoader(1)
boto3.client("s3").upload_file("x")
np.load("x")[0].sum()
(lambda: 1)()
pd.x()
`))
	var got []string
	for _, c := range f.Calls {
		got = append(got, c.Name)
	}
	want := []string{
		"np.zeros", "pandas.read_csv", "numpy.ones", "os.path.join", "self.x.y", "os.path.exists", "os.environ.get", ".local.run",
		"torch.utils.data.DataLoader", "boto3.client", "boto3.client().upload_file", "numpy.load", "numpy.load()[].sum", "", "pd.x",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("names of calls (-want +got):\n%s", diff)
	}
}

func TestLiterals(t *testing.T) {
	f := python.Parse([]byte(`
v(1, -2.5, 1_000, 0x1f, "a\tb\x41\u00e9" 'c', rb"\n", None, True, [1, (2, "x")], {"a": {"b": [None]}}, f"x", f"x{y}z{{}}", -x, 1j, 00, ...)
`))
	want := []any{
		int64(1), -2.5, int64(1000), int64(31), "a\tbAéc", `\n`, nil, true, []any{int64(1), []any{int64(2), "x"}},
		map[string]any{"a": map[string]any{"b": []any{nil}}}, "x", "?", "?", "?", int64(0), "?",
	}
	var got []any
	for _, a := range f.Calls[0].Args {
		v, ok := f.Literal(a.Value)
		if !ok {
			v = "?"
		}
		got = append(got, v)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("literals (-want +got):\n%s", diff)
	}
	if text, _ := f.Template(f.Calls[0].Pos(11)); text != "x{}z{}" {
		t.Errorf("Template = %q, want x{}z{}", text)
	}
}

func TestStatementsAreNested(t *testing.T) {
	f := python.Parse([]byte(`import a
try:
    import b
except ImportError:
    b = None
if TYPE_CHECKING:
    import c
class K(Base, metaclass=M):
    @deco
    async def m(self, x, /, y=1, *z, k, **w):
        import d
        return x
if __name__ == "__main__":
    main()
`))
	var got []string
	for _, im := range f.Imports {
		got = append(got, fmt.Sprintf("%s try=%v checking=%v function=%v", im.Target(), im.InTry, im.TypeChecking, im.InFunction))
	}
	want := []string{
		"a try=false checking=false function=false", "b try=true checking=false function=false",
		"c try=false checking=true function=false", "d try=false checking=false function=true",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("imports (-want +got):\n%s", diff)
	}
	fn := f.Functions[0]
	var params []string
	for _, p := range fn.Params {
		params = append(params, fmt.Sprint(p.Name, p.Kind))
	}
	if want := "self1 x1 y0 z3 k2 w4"; strings.Join(params, " ") != want || !fn.Async || f.Scopes[fn.Body].Name != "K.m" {
		t.Errorf("function %v async %v in %s, want %s", params, fn.Async, f.Scopes[fn.Body].Name, want)
	}
	class := f.Stmts[f.Classes[0].Stmt]
	if class.Line != 8 || class.EndLine != 12 || f.Classes[0].Bases[1].Name != "metaclass" {
		t.Errorf("class from line %d to %d with bases %v, want 8 to 12", class.Line, class.EndLine, f.Classes[0].Bases)
	}
	guard := f.MainGuard()
	if guard < 0 || f.Stmts[guard].Line != 13 || len(f.CallsIn(guard)) != 1 || len(f.Body(-1)) != 5 {
		t.Errorf("the guard is statement %d with %d calls, of %d at the top", guard, len(f.CallsIn(guard)), len(f.Body(-1)))
	}
}

// TestHostileInputIsReadInLinearTime gives much time to each: what is feared
// would take hours.
func TestHostileInputIsReadInLinearTime(t *testing.T) {
	const size = 1 << 20
	for name, unit := range map[string]string{
		"open brackets": "(", "open f-strings": `f"{`, "f-string quotes": `f"{f'{`, "unary": "-", "nots": "not ", "lambdas": "lambda:",
		"conditions": "1 if 1 else ", "powers": "2**", "attributes": "a.", "calls": "a().", "subscripts": "a[0].", "backslashes": "\\\n", "matches": "match ", "specs": `f"{x:{x:`,
		"strings": "'a' ", "quotes": `"`, "with": "with (", "decorators": "@a\n", "elifs": "if a:\n b\nelif c:\n d\n", "semicolons": "a;", "chains": "a=",
		"comparisons": "a<", "stars": "*", "NULs": "\x00", "lone CR": "a\r", "non-UTF-8": "\xff", "one long line": "a + ", "triples": "'''", "deep lists": "[1,", "braces": "{",
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			visit(t, python.Parse([]byte(strings.Repeat(unit, size/len(unit)))))
			if took := time.Since(start); took > 30*time.Second {
				t.Errorf("1 MiB of %q took %v", unit, took)
			}
		})
	}
	deep := strings.Builder{}
	for i := range 1000 {
		deep.WriteString(strings.Repeat(" ", i) + "if x:\n")
	}
	if f := python.Parse([]byte(deep.String())); f.Error == nil || !strings.Contains(f.Error.Message, "indentation") {
		t.Errorf("a thousand blocks: %v, want too many levels", f.Error)
	}
	if f := python.Parse(make([]byte, python.MaxSize+1)); f.Error == nil || len(f.Stmts) > 1 {
		t.Errorf("a file beyond the limit: %v", f.Error)
	}
}

// visit asks a file everything that rules may ask, and checks what must hold.
func visit(t *testing.T, f *python.File) {
	t.Helper()
	for i, s := range f.Stmts {
		if int(s.Parent) >= i || int(s.Last) < i || int(s.Last) >= len(f.Stmts) || s.Start > s.End || int(s.End) > len(f.Text) {
			t.Fatalf("statement %d: %+v", i, s)
		}
		if s.Parent >= 0 && f.Stmts[s.Parent].Last < s.Last {
			t.Fatalf("statement %d reaches beyond its parent: %+v", i, s)
		}
	}
	for kind := python.ExprName; kind <= python.ExprSlice; kind++ {
		n := 0
		for e := range f.All(kind) {
			if n++; n > 3000 {
				break
			}
			if f.Left(e) >= e || f.Right(e) >= e || f.Third(e) >= e {
				t.Fatalf("expression %d has parts %d, %d, %d", e, f.Left(e), f.Right(e), f.Third(e))
			}
			f.LineOf(e)
			f.Op(e)
			f.Attr(e)
			f.StmtOf(e)
			if n <= 300 {
				f.Source(e)
				f.Name(e)
				f.Literal(e)
				f.Template(e)
			}
			f.Pairs(e)
			f.CallOf(e)
		}
	}
	for _, s := range f.Strings {
		f.Value(s)
		f.Fields(s)
	}
	for _, c := range f.Comments {
		f.Characters(c.Start)
	}
	if f.MainGuard() >= 0 {
		f.Body(f.MainGuard())
	}
}

func FuzzLex(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, src []byte) {
		tokens, text, err := python.Lex(src)
		at := uint32(0)
		for i, token := range tokens {
			if token.Start < at && token.Kind != python.EndMarker && token.Kind != python.Dedent || token.End < token.Start || int(token.End) > len(text) {
				t.Fatalf("token %d of %q: %+v after %d", i, src, token, at)
			}
			if skipped := text[min(at, token.Start):token.Start]; err == nil && strings.Trim(skipped, " \t\f\\\r\n") != "" {
				t.Fatalf("%q is in no token of %q", skipped, src)
			}
			at = token.End
		}
		if n := len(tokens); n == 0 || tokens[n-1].Kind != python.EndMarker {
			t.Fatalf("the tokens of %q have no end", src)
		}
	})
}

func FuzzParse(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, src []byte) { visit(t, python.Parse(src)) })
}

func seeds(f *testing.F) {
	for _, s := range snippets(f) {
		f.Add([]byte(s.text))
	}
	f.Add([]byte("# coding: latin-1\r\nx = '\xe9'\r"))
}

// BenchmarkParse reads the valid snippets again and again, 1 MiB in all.
func BenchmarkParse(b *testing.B) {
	var one bytes.Buffer
	for _, s := range snippets(b) {
		if s.verdict == "ok" {
			one.WriteString(s.text)
		}
	}
	src := bytes.Repeat(one.Bytes(), 1<<20/one.Len()+1)
	if f := python.Parse(src); f.Error != nil {
		b.Fatal(f.Error)
	}
	b.Run("parse", func(b *testing.B) {
		b.SetBytes(int64(len(src)))
		b.ReportAllocs()
		for b.Loop() {
			python.Parse(src)
		}
	})
	b.Run("lex", func(b *testing.B) {
		b.SetBytes(int64(len(src)))
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := python.Lex(src); err != nil {
				b.Fatal(err)
			}
		}
	})
}

package lint

import (
	"strconv"
	"strings"
	"sync"

	"gitlab.com/towline/towline/pkg/lint/python"
)

func newerSyntax() Rule {
	files := func(minor string) map[string]string {
		return map[string]string{
			"towline.yaml": jobManifest("", "    image: {python: \""+minor+"\"}\n"),
			"train.py":     "import os\n\n\ndef rows(path: str | None):\n    return path\n\n\nprint(rows(os.environ[\"SM_MODEL_DIR\"]))\n",
		}
	}
	return Rule{
		ID: "TL509", Name: "newer-syntax", Severity: Critical,
		Looks:  "syntax and standard modules that the Python of image.python does not have yet, or no longer",
		Why:    "str | None in an annotation ended with TypeError: unsupported operand type(s) for | on Python 3.9, in sglang (sgl-project/sglang#940) and mpi-sppy (Pyomo/mpi-sppy#612)",
		Advice: "raise image.python, or write it as the older Python has it",
		Bad:    Example{Files: files("3.9"), At: "train.py:4"},
		Good:   Example{Files: files("3.11")},
		Model: func(m *Model, r *Report) {
			minor, err := strconv.Atoi(strings.TrimPrefix(m.Image.Python, "3."))
			if err != nil {
				return
			}
			for _, f := range m.runs() {
				c := code{f.Python(), f}
				c.newer(minor, r)
				c.moved(minor, r)
			}
		},
	}
}

// newer reports syntax that came after Python 3.minor.
func (c code) newer(minor int, r *Report) {
	report := func(since int, start uint32, what string) {
		if minor < since {
			c.found(r, start, "%s came with Python 3.%d, and the image has 3.%d", what, since, minor)
		}
	}
	for _, s := range c.Stmts {
		switch s.Kind {
		case python.StmtMatch:
			report(10, s.Start, "match")
		case python.StmtTypeAlias:
			report(12, s.Start, "type")
		}
	}
	for _, h := range c.Handlers {
		if h.Group {
			report(11, c.Stmts[h.Stmt].Start, "except*")
		}
	}
	for _, im := range c.Imports {
		if im.Module == "__future__" && im.Name == "annotations" {
			return
		}
	}
	for _, fn := range c.Functions {
		for _, p := range fn.Params {
			if c.union(p.Annotation) {
				report(10, c.Extent(p.Annotation).Start, "| between types")
			}
		}
		if c.union(fn.Returns) {
			report(10, c.Extent(fn.Returns).Start, "| between types")
		}
	}
}

// union says whether an annotation joins types by |.
func (c code) union(e python.Expr) bool {
	return e != 0 && c.Kind(e) == python.ExprBinary && c.Op(e) == "|"
}

// moved reports imports of standard modules that Python 3.minor does not have.
func (c code) moved(minor int, r *Report) {
	for _, im := range c.Imports {
		root := python.Root(im.Module)
		if im.Level > 0 || im.InTry || c.guarded(im.Stmt) {
			continue
		}
		if since, ok := modulesSince[root]; ok && minor < since {
			c.found(r, im.Start, "the module %s came with Python 3.%d, and the image has 3.%d", root, since, minor)
		}
		if gone, ok := modulesGone[root]; ok && minor >= gone && !c.imports("setuptools") {
			c.found(r, im.Start, "the module %s is gone since Python 3.%d, and the image has 3.%d", root, gone, minor)
		}
	}
}

var modulesSince = map[string]int{"graphlib": 9, "zoneinfo": 9, "tomllib": 11}

var modulesGone = map[string]int{
	"distutils": 12, "imp": 12, "asynchat": 12, "asyncore": 12, "smtpd": 12,
	"cgi": 13, "cgitb": 13, "crypt": 13, "imghdr": 13, "sndhdr": 13, "pipes": 13, "telnetlib": 13, "nntplib": 13, "audioop": 13, "uu": 13, "xdrlib": 13, "lib2to3": 13,
}

const standardModules = `__future__ __main__ _thread abc aifc argparse array ast asynchat asyncio asyncore atexit audioop base64 bdb binascii bisect builtins bz2 calendar cgi cgitb
chunk cmath cmd code codecs codeop collections colorsys compileall compression concurrent configparser contextlib contextvars copy copyreg cProfile crypt csv ctypes curses dataclasses datetime
dbm decimal difflib dis distutils doctest email encodings ensurepip enum errno faulthandler fcntl filecmp fileinput fnmatch fractions ftplib functools gc getopt getpass gettext glob graphlib grp
gzip hashlib heapq hmac html http idlelib imaplib imghdr imp importlib inspect io ipaddress itertools json keyword lib2to3 linecache locale logging lzma mailbox mailcap marshal math mimetypes mmap
modulefinder multiprocessing netrc nis nntplib ntpath numbers operator optparse os ossaudiodev pathlib pdb pickle pickletools pipes pkgutil platform plistlib poplib posix posixpath pprint profile
pstats pty pwd py_compile pyclbr pydoc queue quopri random re readline reprlib resource rlcompleter runpy sched secrets select selectors shelve shlex shutil signal site smtpd smtplib sndhdr socket
socketserver spwd sqlite3 ssl stat statistics string stringprep struct subprocess sunau symtable sys sysconfig syslog tabnanny tarfile telnetlib tempfile termios test textwrap this threading time
timeit tkinter token tokenize tomllib trace traceback tracemalloc tty turtle turtledemo types typing unicodedata unittest urllib uu uuid venv warnings wave weakref webbrowser wsgiref xdrlib xml
xmlrpc zipapp zipfile zipimport zlib zoneinfo annotationlib string`

var standardSet = sync.OnceValue(func() map[string]bool {
	set := map[string]bool{}
	for _, name := range strings.Fields(standardModules) {
		set[name] = true
	}
	return set
})

// standard says whether a module is one of Python's standard library.
func standard(root string) bool { return standardSet()[root] }

package python

// A Text is a stretch of the source: offsets in bytes, and its first line.
type Text struct {
	Start, End uint32
	Line       uint32
}

// A StmtKind says what a statement is. The clauses of compound statements
// (elif, else, except, finally, case) are statements of their own whose
// parent is the statement they belong to.
type StmtKind uint8

// The kinds of statements, and what their Expr and Value are.
const (
	StmtBad         StmtKind = iota // could not be read
	StmtExpr                        // Expr
	StmtAssign                      // Expr is the first target, Value the value
	StmtAugAssign                   // likewise
	StmtAnnAssign                   // likewise; Value may be zero
	StmtReturn                      // Expr may be zero
	StmtRaise                       // Expr may be zero; Value is the cause
	StmtPass                        //
	StmtBreak                       //
	StmtContinue                    //
	StmtGlobal                      //
	StmtNonlocal                    //
	StmtDelete                      // Expr
	StmtAssert                      // Expr, Value is the message
	StmtImport                      // see File.Imports
	StmtFromImport                  // see File.Imports
	StmtTypeAlias                   // Expr is the name, Value the type
	StmtIf                          // Expr
	StmtElif                        // Expr
	StmtElse                        // of if, for, while and try
	StmtFor                         // Expr is the target, Value the iterable
	StmtWhile                       // Expr
	StmtTry                         //
	StmtExcept                      // Expr is the type, or zero; see File.Handlers
	StmtFinally                     //
	StmtWith                        // see File.Withs
	StmtFunctionDef                 // see File.Functions
	StmtClassDef                    // see File.Classes
	StmtMatch                       // Expr
	StmtCase                        // Expr is the pattern, Value the guard
)

// A Stmt is a statement. The statements of its body follow it, up to Last.
type Stmt struct {
	Kind        StmtKind
	Async       bool
	Line        uint32 // its first line: of its decorators, if it has some
	EndLine     uint32 // its last line, its body included
	Start, End  uint32 // offsets
	Parent      int32  // index of the statement around it, or -1
	Last        int32  // index of the last statement of its body, or its own
	Scope       int32  // index of the scope it stands in
	Expr, Value Expr
	first       Expr // nodes from here on are its own, or its body's
}

// A ScopeKind says what a scope belongs to.
type ScopeKind uint8

// The kinds of scopes.
const (
	ModuleScope ScopeKind = iota
	FunctionScope
	ClassScope
)

// A Scope is a module, a function's body or a class's body.
type Scope struct {
	Kind   ScopeKind
	Name   string // dotted: Class.method
	Parent int32  // index of the scope around it; -1 of the module's
	Stmt   int32  // index of the def or class; -1 of the module's
}

// An Import is one name that an import statement binds: `import a.b as c` is
// {Module: a.b, As: c}, `from .x import y` is {Module: x, Name: y, Level: 1}.
type Import struct {
	Module string
	Name   string // of from-imports; "*" takes all
	As     string // the name after "as", or ""
	Level  int    // leading dots
	Line   uint32
	Start  uint32
	Stmt   int32
	Scope  int32
	// Where it stands: under a try, under `if TYPE_CHECKING`, in a function.
	InTry, TypeChecking, InFunction bool
}

// Target is what is imported, absolute or with leading dots: os.path.
func (i Import) Target() string {
	dots := "................"[:min(i.Level, 16)]
	switch {
	case i.Name == "" || i.Name == "*":
		return dots + i.Module
	case i.Module == "":
		return dots + i.Name
	}
	return dots + i.Module + "." + i.Name
}

// Bound is the name that the import binds in its scope, "" for a star.
func (i Import) Bound() string {
	switch {
	case i.As != "":
		return i.As
	case i.Name == "*":
		return ""
	case i.Name != "":
		return i.Name
	}
	return Root(i.Module)
}

// A ParamKind says how a parameter takes its argument.
type ParamKind uint8

// The kinds of parameters.
const (
	Positional     ParamKind = iota // by position or name
	PositionalOnly                  // before a "/"
	KeywordOnly                     // after a "*"
	VarPositional                   // *args
	VarKeyword                      // **kwargs
)

// A Param is a parameter of a function.
type Param struct {
	Name       string
	Kind       ParamKind
	Default    Expr // or zero
	Annotation Expr // or zero
}

// A Function is a def.
type Function struct {
	Name       string
	Params     []Param
	Decorators []Expr
	Returns    Expr // the annotation, or zero
	Async      bool
	Line       uint32 // of "def"
	Start      uint32 // of the name
	Stmt       int32
	Body       int32 // index of its own scope
	Scope      int32 // index of the scope it stands in
}

// A Class is a class.
type Class struct {
	Name       string
	Bases      []Arg // and keywords, such as metaclass=
	Decorators []Expr
	Line       uint32
	Start      uint32 // of the name
	Stmt       int32
	Body       int32 // index of its own scope
	Scope      int32
}

// An Arg is an argument of a call. Name is "" for one by position, "*" and
// "**" for those that are unpacked.
type Arg struct {
	Name  string
	Value Expr
}

// A Call is a call. Name is what is called, aliases resolved: after `import
// numpy as np`, `np.random.seed(1)` has the name numpy.random.seed. A call in
// the chain is "()", a subscript "[]": boto3.client().upload_file. It is "" if
// the chain begins with something else than a name.
type Call struct {
	Name  string
	Args  []Arg
	Expr  Expr // the call
	Func  Expr // what is called
	Stmt  int32
	Scope int32
	Line  uint32
	Start uint32
}

// Arg is the argument of that keyword, or zero.
func (c Call) Arg(keyword string) Expr {
	for _, a := range c.Args {
		if a.Name == keyword {
			return a.Value
		}
	}
	return 0
}

// Pos is the argument at a position, from 0, or zero; there is none after an
// unpacked one.
func (c Call) Pos(i int) Expr {
	for n, a := range c.Args {
		if a.Name != "" {
			return 0
		}
		if n == i {
			return a.Value
		}
	}
	return 0
}

// Either is the argument of that keyword, or else the one at that position.
func (c Call) Either(i int, keyword string) Expr {
	if e := c.Arg(keyword); e != 0 {
		return e
	}
	return c.Pos(i)
}

// Unpacks says whether the call has * or ** arguments, so that an argument
// that is not seen may still be given.
func (c Call) Unpacks() bool { return c.Arg("*") != 0 || c.Arg("**") != 0 }

// An Assign binds a value: one per target of an assignment, with the whole
// value also where several names are unpacked from it.
type Assign struct {
	Name   string // the target, dotted; "" if it is no chain of names
	Target Expr
	Value  Expr // zero for an annotation alone
	Kind   StmtKind
	Unpack bool // one of several targets of one value
	Stmt   int32
	Scope  int32
	Line   uint32
	Start  uint32
}

// A Str is one string literal; neighbours that are joined are one each.
type Str struct {
	Start, End uint32
	Line       uint32
	Expr       Expr // the whole literal
	Stmt       int32
	Doc        bool // a statement of its own: a docstring, or as good as one
	flags      uint8
	fields     int32 // of an f-string, in kids
	count      int32
}

// Format says whether it is an f-string.
func (s Str) Format() bool { return s.flags&strFormat != 0 }

// Bytes says whether it is a bytes literal.
func (s Str) Bytes() bool { return s.flags&strBytes != 0 }

// A Handler is an except clause. Its body is the body of its statement.
type Handler struct {
	Type  Expr   // zero for a bare except
	As    string // or ""
	Group bool   // except*
	Stmt  int32
	Line  uint32
}

// A With is one item of a with statement.
type With struct {
	Context Expr
	As      Expr // or zero
	Stmt    int32
}

// A Compare is one comparison; a chain is several. Op is as in Python: "==",
// "is not".
type Compare struct {
	Op          string
	Left, Right Expr
	Expr        Expr
	Stmt        int32
	Line        uint32
}

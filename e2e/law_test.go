package e2e_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const (
	house        = "gitlab.com/towline/towline/"
	longestFile  = 500 // lines
	generatedTag = "// Code generated "
)

// banned are packages that a pure room does not import.
var banned = []string{
	"os", "os/exec", "os/signal", "os/user", "syscall", "io/ioutil",
	"net", "net/http", "log", "log/slog", "math/rand", "math/rand/v2", "crypto/rand",
}

// heavy are packages that make the linker keep every method of every library.
var heavy = []string{"text/template", "html/template"}

// clocks are the functions of package time that a pure room does not name.
var clocks = []string{
	"Now", "Sleep", "After", "AfterFunc", "NewTicker", "NewTimer", "Since", "Tick", "Until",
}

// worldly are names that only the hall and the programs use: the process's
// environment, streams, context, signals and logger.
var worldly = map[string][]string{
	"os": {
		"Getenv", "LookupEnv", "Environ", "ExpandEnv", "Setenv", "Unsetenv", "Clearenv",
		"Stdin", "Stdout", "Stderr", "Args", "Chdir",
	},
	"context": {"Background", "TODO"},
	"os/signal": {
		"Notify", "NotifyContext", "Ignore", "Ignored", "Reset", "Stop",
	},
	"log/slog": {"SetDefault", "Default", "SetLogLoggerLevel", "Debug", "Info", "Warn", "Error", "Log"},
	"fmt":      {"Print", "Printf", "Println", "Scan", "Scanf", "Scanln"},
	"log": {
		"Print", "Printf", "Println", "Fatal", "Fatalf", "Fatalln", "Panic", "Panicf", "Panicln",
		"Default", "SetOutput", "SetFlags", "SetPrefix",
	},
}

// exits end the process. Only package main does that.
var exits = map[string][]string{"os": {"Exit"}, "syscall": {"Exit"}, "runtime": {"Goexit"}}

// bags are names of packages that say nothing of what is in them.
var bags = []string{"util", "utils", "common", "types", "helper", "helpers", "misc", "base", "lib", "shared"}

// source is one Go file of the house.
type source struct {
	name  string // path from the root, slash-separated
	room  string // its folder
	test  bool
	lines int
	files *token.FileSet
	tree  *ast.File
	names map[string]string // imported packages: the name in this file → path
}

func parse(name, text string) (source, error) {
	s := source{
		name: name, room: path.Dir(name), test: strings.HasSuffix(name, "_test.go"),
		lines: strings.Count(text, "\n"), files: token.NewFileSet(), names: map[string]string{},
	}
	var err error
	s.tree, err = parser.ParseFile(s.files, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return source{}, err
	}
	for _, spec := range s.tree.Imports {
		imported := importPath(spec)
		s.names[localName(spec, imported)] = imported
	}
	return s, nil
}

func importPath(spec *ast.ImportSpec) string {
	imported, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		return spec.Path.Value
	}
	return imported
}

var majorVersion = regexp.MustCompile(`^v[0-9]+$`)

func localName(spec *ast.ImportSpec, imported string) string {
	if spec.Name != nil {
		return spec.Name.Name
	}
	base := path.Base(imported)
	if majorVersion.MatchString(base) {
		return path.Base(path.Dir(imported))
	}
	return base
}

// breaches lists what a file does against the law, as file:line: reason.
func breaches(s source) []string {
	found := append(size(s), skips(s)...)
	if s.test || roomOf(s.room).floor == floorTests {
		return found
	}
	if !listed(s.room) {
		return append(found, s.name+": room "+s.room+" is not listed in e2e/imports_test.go")
	}
	found = append(found, naming(s)...)
	found = append(found, imports(s)...)
	if roomOf(s.room).floor == floorFakes {
		return found
	}
	return append(found, uses(s)...)
}

func (s source) at(node ast.Node, format string, args ...any) string {
	return fmt.Sprintf("%s:%d: %s", s.name, s.files.Position(node.Pos()).Line, fmt.Sprintf(format, args...))
}

// listed says whether a folder is entered as a room.
func listed(folder string) bool {
	_, inHouse := rooms[folder]
	_, inCloud := localFloors[folder]
	return inHouse || inCloud || isFake(folder)
}

func roomOf(folder string) room {
	if _, ok := localFloors[folder]; ok {
		return room{floor: floorCloud}
	}
	if isFake(folder) {
		return room{floor: floorFakes}
	}
	if within(folder, "e2e") || within(folder, "bench") {
		return room{floor: floorTests}
	}
	return rooms[folder]
}

func isFake(folder string) bool {
	return strings.HasPrefix(folder, "pkg/internal/") || strings.HasPrefix(folder, "internal/")
}

func size(s source) []string {
	for _, group := range s.tree.Comments {
		if strings.HasPrefix(group.List[0].Text, generatedTag) {
			return nil
		}
	}
	if s.lines > longestFile {
		return []string{fmt.Sprintf("%s: %d lines, at most %d", s.name, s.lines, longestFile)}
	}
	return nil
}

// skips finds tests that leave themselves out: what is not run proves nothing.
func skips(s source) []string {
	var found []string
	ast.Inspect(s.tree, func(node ast.Node) bool {
		selector, ok := node.(*ast.SelectorExpr)
		if s.test && ok && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, selector.Sel.Name) {
			found = append(found, s.at(node, "a test that skips itself"))
		}
		return true
	})
	return found
}

func naming(s source) []string {
	var found []string
	if slices.Contains(bags, s.tree.Name.Name) {
		found = append(found, s.at(s.tree, "package name %s says nothing", s.tree.Name.Name))
	}
	for _, decl := range s.tree.Decls {
		function, ok := decl.(*ast.FuncDecl)
		if ok && function.Recv == nil && function.Name.Name == "init" {
			found = append(found, s.at(function, "function init runs before main"))
		}
	}
	return found
}

func imports(s source) []string {
	var found []string
	here := roomOf(s.room)
	for _, spec := range s.tree.Imports {
		imported := importPath(spec)
		if spec.Name != nil && spec.Name.Name == "." {
			found = append(found, s.at(spec, "dot import of %s hides where names come from", imported))
		}
		if here.pure && slices.Contains(banned, imported) && !slices.Contains(here.uses, imported) {
			found = append(found, s.at(spec, "pure room imports %s", imported))
		}
		if here.floor != floorTests && slices.Contains(heavy, imported) {
			found = append(found, s.at(spec, "%s doubles the size of the program", imported))
		}
		if reason := wrongRoom(s.room, imported); reason != "" {
			found = append(found, s.at(spec, "%s", reason))
		}
		if reason := wrongHome(s.room, imported); reason != "" {
			found = append(found, s.at(spec, "%s", reason))
		}
	}
	return found
}

// wrongRoom says why one room may not import another.
func wrongRoom(from, imported string) string {
	to, ok := strings.CutPrefix(imported, house)
	if !ok {
		return ""
	}
	there, here := roomOf(to), roomOf(from)
	switch {
	case !listed(to):
		return "imports " + to + ", which is not listed in e2e/imports_test.go"
	case here.floor == floorCloud && there.floor == floorCloud:
		return wrongCloudFloor(from, to)
	case here.floor == floorCloud && there.floor > floorGround:
		return "the local cloud imports " + to + ", which is not of the ground"
	case there.floor == floorCloud && here.floor < floorHall:
		return "imports " + to + ": only the hall and tests use the local cloud"
	case there.floor == floorFakes && here.floor != floorFakes:
		return "imports " + to + ": fakes are for tests"
	case there.floor >= here.floor:
		return "imports " + to + ", which is not on a lower floor"
	}
	return ""
}

func wrongCloudFloor(from, to string) string {
	if localFloors[to] >= localFloors[from] {
		return "imports " + to + ", which is not on a lower floor of the local cloud"
	}
	return ""
}

// wrongHome says why a room may not import a library. The longest entry that
// fits decides.
func wrongHome(from, imported string) string {
	first, _, _ := strings.Cut(imported, "/")
	if !strings.Contains(first, ".") || strings.HasPrefix(imported, house) {
		return ""
	}
	best := ""
	for library := range homes {
		if within(imported, library) && len(library) > len(best) {
			best = library
		}
	}
	if best == "" {
		return "imports " + imported + ", a library without a home in e2e/imports_test.go"
	}
	if slices.ContainsFunc(homes[best], func(home string) bool { return within(from, home) }) {
		return ""
	}
	return "imports " + imported + ", whose home is " + strings.Join(homes[best], ", ")
}

// within says whether a path is a folder or lies below it.
func within(name, folder string) bool {
	folder = strings.TrimSuffix(folder, "/")
	return name == folder || strings.HasPrefix(name, folder+"/")
}

// uses finds names of other packages that have no place in the room.
func uses(s source) []string {
	var found []string
	here := roomOf(s.room)
	ast.Inspect(s.tree, func(node ast.Node) bool {
		if call, ok := node.(*ast.CallExpr); ok {
			found = append(found, calls(s, here, call)...)
		}
		selector, ok := node.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		imported, name := s.named(selector)
		switch {
		case slices.Contains(exits[imported], name) && here.floor != floorMain:
			found = append(found, s.at(node, "%s.%s outside main", imported, name))
		case slices.Contains(worldly[imported], name) && here.floor < floorHall:
			found = append(found, s.at(node, "%s.%s outside the hall", imported, name))
		case here.pure && imported == "time" && slices.Contains(clocks, name):
			found = append(found, s.at(node, "pure room uses time.%s", name))
		}
		return true
	})
	return found
}

// calls finds calls, rather than names, that have no place in the room.
func calls(s source, here room, call *ast.CallExpr) []string {
	if here.floor >= floorHall {
		return nil
	}
	switch function := call.Fun.(type) {
	case *ast.Ident:
		if function.Name == "print" || function.Name == "println" {
			return []string{s.at(call, "%s writes to stderr outside the hall", function.Name)}
		}
	case *ast.SelectorExpr:
		imported, name := s.named(function)
		if imported == "time" && name == "Now" && (here.floor == floorTools || here.floor == floorDoes) {
			return []string{s.at(call, "calls time.Now: take a clock")}
		}
	}
	return nil
}

// named resolves a qualified name to the package's path and the name in it.
func (s source) named(selector *ast.SelectorExpr) (imported, name string) {
	ident, ok := selector.X.(*ast.Ident)
	if !ok {
		return "", ""
	}
	return s.names[ident.Name], selector.Sel.Name
}

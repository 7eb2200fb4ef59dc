package tools_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/lint"
	"gitlab.com/towline/towline/pkg/lint/tools"
)

// fake puts a program of that name on a PATH of its own and gives what runs it.
func fake(t *testing.T, name, script string) tools.Options {
	t.Helper()
	bin, root := t.TempDir(), t.TempDir()
	text := "#!/bin/sh\nfor a; do case $a in --output-format=json2:*) out=${a#*json2:};; --output-file=*) out=${a#*=};; esac; done\n" + script + "\n"
	if err := os.WriteFile(filepath.Join(bin, name), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return tools.Options{Root: root, Files: []string{"a.py"}, Folders: []string{"a.py"}, Environ: []string{"PATH=" + bin + ":/usr/bin:/bin", "SECRET=x"}}
}

func tool(t *testing.T, name string) tools.Tool {
	t.Helper()
	for _, candidate := range tools.All() {
		if candidate.Name == name {
			return candidate
		}
	}
	t.Fatalf("there is no tool %s", name)
	return tools.Tool{}
}

func TestHowAToolEndsIsUnderstood(t *testing.T) {
	message := `{"type":"error","symbol":"no-member","messageId":"E1101","message":"m","line":2,"column":4,"path":"a.py","absolutePath":"/x"}`
	pylint := func(messages string) string {
		return `echo '{"messages":[` + messages + `],"statistics":{}}' > "$out"; `
	}
	ruff := `echo '[{"code":null,"message":"SyntaxError: x","filename":"a.py","location":{"row":1,"column":1},"end_location":{"row":2,"column":1}}]' > "$out"; `
	for _, tt := range []struct {
		name, tool, script string
		findings           int
		failed             string // part of the error, or ""
	}{
		{"pylint is content", "pylint", pylint("") + "exit 0", 0, ""},
		{"pylint found something", "pylint", pylint(message) + "exit 2", 1, ""},
		{"pylint does not find a package", "pylint", pylint(strings.ReplaceAll(message, "no-member", "import-error")) + "exit 2", 1, ""},
		{"pylint is told to exit with 0", "pylint", pylint(message) + "exit 0", 1, ""},
		{"pylint speaks of what is not there", "pylint", pylint("") + "exit 4", 0, "exit code 4"},
		{"pylint does not understand its settings", "pylint", "echo unrecognized >&2; exit 32", 0, "exit code 32"},
		{"pylint crashes after its report", "pylint", pylint(message) + "kill -9 $$", 0, "exit code 137"},
		{"pylint crashes before it", "pylint", "echo Traceback >&2; exit 1", 0, "exit code 1"},
		{"pylint writes the old format", "pylint", `echo '[]' > "$out"`, 0, "report cannot be read"},
		{"pylint writes to stdout only", "pylint", `echo '{"messages":[],"statistics":{}}'`, 0, "it wrote none"},
		{"ruff is content", "ruff", `echo '[]' > "$out"`, 0, ""},
		{"ruff found something", "ruff", ruff + "exit 1", 1, ""},
		{"ruff does not understand its settings", "ruff", "echo 'unknown field' >&2; exit 2", 0, "exit code 2"},
		{"ruff has findings and breaks down", "ruff", ruff + "exit 2", 0, "exit code 2"},
		{"ruff writes nothing of use", "ruff", `echo null > "$out"`, 0, "report cannot be read"},
		{"ruff is too old for its options", "ruff", "echo \"unexpected argument '--output-format'\" >&2; exit 2", 0, "exit code 2"},
		{"pylint ends with a code of its own", "pylint", pylint("") + "exit 77", 0, "exit code 77"},
		{"pylint writes garbage everywhere", "pylint", `head -c 9999 /dev/zero | tee "$out" >&2; head -c 9999 /dev/zero`, 0, "report cannot be read"},
		{"pylint makes a folder of its report", "pylint", `mkdir "$out"`, 0, "report cannot be read"},
		{"pylint writes more than is read", "pylint", `truncate -s 200M "$out"`, 0, "larger than 128 MB"},
		{"pylint complains without end", "pylint", "yes | head -c 20000000 >&2; exit 1", 0, "exit code 1"},
		{"pylint finds what has no name", "pylint", pylint(`{"type":"error","message":"m","line":1,"path":"a.py"}`), 0, "no name or no message"},
		{"pylint does not end", "pylint", "sleep 600 & wait", 0, "it had not ended after 1s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := fake(t, tt.tool, tt.script)
			if strings.Contains(tt.failed, "after 1s") {
				o.Timeout = time.Second
			}
			out := tool(t, tt.tool).Run(t.Context(), o)
			if len(out.Findings) != tt.findings || out.Absent != "" {
				t.Errorf("%d findings, absent %q, want %d", len(out.Findings), out.Absent, tt.findings)
			}
			if tt.failed == "" && out.Err != nil || tt.failed != "" && (fault.KindOf(out.Err) != fault.Remote || !strings.Contains(out.Err.Error(), tt.failed)) {
				t.Errorf("error %v, want %q", out.Err, tt.failed)
			}
			if out.Err != nil && fault.HintOf(out.Err) == "" {
				t.Errorf("error %v has no hint", out.Err)
			}
		})
	}
}

func TestAProgramThatIsNoneIsAnError(t *testing.T) {
	o := fake(t, "pylint", "")
	program := filepath.Join(strings.Split(strings.TrimPrefix(o.Environ[0], "PATH="), ":")[0], "pylint")
	if err := os.WriteFile(program, []byte("\x7fELF"), 0o755); err != nil {
		t.Fatal(err)
	}
	out := tool(t, "pylint").Run(t.Context(), o)
	if fault.KindOf(out.Err) != fault.Remote || fault.HintOf(out.Err) == "" {
		t.Errorf("Run = %v with the hint %q, want both", out.Err, fault.HintOf(out.Err))
	}
}

// What a tool says of a place that is not in the repository, such as settings
// in a home, is told of the repository as a whole.
func TestFindingsOfNoPlace(t *testing.T) {
	message := func(place string) string {
		return `{"type":"error","symbol":"s-s","messageId":"E1","message":"m",` + place + `}`
	}
	o := fake(t, "pylint", `echo '{"messages":[`+strings.Join([]string{
		message(`"line":3,"column":1,"path":"../../etc/pylintrc","absolutePath":"/etc/pylintrc"`), message(`"line":-5,"column":-9,"path":"a.py"`),
		message(`"line":2,"column":0,"path":"a.py","absolutePath":"'"$(pwd -P)"'/a.py"`),
	}, ",")+`],"statistics":{}}' > "$out"; exit 2`)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(o.Root, link); err != nil {
		t.Fatal(err)
	}
	o.Root = link
	out := tool(t, "pylint").Run(t.Context(), o)
	if diff := cmp.Diff([]string{".:0 pylint:s-s major", "a.py:0 pylint:s-s major", "a.py:2 pylint:s-s major"}, places(out.Findings)); diff != "" || out.Err != nil {
		t.Errorf("Run: %v, findings (-want +got):\n%s", out.Err, diff)
	}
	if out.Err == nil && out.Findings[0].Message != "pylintrc: m" {
		t.Errorf("message %q, want the file named", out.Findings[0].Message)
	}
}

func TestAToolSeesNoSecrets(t *testing.T) {
	o := fake(t, "pylint", `env > seen; echo '{"messages":[],"statistics":{}}' > "$out"`)
	if out := tool(t, "pylint").Run(t.Context(), o); out.Err != nil {
		t.Fatal(out.Err)
	}
	seen, err := os.ReadFile(filepath.Join(o.Root, "seen"))
	if err != nil || strings.Contains(string(seen), "SECRET") {
		t.Errorf("environment of the tool: %s, %v, want no secret in it", seen, err)
	}
}

func TestAToolThatIsNotThere(t *testing.T) {
	o := fake(t, "something", "")
	if out := tool(t, "ruff").Run(t.Context(), o); out.Absent == "" || out.Err != nil {
		t.Errorf("without the tool: absent %q, %v", out.Absent, out.Err)
	}
	o = fake(t, "uv", `[ "$*" = "tool run --offline --quiet ruff --version" ] && exit 0; echo '[]' > "$out"`)
	path, _, _ := strings.Cut(strings.TrimPrefix(o.Environ[0], "PATH="), ":")
	o.UV = filepath.Join(path, "uv")
	if out := tool(t, "ruff").Run(t.Context(), o); out.Absent != "" || out.Err != nil {
		t.Errorf("with uv: absent %q, %v, want it to be run", out.Absent, out.Err)
	}
	o.Environ = []string{"PATH=."}
	o.UV = ""
	if err := os.WriteFile(filepath.Join(o.Root, "ruff"), []byte("#!/bin/sh\ntouch ran\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if out := tool(t, "ruff").Run(t.Context(), o); out.Absent == "" {
		t.Errorf("a program in the repository is run: %+v", out)
	}
	if out := tool(t, "ruff").Run(t.Context(), tools.Options{Root: o.Root}); out.Absent != "" || out.Err != nil {
		t.Errorf("without files: %+v, want nothing to be done", out)
	}
}

func TestACancelledToolIsKilled(t *testing.T) {
	o := fake(t, "pylint", "echo $$ > pid; sleep 600 & wait")
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	go func() {
		for {
			if text, err := os.ReadFile(filepath.Join(o.Root, "pid")); err == nil && len(text) > 1 {
				cancel(enough)
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	out := tool(t, "pylint").Run(ctx, o)
	if !errors.Is(out.Err, enough) {
		t.Errorf("Run = %v, want the reason of the cancellation", out.Err)
	}
	text, err := os.ReadFile(filepath.Join(o.Root, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if process, err := os.FindProcess(pid); err == nil && process.Signal(os.Interrupt) == nil {
		t.Errorf("process %d is still there", pid)
	}
}

// TestRealTools runs pylint and ruff as they are installed for the tests.
func TestRealTools(t *testing.T) {
	bin, err := filepath.Abs("../../../.cache/venv/bin")
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	text := "import os\nimport sys, absent_package  # noqa: F401\n\n\ndef train():\n    return undefined_name\n"
	broken := "def f(:\n"
	for name, text := range map[string]string{"a.py": text, "sub/b.py": broken, "-x.py": "import os\n"} {
		file := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	o := tools.Options{Root: root, Files: []string{"-x.py", "a.py", "sub/b.py"}, Environ: []string{"PATH=" + bin + ":/usr/bin:/bin", "HOME=" + t.TempDir()}}
	for name, want := range map[string][]string{
		"pylint": {"a.py:1 pylint:unused-import minor", "a.py:2 pylint:unused-import minor", "a.py:2 pylint:import-error info", "a.py:6 pylint:undefined-variable major", "sub/b.py:1 pylint:syntax-error critical"},
		"ruff":   {"-x.py:1 ruff:F401 minor", "a.py:1 ruff:F401 minor", "a.py:6 ruff:F821 major"},
	} {
		out := tool(t, name).Run(t.Context(), o)
		if out.Err != nil || out.Absent != "" {
			t.Fatalf("%s: %v, absent %q: make test installs it", name, out.Err, out.Absent)
		}
		got := places(out.Findings)
		for _, place := range want {
			if !slices.Contains(got, place) {
				t.Errorf("%s found %q, want %s too", name, got, place)
			}
		}
		if name == "ruff" && slices.Contains(got, "a.py:2 ruff:F401 minor") {
			t.Error("ruff does not read noqa")
		}
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	if diff := cmp.Diff([]string{"-x.py", "a.py", "sub"}, names); diff != "" {
		t.Errorf("the tools leave something behind (-want +got):\n%s", diff)
	}
}

func places(findings []lint.Finding) []string {
	var list []string
	for _, f := range findings {
		list = append(list, f.Path+":"+strconv.Itoa(f.Line)+" "+f.Rule+" "+f.Severity.String())
	}
	return list
}

func TestToolsTellTheirVersion(t *testing.T) {
	for _, tt := range []struct {
		name, script       string
		version, complaint string
	}{
		{"pylint", `printf 'pylint 3.3.1\nastroid 3.3.5\n'`, "3.3.1", ""},
		{"ruff", `echo ruff 0.9.1`, "0.9.1", ""},
		{"ruff", `exit 3`, "", "ask ruff for its version"},
		{"ruff", `echo hello`, "", `it answered "hello"`},
	} {
		version, absent, err := tool(t, tt.name).Version(t.Context(), fake(t, tt.name, tt.script))
		if version != tt.version || absent != "" || (err == nil) != (tt.complaint == "") || err != nil && !strings.Contains(err.Error(), tt.complaint) {
			t.Errorf("%s: Version = %q, %q, %v", tt.script, version, absent, err)
		}
	}
	_, absent, err := tool(t, "ruff").Version(t.Context(), tools.Options{Root: t.TempDir(), Environ: []string{"PATH=/nowhere"}})
	if absent != "not on the PATH, and there is no uv" || err != nil {
		t.Errorf("Version without the tool = %q, %v", absent, err)
	}
}

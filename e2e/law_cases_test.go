package e2e_test

import (
	"strings"
	"testing"
)

func TestTheLawCatches(t *testing.T) {
	for _, tt := range []struct {
		name string
		file string
		text string // after the package clause
		want string
	}{
		{"a room that nobody listed", "pkg/extra/a.go", "", "pkg/extra is not listed"},
		{"an import of a room that nobody listed", "pkg/cli/a.go", `import _ "` + house + `pkg/extra"`, "not listed"},
		{"an import upwards", "pkg/plan/a.go", `import _ "` + house + `pkg/cloud"`, "not on a lower floor"},
		{"an import of the hall", "pkg/cloud/a.go", `import _ "` + house + `pkg/cli"`, "not on a lower floor"},
		{"an import of a program", "pkg/cli/a.go", `import _ "` + house + `cmd/towline"`, "not on a lower floor"},
		{"nouns side by side", "pkg/record/a.go", `import _ "` + house + `pkg/manifest"`, "not on a lower floor"},
		{"deciders side by side", "pkg/gate/a.go", `import _ "` + house + `pkg/plan"`, "not on a lower floor"},
		{"doers side by side", "pkg/cloud/a.go", `import _ "` + house + `pkg/report"`, "not on a lower floor"},
		{"ground on ground", "pkg/wire/a.go", `import _ "` + house + `pkg/proc"`, "not on a lower floor"},
		{"a doer that uses the local cloud", "pkg/cloud/a.go", `import _ "` + house + `pkg/localcloud"`, "only the hall"},
		{"the local cloud on nouns", "pkg/localcloud/store/a.go", `import _ "` + house + `pkg/record"`, "not of the ground"},
		{"services side by side", "pkg/localcloud/sts/a.go", `import _ "` + house + `pkg/localcloud/objects"`, "lower floor of the local cloud"},
		{"a service on the whole", "pkg/localcloud/sts/a.go", `import _ "` + house + `pkg/localcloud"`, "lower floor of the local cloud"},
		{"a fake outside tests", "pkg/cli/a.go", `import _ "` + house + `pkg/internal/gittest"`, "fakes are for tests"},

		{"files in a pure room", "pkg/gate/a.go", `import _ "os"`, "pure room imports os"},
		{"programs in a pure room", "pkg/plan/a.go", `import _ "os/exec"`, "pure room imports os/exec"},
		{"the network in a pure room", "pkg/release/a.go", `import _ "net"`, "pure room imports net"},
		{"HTTP in a pure room", "pkg/manifest/a.go", `import _ "net/http"`, "pure room imports net/http"},
		{"a log in a pure room", "pkg/drift/a.go", `import _ "log"`, "pure room imports log"},
		{"a logger in a pure room", "pkg/fault/a.go", `import _ "log/slog"`, "pure room imports log/slog"},
		{"chance in a pure room", "pkg/plan/a.go", `import _ "math/rand/v2"`, "pure room imports math/rand/v2"},
		{"the time in a pure room", "pkg/plan/a.go", `import "time"; var now = time.Now`, "pure room uses time.Now"},
		{"the time under another name", "pkg/plan/a.go", `import clock "time"; var t = clock.Now()`, "pure room uses time.Now"},
		{"sleep in a pure room", "pkg/gate/a.go", `import "time"; func f() { time.Sleep(1) }`, "pure room uses time.Sleep"},
		{"a doer without a clock", "pkg/cloud/a.go", `import "time"; var t = time.Now()`, "take a clock"},

		{"cobra outside the hall", "pkg/cloud/a.go", `import _ "github.com/spf13/cobra"`, "whose home is pkg/cli"},
		{"cobra's pages in the hall", "pkg/cli/a.go", `import _ "github.com/spf13/cobra/doc"`, "whose home is cmd/docgen"},
		{"the SDK outside cloud", "pkg/bundle/a.go", `import _ "github.com/aws/aws-sdk-go-v2/aws"`, "whose home is pkg/cloud"},
		{"the SDK in the local cloud", "pkg/localcloud/sts/a.go", `import _ "github.com/aws/smithy-go"`, "whose home is pkg/cloud"},
		{"images outside bundle", "pkg/cloud/a.go", `import _ "github.com/google/go-containerregistry/pkg/name"`, "whose home is pkg/bundle"},
		{"YAML outside the manifest", "pkg/cli/a.go", `import _ "gopkg.in/yaml.v3"`, "whose home is pkg/manifest"},
		{"versions outside release", "pkg/plan/a.go", `import _ "github.com/Masterminds/semver/v3"`, "whose home is pkg/release"},
		{"a library without a home", "pkg/cloud/a.go", `import _ "example.com/new"`, "without a home"},

		{"the environment in a doer", "pkg/cloud/a.go", `import "os"; var e = os.Getenv("A")`, "os.Getenv outside the hall"},
		{"the whole environment in a reader", "pkg/ci/a.go", `import "os"; var e = os.Environ()`, "os.Environ outside the hall"},
		{"the environment as a function", "pkg/ci/a.go", `import "os"; var e = os.LookupEnv`, "os.LookupEnv outside the hall"},
		{"a template", "pkg/report/a.go", `import _ "html/template"`, "doubles the size"},
		{"stdout in a doer", "pkg/report/a.go", `import "os"; var w = os.Stdout`, "os.Stdout outside the hall"},
		{"stderr in the local cloud", "pkg/localcloud/a.go", `import "os"; var w = os.Stderr`, "os.Stderr outside the hall"},
		{"a printer in a doer", "pkg/report/a.go", `import "fmt"; func f() { fmt.Println() }`, "fmt.Println outside the hall"},
		{"the built-in printer", "pkg/gate/a.go", `func f() { println() }`, "println writes to stderr"},
		{"the old log", "pkg/cloud/a.go", `import "log"; func f() { log.Printf("") }`, "log.Printf outside the hall"},
		{"a context of one's own", "pkg/cloud/a.go", `import "context"; var c = context.Background()`, "context.Background outside the hall"},
		{"a context for later", "pkg/bundle/a.go", `import "context"; var c = context.TODO()`, "context.TODO outside the hall"},
		{"signals in a doer", "pkg/proc/a.go", `import "os/signal"; var f = signal.Notify`, "os/signal.Notify outside the hall"},
		{"signals as a context", "pkg/localcloud/a.go", `import "os/signal"; var f = signal.NotifyContext`, "os/signal.NotifyContext outside the hall"},
		{"the logger's set-up", "pkg/cloud/a.go", `import "log/slog"; func f() { slog.SetDefault(nil) }`, "log/slog.SetDefault outside the hall"},
		{"the logger of everybody", "pkg/cloud/a.go", `import "log/slog"; func f() { slog.Info("") }`, "log/slog.Info outside the hall"},
		{"an exit in the hall", "pkg/cli/a.go", `import "os"; func f() { os.Exit(1) }`, "os.Exit outside main"},

		{"an init function", "pkg/cli/a.go", `func init() {}`, "function init"},
		{"a dot import", "pkg/cli/a.go", `import . "strings"`, "dot import"},
		{"a file that is too long", "pkg/cli/a.go", strings.Repeat("\n", 500), "501 lines"},
		{"a test that skips itself", "pkg/cli/a_test.go", `import "testing"; func TestA(t *testing.T) { t.Skip("no root") }`, "skips itself"},
		{"a test that is too long", "pkg/cli/a_test.go", strings.Repeat("\n", 500), "501 lines"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			found := judge(t, tt.file, "package room\n"+tt.text)
			if !strings.Contains(found, tt.want) {
				t.Errorf("the law says of this file %q, want %q in it", found, tt.want)
			}
		})
	}
}

func TestTheLawCatchesBags(t *testing.T) {
	for _, name := range bags {
		if found := judge(t, "pkg/cli/a.go", "package "+name); !strings.Contains(found, "says nothing") {
			t.Errorf("the law says of package %s %q, want that it says nothing", name, found)
		}
	}
}

func TestTheLawAllows(t *testing.T) {
	for _, tt := range []struct {
		name string
		file string
		text string
	}{
		{"the error on every floor", "pkg/manifest/a.go", `import _ "` + house + `pkg/fault"`},
		{"an import downwards", "pkg/cli/a.go", `import _ "` + house + `pkg/cloud"`},
		{"a doer that packages", "pkg/cloud/a.go", `import _ "` + house + `pkg/bundle"`},
		{"a doer that keeps files", "pkg/bundle/a.go", `import _ "` + house + `pkg/workspace"`},
		{"the local cloud in the hall", "pkg/cli/a.go", `import _ "` + house + `pkg/localcloud"`},
		{"the local cloud on the ground", "pkg/localcloud/runtime/a.go", `import _ "` + house + `pkg/proc"`},
		{"the local cloud downwards", "pkg/localcloud/sagemaker/a.go", `import _ "` + house + `pkg/localcloud/runtime"`},
		{"anything in a test", "pkg/gate/a_test.go", `import ("os"; _ "` + house + `pkg/cli"; _ "example.com/new"); var e = os.Getenv`},
		{"a library in its home", "pkg/localcloud/registry/a.go", `import _ "github.com/google/go-containerregistry/pkg/registry"`},
		{"the environment in the hall", "pkg/cli/a.go", `import "os"; var e = os.Getenv`},
		{"an exit in main", "cmd/towline/a.go", `import "os"; func main() { os.Exit(1) }`},
		{"a clock as a default", "pkg/cloud/a.go", `import "time"; var now = time.Now`},
		{"the environment in a fake", "pkg/internal/gittest/a.go", `import "os"; var e = os.Getenv("PATH")`},
		{"a logger that is given its writer", "pkg/cloud/a.go", `import ("io"; "log"); var l = log.New(io.Discard, "", 0)`},
		{"anything in a benchmark", "bench/startup/a.go", `import _ "github.com/spf13/cobra"; func init() {}`},
		{"names that only look alike", "pkg/gate/a.go", `type file struct{ Stdout int }; func f(os file) int { return os.Stdout }`},
		{"a method called init", "pkg/cli/a.go", `type t struct{}; func (t) init() {}`},
		{"a long generated file", "pkg/cli/a.go", generatedTag + "by docgen. DO NOT EDIT.\n" + strings.Repeat("\n", 500)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if found := judge(t, tt.file, "package room\n"+tt.text); found != "" {
				t.Errorf("the law says of this file %q, want nothing", found)
			}
		})
	}
}

func judge(t *testing.T, file, text string) string {
	t.Helper()
	s, err := parse(file, text)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(breaches(s), "\n")
}

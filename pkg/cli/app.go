package cli

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"gitlab.com/towline/towline/pkg/ci"
	"gitlab.com/towline/towline/pkg/fault"
)

// app is what every command is given: the streams, the environment and the
// global flags.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	out            *outlet // stdout
	environ        []string
	version        string
	now            func() time.Time
	listen         func() // for signals; called when a command begins

	dir     string // -C
	model   string
	target  string
	env     string
	base    string
	signKey string
	from    string // a source that was handed over; "" for this repository
	output  string
	verbose bool
}

func newApp(p Process) *app {
	out := &outlet{to: p.Stdout}
	return &app{
		stdin: p.Stdin, stdout: out, stderr: p.Stderr, out: out,
		environ: p.Environ, version: p.Version, now: time.Now, listen: func() {},
	}
}

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "towline",
		Short: "Tow a model from its repository to production",
		Long: "Towline tows a model from its repository to production on GitLab and AWS:\n" +
			"it checks, versions, packages, trains, judges and deploys it. Without an\n" +
			"account it does all of that on this machine, in an embedded local cloud.",
		Example: "  towline init my-model && cd my-model && towline run\n" +
			"  towline run --dry-run --target aws --env prod",
		Args:          cobra.NoArgs,
		SilenceErrors: true, SilenceUsage: true,
	}
	// Cobra's own version flag takes a template, and a program with templates
	// keeps every method of every library: it is twice as large.
	version := root.Flags().Bool("version", false, "print the version")
	root.RunE = func(cmd *cobra.Command, _ []string) error {
		if !*version {
			return cmd.Help()
		}
		if a.output == "json" {
			return a.printJSON(map[string]string{"version": a.version})
		}
		_, err := fmt.Fprintf(a.stdout, "towline %s\n", a.version)
		return err
	}
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetFlagErrorFunc(usageError)
	a.addGlobals(root)
	root.AddCommand(
		newInit(a), a.fromFlag(newLint(a)), a.fromFlag(a.signs(newRun(a))), newTest(a), newVersion(a), newHandover(a), newFetch(a), a.fromFlag(newPackage(a)),
		a.fromFlag(a.signs(newPush(a))), a.fromFlag(newTrain(a)),
		a.fromFlag(newGate(a)), newTag(a), newChangelog(a), a.fromFlag(newDeploy(a)), newReport(a), newTrigger(a), a.fromFlag(newInvoke(a)), a.fromFlag(newStatus(a)), newVerify(a),
		newImage(a), newLocal(a), a.fromFlag(newDoctor(a)),
	)
	completeShells(root)
	a.completeValues(root)
	wrapArgs(root)
	return root
}

func (a *app) addGlobals(root *cobra.Command) {
	flags := root.PersistentFlags()
	flags.StringVarP(&a.dir, "directory", "C", ".", "folder of the model repository")
	flags.StringVar(&a.model, "model", "", "name of one model, if the repository has several (TOWLINE_MODEL)")
	flags.StringVar(&a.target, "target", "", "local or aws; local on a laptop, no default in a GitLab job (TOWLINE_TARGET)")
	flags.StringVar(&a.env, "env", "", "environment of the manifest, for the target aws (TOWLINE_ENV)")
	flags.StringVar(&a.base, "base", "", "base image of the target local, instead of none: a reference, oci:FOLDER, or manifest for its image.base (TOWLINE_LOCAL_BASE)")
	flags.StringVar(&a.output, "output", "text", "text or json")
	flags.BoolVarP(&a.verbose, "verbose", "v", false, "tell more of what is done")
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		a.listen()
		return a.settle(cmd)
	}
}

// outputs is the annotation of a command that has a form of output besides text and json.
const outputs = "outputs"

// settle applies the variables behind the flags, and checks what can be checked.
func (a *app) settle(cmd *cobra.Command) error {
	for _, setting := range []struct {
		value    *string
		variable string
	}{{&a.model, "TOWLINE_MODEL"}, {&a.target, "TOWLINE_TARGET"}, {&a.env, "TOWLINE_ENV"}, {&a.from, "TOWLINE_FROM"}} {
		if *setting.value == "" {
			*setting.value = a.getenv(setting.variable)
		}
	}
	own := cmd.Annotations[outputs]
	if own != "" && a.output != "text" && a.output != "json" && a.output != own {
		return fault.Newf(fault.Usage, "--output %s: wanted text, json or %s", a.output, own)
	}
	if own == "" && a.output != "text" && a.output != "json" {
		return fault.Newf(fault.Usage, "--output %s: wanted text or json", a.output)
	}
	if a.target != "" && a.target != "local" && a.target != "aws" {
		return fault.Newf(fault.Usage, "--target %s: wanted local or aws", a.target)
	}
	return nil
}

// usageError turns a wrong flag into exit code 2.
func usageError(cmd *cobra.Command, err error) error {
	return fault.Newf(fault.Usage, "%w", err).Hintf("see: %s --help", cmd.CommandPath())
}

// wrapArgs turns wrong arguments into exit code 2, for a command and all below it.
func wrapArgs(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return usageError(cmd, err)
			}
			return nil
		}
	}
	for _, sub := range cmd.Commands() {
		wrapArgs(sub)
	}
}

// getenv reads the environment that the process was given; the last of equal names counts.
func (a *app) getenv(name string) string {
	for i := len(a.environ) - 1; i >= 0; i-- {
		if value, ok := strings.CutPrefix(a.environ[i], name+"="); ok {
			return value
		}
	}
	return ""
}

// job is the GitLab job we run in, if we do.
func (a *app) job() (ci.Job, bool) { return ci.FromEnv(a.getenv) }

// root is the absolute folder of the model repository.
func (a *app) root() (string, error) {
	root, err := filepath.Abs(a.dir)
	if err != nil {
		return "", fault.Newf(fault.Usage, "-C %s: %w", a.dir, err)
	}
	info, err := os.Stat(root)
	if err != nil || !info.IsDir() {
		return "", fault.Newf(fault.Missing, "-C %s: no such folder", a.dir)
	}
	return filepath.EvalSymlinks(root)
}

// cache is the folder for what is kept across repositories.
func (a *app) cache() (string, error) {
	if dir := a.getenv("TOWLINE_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	if dir := a.getenv("XDG_CACHE_HOME"); dir != "" {
		return filepath.Join(dir, "towline"), nil
	}
	if home := a.getenv("HOME"); home != "" {
		return filepath.Join(home, ".cache", "towline"), nil
	}
	return "", fault.Newf(fault.Usage, "find a cache folder: neither TOWLINE_CACHE nor HOME is set").
		Hintf("set TOWLINE_CACHE to a folder that is kept between runs")
}

// color says whether stdout is a terminal whose user has nothing against colours.
func (a *app) color() bool {
	file, ok := a.out.to.(*os.File)
	return ok && a.getenv("NO_COLOR") == "" && a.getenv("TERM") != "dumb" && term.IsTerminal(int(file.Fd()))
}

// terminal says whether stderr is one, so that progress may be redrawn.
func (a *app) terminal() bool {
	file, ok := a.stderr.(*os.File)
	return ok && a.getenv("CI") == "" && a.getenv("TERM") != "dumb" && term.IsTerminal(int(file.Fd()))
}

// log is the logger handed to rooms: silent unless asked for.
func (a *app) log() *slog.Logger {
	if !a.verbose {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/manifest"
)

// The pipelines that init --ci writes.
const (
	ciOneProject = "one-project"
	ciUpstream   = "upstream"
	ciDownstream = "downstream"
)

// ciFile is where GitLab looks for a project's pipeline.
const ciFile = ".gitlab-ci.yml"

// pipelineOptions say what a project's pipeline is made of.
type pipelineOptions struct {
	kind       string // "" for no pipeline
	force      bool
	include    string // component, or project
	source     string // the project that holds the components
	ref        string // their version
	downstream string
	gitlab     string
	free       bool
}

func (o *pipelineOptions) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&o.kind, "ci", "", "write "+ciFile+" alone: one-project, upstream or downstream")
	flags.Lookup("ci").NoOptDefVal = ciOneProject
	flags.BoolVar(&o.force, "force", false, "with --ci: write over the file that is there")
	flags.StringVar(&o.include, "include", "component", "with --ci: component, or project for a GitLab without the catalogue")
	flags.StringVar(&o.source, "source", "towline/towline", "with --ci: path of the project that holds the components")
	flags.StringVar(&o.ref, "ref", "", "with --ci: version of the components, instead of this program's own")
	flags.StringVar(&o.downstream, "downstream", "", "with --ci upstream: path of the platform's project")
	flags.StringVar(&o.gitlab, "gitlab", "", "with --ci: version of GitLab, if it is older than 18.2")
	flags.BoolVar(&o.free, "free", false, "with --ci: the model's project is on GitLab Free")
}

var (
	projectPath = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)+$`) })
	pinnedRef   = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^([0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?|[0-9a-f]{40}|[0-9a-f]{64})$`)
	})
	serverVersion = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^([0-9]+)\.([0-9]+)([.+-].*)?$`) })
)

// settle completes the options, and refuses those that make no pipeline.
func (o *pipelineOptions) settle(version string) error {
	if o.ref == "" && pinnedRef().MatchString(version) && !strings.Contains(version, "-") {
		o.ref = version
	}
	if err := o.checkServer(); err != nil {
		return err
	}
	switch {
	case o.kind != ciOneProject && o.kind != ciUpstream && o.kind != ciDownstream:
		return fault.Newf(fault.Usage, "--ci %s: wanted %s, %s or %s", o.kind, ciOneProject, ciUpstream, ciDownstream)
	case o.ref == "":
		return fault.Newf(fault.Usage, "--ci: which version of the components? this program is %s, which is no release", version).
			Hintf("pass --ref with a release such as 1.0.0, or with the hash of a commit")
	case !pinnedRef().MatchString(o.ref):
		return fault.Newf(fault.Usage, "--ref %s: wanted a release such as 1.0.0, or the hash of a commit: a pipeline must not change by itself", o.ref)
	case o.kind == ciUpstream && !projectPath().MatchString(o.downstream):
		return fault.Newf(fault.Usage, "--downstream %q: wanted the path of the platform's project, such as platform/models", o.downstream)
	}
	return nil
}

// checkServer looks at what is said of GitLab and of where the components lie.
func (o pipelineOptions) checkServer() error {
	switch {
	case o.include != "component" && o.include != "project":
		return fault.Newf(fault.Usage, "--include %s: wanted component or project", o.include)
	case !projectPath().MatchString(o.source):
		return fault.Newf(fault.Usage, "--source %s: wanted the path of a project, such as towline/towline", o.source)
	case o.gitlab != "" && !serverVersion().MatchString(o.gitlab):
		return fault.Newf(fault.Usage, "--gitlab %s: wanted a version such as 17.11", o.gitlab)
	case o.olderThan(16, 11):
		return fault.Newf(fault.Usage, "--gitlab %s: the components are written for 16.11 and newer", o.gitlab)
	}
	return nil
}

// olderThan compares the server's version; an unknown one is new.
func (o pipelineOptions) olderThan(major, minor int) bool {
	found := serverVersion().FindStringSubmatch(o.gitlab)
	if found == nil {
		return false
	}
	a, errA := strconv.Atoi(found[1])
	b, errB := strconv.Atoi(found[2])
	return errA == nil && errB == nil && (a < major || a == major && b < minor)
}

// runInitCI writes the pipeline of a project that is there already.
func (a *app) runInitCI(dir string, o pipelineOptions, dryRun bool) error {
	// Read.
	if err := o.settle(a.version); err != nil {
		return err
	}
	root, err := filepath.Abs(dir)
	if err != nil {
		return fault.Newf(fault.Usage, "init %s: %w", dir, err)
	}
	top := gitTop(root)
	p := pipeline{pipelineOptions: o}
	if err := a.readPipeline(&p, root, top); err != nil {
		return err
	}
	target := filepath.Join(top, ciFile)
	_, err = os.Lstat(target)
	there := err == nil
	if there && !o.force && !dryRun {
		return fault.Newf(fault.Conflict, "init --ci: %s is there already", target).
			Hintf("look at what would be written with --dry-run, and add it by hand, or pass --force")
	}

	// Decide.
	text := p.yaml()

	// Act, and tell.
	if !dryRun {
		if err := writeOver(top, newFile{ciFile, []byte(text)}); err != nil {
			return err
		}
	}
	if a.output == "json" {
		return a.printJSON(map[string]any{"file": target, "kind": o.kind, "ref": o.ref, "written": !dryRun, "text": text})
	}
	if dryRun {
		_, err := fmt.Fprint(a.stdout, text)
		return err
	}
	fmt.Fprintf(a.stderr, "%s\n\nnext: commit it; what is to be set in GitLab and AWS says towline doctor\n", target)
	return nil
}

// writeOver writes a file anew, whole or not at all. A link that stands in its
// place is replaced, not followed.
func writeOver(root string, file newFile) error {
	if _, err := os.Lstat(filepath.Join(root, file.path)); errors.Is(err, fs.ErrNotExist) {
		return writeNew(root, file)
	}
	fresh := newFile{file.path + ".towline", file.body}
	if err := writeNew(root, fresh); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(root, fresh.path), filepath.Join(root, file.path)); err != nil {
		return fault.Newf(fault.Remote, "init: write %s: %w", file.path, errors.Join(err, os.Remove(filepath.Join(root, fresh.path))))
	}
	return nil
}

// gitTop is the top of the git repository that a folder lies in, where GitLab
// looks for the file; the folder itself if it lies in none.
func gitTop(dir string) string {
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Lstat(filepath.Join(at, ".git")); err == nil {
			return at
		}
		if at == filepath.Dir(at) {
			return dir
		}
	}
}

// pipeline is what the file is made from.
type pipeline struct {
	pipelineOptions
	directory string // of the manifest, below the top of the repository; "." for the top itself
	env       string
	models    []manifest.Model
}

// readPipeline reads what the manifest says of the pipeline. The platform's
// project has none.
func (a *app) readPipeline(p *pipeline, root, top string) error {
	rel, err := filepath.Rel(top, root)
	if err != nil {
		return fault.Newf(fault.Usage, "init --ci: %w", err)
	}
	p.directory, p.env = filepath.ToSlash(rel), a.env
	m, err := manifest.Read(os.DirFS(root))
	switch {
	case p.kind == ciDownstream && (errors.Is(err, fs.ErrNotExist) || fault.KindOf(err) == fault.Missing):
		if p.env == "" {
			return fault.Newf(fault.Usage, "init --ci downstream: which environment?").Hintf("pass --env NAME, as the models' %s call it", manifest.File)
		}
		return nil
	case err != nil:
		return err
	}
	p.models = m.Models
	names := slices.Sorted(maps.Keys(m.Environments))
	switch {
	case p.env == "" && len(names) == 1:
		p.env = names[0]
	case len(names) == 0:
		return fault.Newf(fault.Repository, "init --ci: %s has no environments", manifest.File).
			Hintf("add one under environments: with region, execution_role, bucket and registry")
	case p.env == "":
		return fault.Newf(fault.Usage, "init --ci: which environment? there are %s", strings.Join(names, ", ")).Hintf("pass --env NAME or set TOWLINE_ENV")
	case !slices.Contains(names, p.env):
		return fault.Newf(fault.Usage, "--env %s: %s has %s", p.env, manifest.File, strings.Join(names, ", "))
	}
	return nil
}

// input is one line of what a component is told.
type input struct{ name, value string }

// yaml is the file.
func (p pipeline) yaml() string {
	var b strings.Builder
	b.WriteString("# Written by towline init --ci. The inputs of each component stand in its file, templates/NAME.yml.\n")
	if p.kind == ciUpstream {
		fmt.Fprintf(&b, "# What is to be set in GitLab says: towline doctor --only gitlab --upstream PROJECT --downstream %s\n", p.downstream)
	} else {
		b.WriteString("# What is to be set in GitLab and AWS says the button doctor.\n")
	}
	b.WriteString("include:\n")
	switch p.kind {
	case ciDownstream:
		p.write(&b, "mlops-pipeline", append([]input{{"env", p.env}}, p.carrier()...))
		p.write(&b, "doctor", []input{{"env", p.env}, {"from", ".towline/upstream"}, {"needs", "[fetch]"}, {"rules", doctorRules}})
		return b.String()
	case ciUpstream:
		p.each(&b, "model-trigger", append([]input{{"project", p.downstream}, {"env", p.env}}, append(p.strategy(), p.carrier()...)...))
		return b.String()
	}
	p.each(&b, "model-pipeline", []input{{"env", p.env}})
	p.write(&b, "doctor", p.place([]input{{"env", p.env}}))
	return b.String()
}

// doctorRules let the platform's project offer the button in the pipelines that
// a model's project starts.
const doctorRules = `[{if: '$CI_PIPELINE_SOURCE == "pipeline"', when: manual, allow_failure: true}]`

// each writes a component once for each model; the jobs of each have the
// model's name before theirs if there are several.
func (p pipeline) each(b *strings.Builder, component string, inputs []input) {
	for _, model := range p.models {
		own := p.place(slices.Clone(inputs))
		if len(p.models) > 1 {
			own = append(own, input{"model", model.Name}, input{"prefix", model.Name + "-"})
		}
		if changes := p.changes(model); len(changes) > 0 {
			own = append(own, input{"changes", `["` + strings.Join(changes, `", "`) + `"]`})
		}
		p.write(b, component, own)
	}
}

// place adds where the manifest lies.
func (p pipeline) place(inputs []input) []input {
	if p.directory == "." {
		return inputs
	}
	return append(inputs, input{"directory", p.directory})
}

// strategy is how a trigger job follows the pipeline that it starts.
func (p pipeline) strategy() []input {
	if p.olderThan(18, 2) {
		return []input{{"strategy", "depend"}}
	}
	return nil
}

// carrier is how the source goes from one project to the other.
func (p pipeline) carrier() []input {
	if p.free {
		return []input{{"carrier", "package"}}
	}
	return nil
}

// changes are the files that start a model's pipeline; none for all.
func (p pipeline) changes(model manifest.Model) []string {
	if path.Clean(model.Path) == "." {
		if p.directory == "." {
			return nil
		}
		return []string{p.directory + "/**/*"}
	}
	files := []string{path.Join(p.directory, manifest.File)}
	for _, folder := range append([]string{model.Path}, model.Shared...) {
		files = append(files, path.Join(p.directory, folder)+"/**/*")
	}
	return files
}

// write adds one include, in the way that the server knows.
func (p pipeline) write(b *strings.Builder, component string, inputs []input) {
	if p.include == "component" {
		fmt.Fprintf(b, "  - component: $CI_SERVER_FQDN/%s/%s@%s\n", p.source, component, p.ref)
	} else {
		fmt.Fprintf(b, "  - project: %s\n    ref: %q\n    file: /templates/%s.yml\n", p.source, p.ref, component)
	}
	b.WriteString("    inputs:\n")
	for _, in := range inputs {
		fmt.Fprintf(b, "      %s: %s\n", in.name, in.value)
	}
}

package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"gitlab.com/towline/towline/examples"
	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/manifest"
)

type initOptions struct {
	bare     bool
	dryRun   bool
	pipeline pipelineOptions
}

func newInit(a *app) *cobra.Command {
	var o initOptions
	cmd := &cobra.Command{
		Use:   "init [DIR]",
		Short: "Write a model repository that works, to start from",
		Long: "Write a complete model repository with a small scikit-learn classifier, which\n" +
			"towline run takes the whole way at once. With --bare write the manifest alone,\n" +
			"into a folder that has a model already. With --ci write the project's .gitlab-ci.yml\n" +
			"alone, out of the published components: for one project that does all, for a model's\n" +
			"project that hands over to a platform's (upstream), or for the platform's (downstream).",
		Example: "  towline init my-model && cd my-model && towline run\n  towline init --bare\n  towline init --ci --env prod\n" +
			"  towline init --ci upstream --downstream platform/models\n  towline init --ci downstream --env prod --include project --dry-run",
		Args: cobra.MaximumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			args, err := o.arguments(cmd, args)
			if err != nil {
				return err
			}
			dir := a.dir
			switch {
			case len(args) == 1 && filepath.IsAbs(args[0]):
				dir = args[0]
			case len(args) == 1:
				dir = filepath.Join(a.dir, args[0])
			}
			if o.pipeline.kind != "" {
				return a.runInitCI(dir, o.pipeline, o.dryRun)
			}
			return a.runInit(dir, o)
		},
	}
	cmd.Flags().BoolVar(&o.bare, "bare", false, "write the manifest and its schema alone")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "name the files and write nothing; with --ci print it")
	o.pipeline.register(cmd)
	return cmd
}

// arguments reads the kind of the pipeline, which may stand behind --ci as a
// word of its own, and refuses options that mean nothing together.
func (o *initOptions) arguments(cmd *cobra.Command, args []string) ([]string, error) {
	if !cmd.Flags().Changed("ci") {
		for _, name := range []string{"force", "include", "source", "ref", "downstream", "gitlab", "free"} {
			if cmd.Flags().Changed(name) {
				return nil, fault.Newf(fault.Usage, "--%s: it goes with --ci only", name)
			}
		}
		return args, oneArgument(cmd, args)
	}
	if o.bare {
		return nil, fault.Newf(fault.Usage, "--bare and --ci: each writes one file alone")
	}
	isKind := func(word string) bool { return slices.Contains([]string{ciOneProject, ciUpstream, ciDownstream}, word) }
	if at := slices.IndexFunc(args, isKind); o.pipeline.kind == ciOneProject && at >= 0 {
		o.pipeline.kind, args = args[at], slices.Delete(slices.Clone(args), at, at+1)
	}
	return args, oneArgument(cmd, args)
}

func oneArgument(cmd *cobra.Command, args []string) error {
	if err := cobra.MaximumNArgs(1)(cmd, args); err != nil {
		return usageError(cmd, err)
	}
	return nil
}

// newFile is a file of the scaffold, before it is written.
type newFile struct {
	path string // slash-separated, relative to the new repository
	body []byte
}

func (a *app) runInit(dir string, o initOptions) error {
	// Read.
	root, err := filepath.Abs(dir)
	if err != nil {
		return fault.Newf(fault.Usage, "init %s: %w", dir, err)
	}
	if err := roomFor(root, o.bare); err != nil {
		return err
	}

	// Decide.
	project := projectName(filepath.Base(root))
	files := []newFile{{manifest.File, bareManifest(root, project)}}
	if !o.bare {
		if files, err = exampleFiles(project); err != nil {
			return err
		}
	}
	files = append(files, newFile{"towline.schema.json", manifest.Schema()})

	// Act, and tell.
	for _, file := range files {
		if !o.dryRun {
			if err := writeNew(root, file); err != nil {
				return err
			}
		}
		fmt.Fprintf(a.stderr, "%s\n", path.Join(filepath.ToSlash(dir), file.path))
	}
	if a.output == "json" {
		return a.printJSON(map[string]any{"project": project, "directory": root, "files": filePaths(files)})
	}
	if o.dryRun {
		return nil
	}
	fmt.Fprintf(a.stderr, "\nnext: towline run -C %s\n", dir)
	return nil
}

func filePaths(files []newFile) []string {
	paths := make([]string, 0, len(files))
	for _, file := range files {
		paths = append(paths, file.path)
	}
	return paths
}

// roomFor makes sure that nothing would be overwritten.
func roomFor(root string, bare bool) error {
	entries, err := os.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fault.Newf(fault.Missing, "init: %w", err)
	}
	for _, entry := range entries {
		name := entry.Name()
		if name == manifest.File || name == "towline.schema.json" {
			return fault.Newf(fault.Conflict, "init: %s is there already", filepath.Join(root, name)).
				Hintf("edit it, or remove it first")
		}
		if !bare && name != ".git" {
			return fault.Newf(fault.Conflict, "init: %s is not empty: found %s", root, name).
				Hintf("name a new folder, or pass --bare to write the manifest alone")
		}
	}
	return nil
}

var notInNames = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`[^a-z0-9]+`) })

// projectName makes a legal project name of a folder's.
func projectName(folder string) string {
	name := strings.Trim(notInNames().ReplaceAllString(strings.ToLower(folder), "-"), "-")
	if len(name) > 32 {
		name = strings.Trim(name[:32], "-")
	}
	if name == "" || name[0] < 'a' || name[0] > 'z' {
		return strings.Trim("model-"+name, "-")
	}
	return name
}

var projectLine = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?m)^project: .*$`) })

// exampleFiles are those of the example repository, under the project's name.
func exampleFiles(project string) ([]newFile, error) {
	source := examples.Classifier()
	var files []newFile
	err := fs.WalkDir(source, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		body, err := fs.ReadFile(source, name)
		if err != nil {
			return err
		}
		switch name {
		case manifest.File:
			body = projectLine().ReplaceAll(body, []byte("project: "+project))
			body = append([]byte(schemaLine), body...)
		case "README.md":
			_, rest, _ := strings.Cut(string(body), "\n")
			body = []byte("# " + project + "\n" + rest)
		}
		files = append(files, newFile{name, body})
		return nil
	})
	if err != nil {
		return nil, fault.Newf(fault.Bug, "init: %w", err)
	}
	return files, nil
}

// schemaLine has editors complete and check the manifest.
const schemaLine = "# yaml-language-server: $schema=./towline.schema.json\n"

// bareManifest is a manifest for the files that a folder has already.
func bareManifest(root, project string) []byte {
	has := func(name string) bool {
		info, err := os.Stat(filepath.Join(root, name))
		return err == nil && info.Mode().IsRegular()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%sapiVersion: %s\nproject: %s\nmodels:\n  - name: %s\n    path: .\n", schemaLine, manifest.APIVersion, project, project)
	b.WriteString("    image:\n      python: \"3.11\"\n")
	if has("requirements.txt") {
		b.WriteString("      requirements: requirements.txt\n")
	}
	b.WriteString("    train:\n      command: [python, train.py]    # writes the model to $SM_MODEL_DIR\n" +
		"      # channels: {train: data/train}  # folders here, or s3://bucket/prefix/\n" +
		"    evaluate:\n      file: evaluation.json          # written to $SM_OUTPUT_DATA_DIR: {\"metrics\": {\"f1\": 0.97}}\n" +
		"      gate:\n        - {metric: f1, better: higher, at_least: 0.8, may_drop: 0.01}\n")
	if has("serve.py") {
		b.WriteString("    serve:\n      command: [python, serve.py]    # answers /ping and /invocations on $SAGEMAKER_BIND_TO_PORT\n")
	}
	return []byte(b.String())
}

// writeNew writes a file of the scaffold, and never over another one.
func writeNew(root string, file newFile) error {
	target := filepath.Join(root, filepath.FromSlash(file.path))
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return unwritten(err)
	}
	out, err := os.OpenFile(target, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fault.Newf(fault.Conflict, "init: %w", err).Hintf("name a new folder")
	}
	if err != nil {
		return unwritten(err)
	}
	_, err = out.Write(file.body)
	if err = errors.Join(err, out.Close()); err != nil {
		return unwritten(errors.Join(err, os.Remove(target)))
	}
	return nil
}

// unwritten says whose move it is when a file of the scaffold cannot be written.
func unwritten(err error) error {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return fault.Newf(fault.Denied, "init: %w", err).Hintf("name a folder that may be written")
	}
	return fault.Newf(fault.Remote, "init: %w", err).Hintf("make room on the disk, or name another folder")
}

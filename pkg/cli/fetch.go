package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"gitlab.com/towline/towline/pkg/archive"
	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/record"
	"gitlab.com/towline/towline/pkg/workspace"
)

type fetchOptions struct {
	upstreamOptions
	into    string
	paths   []string
	from    string
	s3      string
	maxSize int64
	dry     dryRun
}

// fetchedFile says in a folder what was fetched into it.
const fetchedFile = "fetched.json"

// fetchedInto is where fetched files go, if nobody says otherwise.
const fetchedInto = workspace.Folder + "/upstream"

// fetched is what fetchedFile holds, and what the command tells in JSON.
type fetched struct {
	Schema   string         `json:"schema"`
	Project  string         `json:"project"`
	Pipeline string         `json:"pipeline,omitempty"`
	Job      string         `json:"job,omitempty"`
	Ref      string         `json:"ref,omitempty"`
	Carrier  string         `json:"carrier"`
	Paths    []string       `json:"paths,omitempty"` // that were asked for
	Checked  []string       `json:"checked"`         // hand-overs whose digests hold
	Files    []archive.File `json:"files"`
	Into     string         `json:"into,omitempty"`
	Kept     bool           `json:"kept,omitempty"` // it was there already
}

const fetchedSchema = "towline/fetched/v1"

func newFetch(a *app) *cobra.Command {
	var o fetchOptions
	cmd := &cobra.Command{
		Use:   "fetch",
		Short: "Fetch what the exact upstream job handed over",
		Long: "Fetch the artifacts of the job that started this pipeline, or of another one, and\n" +
			"hold them against the digests of its hand-over. Which job it is, is read from\n" +
			"CI_UPSTREAM_*, UPSTREAM_* or JOB_ID with ACCESS_TOKEN. All files appear in the\n" +
			"folder, or none. Where GitLab gives no artifacts, the package or the object in S3\n" +
			"that towline handover has published is taken.",
		Example: "  towline fetch\n  towline fetch --project group/model --job 4711 --into upstream\n" +
			"  towline fetch --project 42 --pipeline 99 --job handover --path .towline",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runFetch(cmd.Context(), o) },
	}
	o.register(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.into, "into", fetchedInto, "folder that the files go to; one that was fetched before is replaced")
	flags.StringArrayVar(&o.paths, "path", nil, "fetch only this file or folder; * and ** are understood; may be repeated")
	flags.StringVar(&o.from, "from", "", "artifacts, package or s3 only, instead of the first that has it")
	flags.StringVar(&o.s3, "s3", "", "s3://BUCKET/PREFIX that upstream publishes under (TOWLINE_HANDOVER_S3)")
	flags.Int64Var(&o.maxSize, "max-size", 20, "unpack at most so many GB")
	o.dry.register(cmd)
	return cmd
}

func (a *app) runFetch(ctx context.Context, o fetchOptions) error {
	// Read.
	w, err := a.wanted(o.upstreamOptions)
	if err != nil {
		return err
	}
	target, err := a.fetchTarget(o.into)
	if err != nil {
		return err
	}

	// Decide.
	ladder, err := a.ladder(w, o)
	if err != nil {
		return err
	}
	if o.dry.on {
		return a.tellLadder(w, ladder, o)
	}
	if w.ref != "" {
		fmt.Fprintf(a.stderr, "towline: warning: --ref %s takes the latest pipeline that succeeded: while one runs that is "+
			"an older one, and two that run at the same time may get each other's files\n", w.ref)
	}

	// Act.
	debug.SetGCPercent(gcAtWork)
	t := a.teller()
	f := &fetching{app: a, options: o, wanted: w, target: target, tell: t}
	found, err := f.climb(ctx, ladder)
	if err != nil {
		return err
	}

	// Tell.
	return a.tellFetched(t, found)
}

// fetchTarget is the folder as an absolute path. It must be empty, absent, or
// one that was fetched into before.
func (a *app) fetchTarget(into string) (string, error) {
	root, err := a.root()
	if err != nil {
		return "", err
	}
	if !filepath.IsAbs(into) {
		into = filepath.Join(root, into)
	}
	if filepath.Dir(into) == filepath.Join(root, workspace.Folder) {
		ws, err := workspace.Open(root)
		if err != nil {
			return "", err
		}
		if err := ws.Create(); err != nil {
			return "", err
		}
	}
	list, err := os.ReadDir(into)
	if os.IsNotExist(err) || err == nil && len(list) == 0 {
		return into, nil
	}
	if err != nil {
		return "", fault.Newf(fault.Usage, "--into %s: %w", into, err)
	}
	if _, err := os.Lstat(filepath.Join(into, fetchedFile)); err != nil {
		return "", fault.Newf(fault.Conflict, "--into %s: the folder holds files that were not fetched", into).
			Hintf("choose a folder that is empty or does not exist: it is replaced as a whole")
	}
	return into, nil
}

// keeps says whether the folder holds these very files already, unchanged.
func keeps(target string, w fetched) (fetched, bool) {
	body, err := os.ReadFile(filepath.Join(target, fetchedFile))
	var there fetched
	if err != nil || json.Unmarshal(body, &there) != nil || there.Schema != fetchedSchema {
		return fetched{}, false
	}
	if w.Job == "" || there.Project != w.Project || there.Job != w.Job || !slices.Equal(there.Paths, w.Paths) {
		return fetched{}, false
	}
	for _, file := range there.Files {
		sum, size, err := sumOf(filepath.Join(target, filepath.FromSlash(file.Path)))
		if err != nil || sum != file.SHA256 || size != file.Size {
			return fetched{}, false
		}
	}
	there.Kept = true
	return there, true
}

func (a *app) tellLadder(w wanted, ladder []carrier, o fetchOptions) error {
	var names []string
	for _, c := range ladder {
		names = append(names, c.name)
	}
	if a.output == "json" {
		return a.printJSON(map[string]any{
			"project": w.project, "pipeline": w.pipeline, "job": or(w.job, w.name), "ref": w.ref, "carriers": names, "into": o.into,
		})
	}
	fmt.Fprintf(a.stdout, "fetch: %s\n    known from       %s\n    carriers         %s\n    into             %s\n",
		w, w.known, strings.Join(names, ", then "), o.into)
	return nil
}

func (a *app) tellFetched(t *teller, f fetched) error {
	var size int64
	for _, file := range f.Files {
		size += file.Size
	}
	if a.output == "json" {
		return a.printJSON(f)
	}
	what := fmt.Sprintf("%d files, %s", len(f.Files), megabytes(size))
	if f.Kept {
		t.print("%-15s = %s, in %s already", "fetch", what, f.Into)
		return nil
	}
	digests := "no hand-over among them: only the archive's own checksums hold"
	if len(f.Checked) > 0 {
		digests = "digests of " + strings.Join(f.Checked, ", ") + " hold"
	}
	t.step("fetch", "%s, by %s, into %s; %s", what, f.Carrier, f.Into, digests)
	return nil
}

// verified holds what was unpacked against every hand-over that came with it,
// and those against the job that was asked for.
func verified(dir string, files []archive.File, w wanted, all bool) (checked []string, from record.Upstream, err error) {
	sums := map[string]archive.File{}
	for _, file := range files {
		sums[file.Path] = file
	}
	for _, file := range files {
		base, isHandover := handoverBase(file.Path)
		if !isHandover {
			continue
		}
		h, err := readHandover(filepath.Join(dir, filepath.FromSlash(file.Path)))
		if err != nil {
			return nil, from, err
		}
		if err := sameUpstream(h.From, w); err != nil {
			return nil, from, err
		}
		for _, handed := range append([]record.Handed{h.Source}, h.Files...) {
			found, ok := sums[base+handed.Path]
			switch {
			case !ok && all:
				return nil, from, fault.Newf(fault.Missing, "check %s: %s did not come with it", file.Path, handed.Path).
					Hintf("list it under artifacts:paths of the upstream job")
			case ok && found.SHA256 != handed.SHA256:
				return nil, from, fault.Newf(fault.Conflict, "check %s: sha256 of %s is %s, wanted %s", file.Path, handed.Path, found.SHA256, handed.SHA256).
					Hintf("something changed the file after towline handover: let it be the last command of its job")
			}
		}
		checked, from = append(checked, h.Model), h.From
	}
	return checked, from, nil
}

// handoverBase says whether a path is that of a hand-over, and what its
// folder's path begins with.
func handoverBase(name string) (string, bool) {
	at := strings.LastIndex("/"+name, "/"+workspace.Folder+"/")
	if at < 0 || !strings.HasSuffix(name, "/"+record.HandoverFile) {
		return "", false
	}
	return name[:at], strings.Count(name[at:], "/") <= 2
}

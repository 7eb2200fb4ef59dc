package cli

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gitlab.com/towline/towline/pkg/archive"
	"gitlab.com/towline/towline/pkg/cloud"
	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/gitlab"
	"gitlab.com/towline/towline/pkg/gitlog"
	"gitlab.com/towline/towline/pkg/manifest"
	"gitlab.com/towline/towline/pkg/record"
	"gitlab.com/towline/towline/pkg/workspace"
)

type handoverOptions struct {
	through string
	s3      string
	dry     dryRun
}

func newHandover(a *app) *cobra.Command {
	var o handoverOptions
	cmd := &cobra.Command{
		Use:   "handover",
		Short: "Leave the exact source for another project's pipeline",
		Long: "Write the model's source, as the commit has it, to .towline/source.tar, and with it\n" +
			"handover.json, which says whose it is and what digests it has, and handover.env for\n" +
			"the trigger job. With --through package or s3 they are published as well, for\n" +
			"projects whose artifacts a job token does not get.",
		Example: "  towline handover\n  towline handover --through package\n  towline handover --through s3 --s3 s3://bucket/handover",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.runHandover(cmd.Context(), o) },
	}
	cmd.Flags().StringVar(&o.through, "through", byArtifacts, "artifacts, package or s3")
	cmd.Flags().StringVar(&o.s3, "s3", "", "s3://BUCKET/PREFIX to publish under (TOWLINE_HANDOVER_S3)")
	o.dry.register(cmd)
	return cmd
}

// parcel is the hand-over of one model.
type parcel struct {
	model    manifest.Model
	rec      record.Record
	names    []string // of its source, relative to the repository
	handover record.Handover
	at       time.Time
}

func (a *app) runHandover(ctx context.Context, o handoverOptions) error {
	// Read.
	if err := a.ownSource("handover"); err != nil {
		return err
	}
	o.s3 = or(o.s3, a.getenv("TOWLINE_HANDOVER_S3"))
	if err := a.mayHandOver(o); err != nil {
		return err
	}
	repo, err := a.repository()
	if err != nil {
		return err
	}
	models, err := a.models(repo.manifest)
	if err != nil {
		return err
	}
	git, err := a.openGit(ctx, repo.root, false)
	if err != nil {
		return err
	}
	if git == nil {
		return fault.Newf(fault.Missing, "hand over: %s is in no git repository with a commit", repo.root).
			Hintf("commit the model: what is handed over is a commit")
	}

	// Decide.
	var parcels []parcel
	for _, model := range models {
		p, err := a.parcel(ctx, repo, git, model)
		if err != nil {
			return err
		}
		parcels = append(parcels, p)
	}
	if o.dry.on {
		return a.tellParcels(parcels, o)
	}

	// Act.
	unlock, err := repo.workspace.Lock(ctx, lockWait)
	if err != nil {
		return err
	}
	defer unlock()
	for i := range parcels {
		if err := parcels[i].write(repo, o.carrier()); err != nil {
			return err
		}
	}
	if err := writeSharedEnv(repo, parcels, o.carrier()); err != nil {
		return err
	}
	if err := a.publishParcels(ctx, repo, parcels, o); err != nil {
		return err
	}

	// Tell.
	return a.tellParcels(parcels, o)
}

// carrier is how the files travel, as UPSTREAM_CARRIER says it.
func (o handoverOptions) carrier() string {
	if o.through == byS3 {
		return o.s3
	}
	return o.through
}

func (a *app) mayHandOver(o handoverOptions) error {
	job, inJob := a.job()
	switch {
	case o.through != byArtifacts && o.through != byPackage && o.through != byS3:
		return fault.Newf(fault.Usage, "--through %s: wanted %s, %s or %s", o.through, byArtifacts, byPackage, byS3)
	case o.through == byS3 && !strings.HasPrefix(o.s3, "s3://"):
		return fault.Newf(fault.Usage, "--through s3: to which bucket?").Hintf("pass --s3 s3://BUCKET/PREFIX or set TOWLINE_HANDOVER_S3")
	case o.through != byArtifacts && (!inJob || job.ID == "" || job.PipelineID == "" || job.Project() == ""):
		return fault.Newf(fault.Usage, "--through %s: this is no GitLab job", o.through).
			Hintf("run it in a pipeline: what is published is known by the numbers of project, pipeline and job")
	}
	return nil
}

// parcel collects what is handed over of a model.
func (a *app) parcel(ctx context.Context, repo repository, git *gitlog.Repo, model manifest.Model) (parcel, error) {
	p := parcel{model: model}
	var err error
	if p.rec, err = repo.workspace.ReadRecord(repo.manifest, model.Name); err != nil {
		return p, err
	}
	if p.rec.Source.Commit != git.Head() {
		return p, fault.Newf(fault.Repository, "hand over %s: the record is of commit %s, and %s is checked out",
			model.Name, start(p.rec.Source.Commit, 8), start(git.Head(), 8)).Hintf("run towline version first")
	}
	tracked, err := git.Tracked(ctx, sourceFolders(model))
	if err != nil {
		return p, err
	}
	if len(tracked.Changed) > 0 {
		return p, fault.Newf(fault.Repository, "hand over %s: files differ from commit %s", model.Name, start(git.Head(), 8)).
			With(tracked.Changed...).Hintf("commit them, or let nothing change them before towline handover")
	}
	for _, name := range tracked.New {
		fmt.Fprintf(a.stderr, "towline: warning: %s: %s is not in git, and is not handed over\n", model.Name, name)
	}
	p.names = tracked.Files
	if p.at, err = git.CommitTime(ctx); err != nil {
		return p, err
	}
	job, _ := a.job()
	p.handover = record.Handover{
		Schema: record.HandoverSchema, Project: repo.manifest.Project, Model: model.Name,
		From: record.Upstream{
			Server: job.ServerURL, ProjectID: job.ProjectID, Project: job.ProjectPath,
			PipelineID: job.PipelineID, JobID: job.ID, Job: job.Name,
		},
		Version: p.rec.Version.Version, Candidate: p.rec.Candidate, Commit: git.Head(), Ref: p.rec.Source.Ref,
		Committed: p.at.Format(time.RFC3339),
	}
	return p, nil
}

// sourceFolders are what a model's package is made of, and what says how.
func sourceFolders(model manifest.Model) []string {
	all := []string{manifest.File, ".dockerignore", ".towlineignore", path.Clean(model.Path)}
	all = append(all, model.Shared...)
	for _, folder := range dataFolders(model) {
		all = append(all, folder)
	}
	slices.Sort(all)
	return all
}

// write writes source, document and dotenv lines.
func (p *parcel) write(repo repository, carrier string) error {
	var source bytes.Buffer
	dir := repo.workspace.Model(repo.manifest, p.model.Name)
	if err := archive.WriteTar(&source, repo.root, p.names, p.at, p.handover.Commit); err != nil {
		return fault.Newf(fault.Repository, "hand over %s: %w", p.model.Name, err)
	}
	if err := workspace.WriteFile(filepath.Join(dir, record.SourceFile), source.Bytes()); err != nil {
		return err
	}
	for _, name := range []string{record.SourceFile, record.File} {
		sum, size, err := sumOf(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(repo.root, filepath.Join(dir, name))
		if err != nil {
			return err
		}
		handed := record.Handed{Path: filepath.ToSlash(rel), Size: size, SHA256: sum}
		if name == record.SourceFile {
			p.handover.Source = handed
		} else {
			p.handover.Files = []record.Handed{handed}
		}
	}
	body, err := record.MarshalHandover(p.handover)
	if err != nil {
		return err
	}
	if err := workspace.WriteFile(filepath.Join(dir, record.HandoverFile), body); err != nil {
		return err
	}
	prefix := record.EnvPrefix
	if len(repo.manifest.Models) > 1 {
		prefix = record.Prefix(p.model.Name)
	}
	lines, err := record.HandoverLines(p.rec, prefix, p.handover, carrier)
	if err != nil {
		return err
	}
	return workspace.WriteFile(filepath.Join(dir, record.HandoverEnv), lines)
}

// writeSharedEnv writes, for several models, what the trigger job passes on.
func writeSharedEnv(repo repository, parcels []parcel, carrier string) error {
	if len(repo.manifest.Models) == 1 {
		return nil
	}
	from := parcels[0].handover.From
	lines, err := record.HandoverLines(record.Record{}, record.EnvPrefix, record.Handover{From: from}, carrier)
	if err != nil {
		return err
	}
	return workspace.WriteFile(filepath.Join(repo.workspace.Dir(), record.HandoverEnv), lines)
}

// publishParcels puts what the artifacts would be where job tokens get it.
func (a *app) publishParcels(ctx context.Context, repo repository, parcels []parcel, o handoverOptions) error {
	if o.through == byArtifacts {
		return nil
	}
	body, err := zipParcels(repo, parcels)
	if err != nil {
		return err
	}
	from := parcels[0].handover.From
	if o.through == byS3 {
		c, err := a.buckets(ctx)
		if err != nil {
			return err
		}
		return c.Put(ctx, s3Handover(o.s3, or(from.ProjectID, from.Project), from.PipelineID, from.JobID), bytes.NewReader(body), int64(len(body)))
	}
	job, _ := a.job()
	client, err := a.gitlabOf(job.Project(), "")
	if err != nil {
		return err
	}
	version := packageVersion(from.PipelineID, from.JobID)
	if err := client.PutPackage(ctx, packageName, version, inMemory(packageFile, body)); err != nil {
		return err
	}
	pointer, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return client.PutPackage(ctx, packageName, from.PipelineID, inMemory(latestFile, pointer))
}

// inMemory is a small file that is sent to GitLab.
func inMemory(name string, body []byte) gitlab.File {
	sum := sha256.Sum256(body)
	return gitlab.File{
		Name: name, Size: int64(len(body)), SHA256: hex.EncodeToString(sum[:]),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil },
	}
}

// zipParcels packs the parcels as GitLab packs artifacts.
func zipParcels(repo repository, parcels []parcel) ([]byte, error) {
	var packed bytes.Buffer
	out := zip.NewWriter(&packed)
	for _, p := range parcels {
		document, err := filepath.Rel(repo.root, filepath.Join(repo.workspace.Model(repo.manifest, p.model.Name), record.HandoverFile))
		if err != nil {
			return nil, err
		}
		for _, name := range []string{filepath.ToSlash(document), p.handover.Files[0].Path, p.handover.Source.Path} {
			body, err := os.ReadFile(filepath.Join(repo.root, filepath.FromSlash(name)))
			if err != nil {
				return nil, err
			}
			file, err := out.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: p.at})
			if err != nil {
				return nil, err
			}
			if _, err := file.Write(body); err != nil {
				return nil, err
			}
		}
	}
	err := out.Close()
	return packed.Bytes(), err
}

func (a *app) tellParcels(parcels []parcel, o handoverOptions) error {
	if a.output == "json" {
		var all []record.Handover
		for _, p := range parcels {
			all = append(all, p.handover)
		}
		return a.printJSON(map[string]any{"through": o.through, "models": all})
	}
	for _, p := range parcels {
		if o.dry.on {
			fmt.Fprintf(a.stdout, "hand over: %s %s, %d files of commit %s, through %s\n",
				p.model.Name, p.rec.Name(), len(p.names), start(p.handover.Commit, 8), o.through)
			continue
		}
		a.teller().step("handover", "%s %s: %d files, %s, sha256 %s, through %s", p.model.Name, p.rec.Name(), len(p.names),
			megabytes(p.handover.Source.Size), start(p.handover.Source.SHA256, 12), o.through)
	}
	return nil
}

// buckets is S3 with the credentials and the region of the environment. A
// hand-over knows no environment of the manifest, so its token's role is a variable.
func (a *app) buckets(ctx context.Context) (*cloud.Cloud, error) {
	cfg := cloud.Config{
		Region: or(a.getenv("AWS_REGION"), a.getenv("AWS_DEFAULT_REGION"), "us-east-1"), S3Endpoint: a.getenv("TOWLINE_S3_ENDPOINT"), Now: a.now,
	}
	if a.getenv(roleARN) != "" {
		cfg = a.signIn(destination{}, cfg)
	}
	return cloud.New(ctx, cfg)
}

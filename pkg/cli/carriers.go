package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"gitlab.com/towline/towline/pkg/archive"
	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/gitlab"
	"gitlab.com/towline/towline/pkg/record"
)

const (
	packageName  = "towline-handover"
	packageFile  = "handover.zip" // what the artifacts would be
	latestFile   = "latest.json"  // which job handed over last in a pipeline
	downloads    = 4              // parts of an archive at a time
	handoverSize = 1 << 20        // bytes of a hand-over's document, at most
)

// packageVersion is the version of the package that a job hands over by.
func packageVersion(pipeline, job string) string { return pipeline + "." + job }

// carrier is one way to get at what was handed over.
type carrier struct {
	name string
	take func(ctx context.Context, f *fetching) (fetched, error)
}

// ladder are the ways to be tried, in this order.
func (a *app) ladder(w wanted, o fetchOptions) ([]carrier, error) {
	s3 := or(o.s3, a.getenv("TOWLINE_HANDOVER_S3"))
	asked := o.from
	if said, there := w.carrier, w.carrier != ""; there && asked == "" && o.s3 == "" {
		if strings.HasPrefix(said, "s3://") {
			s3, asked = said, byS3
		}
		if said == byPackage {
			asked = byPackage
		}
	}
	all := []carrier{{byArtifacts, takeArtifacts}, {byPackage, takePackage}}
	if s3 != "" {
		all = append(all, carrier{byS3, func(ctx context.Context, f *fetching) (fetched, error) { return takeS3(ctx, f, s3) }})
	}
	switch {
	case asked == "" && w.ref != "":
		return all[:1], nil
	case asked == "":
		return all, nil
	case asked == byS3 && s3 == "":
		return nil, fault.Newf(fault.Usage, "--from s3: from which bucket?").Hintf("pass --s3 s3://BUCKET/PREFIX or set TOWLINE_HANDOVER_S3")
	}
	for _, c := range all {
		if c.name == asked {
			return []carrier{c}, nil
		}
	}
	return nil, fault.Newf(fault.Usage, "--from %s: wanted %s, %s or %s", asked, byArtifacts, byPackage, byS3)
}

// fetching is one run of the command.
type fetching struct {
	*app
	options fetchOptions
	wanted  wanted
	target  string
	tell    *teller
	client  *gitlab.Client
}

// climb takes the first carrier that has the files. What a carrier refuses or
// lacks leads to the next one; the error is that of the first.
func (f *fetching) climb(ctx context.Context, ladder []carrier) (fetched, error) {
	client, err := f.upstreamGitLab(f.wanted.project, f.options.api)
	if err != nil {
		return fetched{}, err
	}
	f.client = client
	var first error
	var others []string
	for _, c := range ladder {
		found, err := c.take(ctx, f)
		if err == nil {
			return found, nil
		}
		if kind := fault.KindOf(err); kind != fault.Denied && kind != fault.Missing || ctx.Err() != nil {
			return fetched{}, err
		}
		if first == nil {
			first = err
			continue
		}
		others = append(others, err.Error())
	}
	if len(others) == 0 {
		return fetched{}, first
	}
	return fetched{}, fault.Newf(fault.KindOf(first), "%w", first).With(others...).Hintf("%s", fault.HintOf(first))
}

// exact finds the number of the job, where only its name is known.
func (f *fetching) exact(ctx context.Context) error {
	if f.wanted.job != "" || f.wanted.ref != "" {
		return nil
	}
	job, err := f.client.JobNamed(ctx, f.wanted.pipeline, f.wanted.name)
	if err == nil {
		f.wanted.job = job.Number()
	}
	return err
}

func takeArtifacts(ctx context.Context, f *fetching) (fetched, error) {
	if err := f.exact(ctx); err != nil {
		return fetched{}, err
	}
	if there, ok := f.there(byArtifacts); ok {
		return there, nil
	}
	var d *gitlab.Download
	var err error
	if f.wanted.ref != "" {
		d, err = f.client.ArtifactsByRef(ctx, f.wanted.ref, f.wanted.name)
	} else {
		d, err = f.client.Artifacts(ctx, f.wanted.job)
	}
	if err != nil {
		return fetched{}, err
	}
	return f.unpack(ctx, byArtifacts, d)
}

func takePackage(ctx context.Context, f *fetching) (fetched, error) {
	if f.wanted.pipeline == "" {
		return fetched{}, fault.Newf(fault.Missing, "fetch package %s: the number of the upstream pipeline is not known", packageName).
			Hintf("pass on UPSTREAM_PIPELINE_ID, or pass --pipeline")
	}
	if f.wanted.job == "" {
		job, err := f.latest(ctx)
		if err != nil {
			return fetched{}, err
		}
		f.wanted.job = job
	}
	if there, ok := f.there(byPackage); ok {
		return there, nil
	}
	d, err := f.client.PackageFile(ctx, packageName, packageVersion(f.wanted.pipeline, f.wanted.job), packageFile)
	if err != nil {
		return fetched{}, err
	}
	return f.unpack(ctx, byPackage, d)
}

// latest asks the pipeline's package which job handed over last.
func (f *fetching) latest(ctx context.Context) (string, error) {
	d, err := f.client.PackageFile(ctx, packageName, f.wanted.pipeline, latestFile)
	if err != nil {
		return "", err
	}
	defer d.Close()
	body, err := d.Small(handoverSize)
	if err != nil {
		return "", err
	}
	var from record.Upstream
	if err := json.Unmarshal(body, &from); err != nil || !digits().MatchString(from.JobID) {
		return "", fault.Newf(fault.Repository, "fetch package %s %s: %s names no job", packageName, f.wanted.pipeline, latestFile).
			Hintf("let the upstream job run towline handover --through package again")
	}
	return from.JobID, nil
}

// there says whether the very files are in the folder already.
func (f *fetching) there(by string) (fetched, bool) {
	found, ok := keeps(f.target, f.describe(by))
	found.Into = f.options.into
	return found, ok
}

func (f *fetching) describe(by string) fetched {
	w := f.wanted
	return fetched{
		Schema: fetchedSchema, Project: w.project, Pipeline: w.pipeline, Job: w.job, Ref: w.ref, Carrier: by,
		Paths: f.options.paths, Checked: []string{},
	}
}

// unpack unpacks an archive of GitLab's while it arrives; one of a server that
// knows no parts is kept on disk first.
func (f *fetching) unpack(ctx context.Context, by string, d *gitlab.Download) (fetched, error) {
	defer d.Close()
	staging, err := archive.Stage(f.target)
	if err != nil {
		return fetched{}, err
	}
	defer staging.Abort()
	var source archive.Source = d
	if !d.Ranges() {
		spool, err := staging.Spool()
		if err != nil {
			return fetched{}, err
		}
		defer func() { _ = spool.Close() }()
		size, err := d.Spool(ctx, spool, f.most(), f.tell.progress)
		if err != nil {
			return fetched{}, err
		}
		source = archive.Disk{File: spool, Bytes: size}
	}
	return f.finish(ctx, by, staging, source, d.Tail())
}

func (f *fetching) most() int64 { return f.options.maxSize << 30 }

// finish unpacks, checks, and puts the folder in its place.
func (f *fetching) finish(ctx context.Context, by string, staging *archive.Staging, source archive.Source, tail []byte) (fetched, error) {
	zip, err := archive.OpenZip(ctx, source, tail, archive.Limits{Size: f.most()})
	if err != nil {
		return fetched{}, err
	}
	files, err := zip.Unpack(ctx, staging, f.options.paths, downloads, f.tell.progress)
	if err != nil {
		return fetched{}, err
	}
	if len(files) == 0 {
		return fetched{}, fault.Newf(fault.Missing, "fetch: nothing in the archive is meant by --path %s", strings.Join(f.options.paths, ", ")).
			With("there are: " + sample(zip.Names())).Hintf("correct the path")
	}
	done := f.describe(by)
	done.Files = files
	var from record.Upstream
	if done.Checked, from, err = verified(staging.Dir(), files, f.wanted, len(f.options.paths) == 0); err != nil {
		return fetched{}, err
	}
	done.Pipeline, done.Job = or(done.Pipeline, from.PipelineID), or(done.Job, from.JobID)
	body, err := json.MarshalIndent(done, "", "  ")
	if err != nil {
		return fetched{}, err
	}
	if err := staging.Write(fetchedFile, append(body, '\n')); err != nil {
		return fetched{}, err
	}
	done.Into = f.options.into
	return done, staging.Commit()
}

func sample(names []string) string {
	if len(names) > 10 {
		return strings.Join(names[:10], ", ") + ", …"
	}
	return strings.Join(names, ", ")
}

func takeS3(ctx context.Context, f *fetching, prefix string) (fetched, error) {
	w := f.wanted
	if w.pipeline == "" || w.job == "" {
		return fetched{}, fault.Newf(fault.Missing, "fetch from %s: the numbers of the upstream pipeline and job are not both known", prefix).
			Hintf("pass on UPSTREAM_PIPELINE_ID and UPSTREAM_JOB_ID")
	}
	if there, ok := f.there(byS3); ok {
		return there, nil
	}
	c, err := f.buckets(ctx)
	if err != nil {
		return fetched{}, err
	}
	staging, err := archive.Stage(f.target)
	if err != nil {
		return fetched{}, err
	}
	defer staging.Abort()
	spool, err := staging.Spool()
	if err != nil {
		return fetched{}, err
	}
	defer func() { _ = spool.Close() }()
	size, err := c.Get(ctx, s3Handover(prefix, w.project, w.pipeline, w.job), spool)
	if err != nil {
		return fetched{}, err
	}
	return f.finish(ctx, byS3, staging, archive.Disk{File: spool, Bytes: size}, nil)
}

// s3Handover is where a job's hand-over lies under a prefix.
func s3Handover(prefix, project, pipeline, job string) string {
	return strings.TrimSuffix(prefix, "/") + "/" + strings.ReplaceAll(project, "/", "-") + "/" + packageVersion(pipeline, job) + "/" + packageFile
}

// readHandover reads a hand-over's document.
func readHandover(path string) (record.Handover, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return record.Handover{}, err
	}
	if !info.Mode().IsRegular() || info.Size() > handoverSize {
		return record.Handover{}, fault.Newf(fault.Repository, "read %s: wanted a file of at most %d bytes", filepath.Base(path), handoverSize)
	}
	body, err := os.ReadFile(path)
	if err != nil {
		return record.Handover{}, err
	}
	return record.UnmarshalHandover(body)
}

// sumOf is the sha256 of a file, hexadecimal, and its size.
func sumOf(path string) (string, int64, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	digest := sha256.New()
	size, err := io.Copy(digest, file)
	return hex.EncodeToString(digest.Sum(nil)), size, errors.Join(err, file.Close())
}

// sameUpstream holds the job that handed over against the one that is wanted.
func sameUpstream(u record.Upstream, w wanted) error {
	for _, part := range []struct{ what, found, want string }{
		{"pipeline", u.PipelineID, w.pipeline}, {"job", u.JobID, w.job},
	} {
		if part.found != "" && part.want != "" && part.found != part.want {
			return fault.Newf(fault.Conflict, "check the hand-over: it is of %s %s, wanted %s", part.what, part.found, part.want).
				Hintf("let the job that runs towline handover be the one whose artifacts are fetched")
		}
	}
	if u.ProjectID != "" && u.ProjectID != w.project && u.Project != w.project {
		return fault.Newf(fault.Conflict, "check the hand-over: it is of project %s (%s), wanted %s", u.Project, u.ProjectID, w.project).
			Hintf("check UPSTREAM_PROJECT_ID")
	}
	return nil
}

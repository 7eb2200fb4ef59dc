package record

import (
	"regexp"
	"strings"
	"sync"

	"gitlab.com/towline/towline/pkg/fault"
)

// HandoverSchema names the format of a hand-over.
const HandoverSchema = "towline/handover/v1"

// HandoverFile is the name of a hand-over, SourceFile that of the source that
// goes with it, and HandoverEnv that of what a trigger job passes on.
const (
	HandoverFile = "handover.json"
	SourceFile   = "source.tar"
	HandoverEnv  = "handover.env"
)

// Handover is what one project hands over to another: whose it is, and the
// files that go with it, by their digests.
type Handover struct {
	Schema    string   `json:"schema"`
	From      Upstream `json:"from"`
	Project   string   `json:"project"` // as towline.yaml calls it
	Model     string   `json:"model"`
	Version   string   `json:"version"`
	Candidate string   `json:"candidate,omitempty"`
	Commit    string   `json:"commit"`
	Ref       string   `json:"ref,omitempty"`
	Committed string   `json:"committed,omitempty"` // RFC 3339
	Source    Handed   `json:"source"`
	Files     []Handed `json:"files"` // that go with it, the record first
}

// Upstream is the job that hands over. Numbers are text, as they only name
// things; all are empty on a laptop.
type Upstream struct {
	Server     string `json:"server,omitempty"` // https://gitlab.example.com
	ProjectID  string `json:"project_id,omitempty"`
	Project    string `json:"project,omitempty"` // path
	PipelineID string `json:"pipeline_id,omitempty"`
	JobID      string `json:"job_id,omitempty"`
	Job        string `json:"job,omitempty"` // name
}

// Handed is one file of a hand-over.
type Handed struct {
	Path   string `json:"path"` // relative to the folder of the model repository
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

var (
	handedPath   = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^\.towline/([a-z0-9-]+/)?[a-z0-9-]+\.[a-z]+$`) })
	handedCommit = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`) })
)

// MarshalHandover writes a hand-over as indented JSON.
func MarshalHandover(h Handover) ([]byte, error) { return indented(h) }

// UnmarshalHandover reads a hand-over, which comes from another project. Its
// error is a fault.Repository that says what is wrong with it.
func UnmarshalHandover(data []byte) (Handover, error) {
	var h Handover
	if err := decode(data, HandoverSchema, &h); err != nil {
		return Handover{}, fault.Newf(fault.Repository, "%s", strings.Replace(err.Error(), File, HandoverFile, 1)).
			Hintf("use one version of Towline in both projects, and let upstream run towline handover")
	}
	wrong := func(key, found string) error {
		return fault.Newf(fault.Repository, "read %s: its %s is %.80q", HandoverFile, key, found).
			Hintf("let upstream run towline handover again")
	}
	switch {
	case !name().MatchString(h.Project):
		return Handover{}, wrong("project", h.Project)
	case !name().MatchString(h.Model):
		return Handover{}, wrong("model", h.Model)
	case !handedCommit().MatchString(h.Commit):
		return Handover{}, wrong("commit", h.Commit)
	case len(h.Files) == 0:
		return Handover{}, wrong("list of files", "")
	}
	for _, file := range append([]Handed{h.Source}, h.Files...) {
		if !handedPath().MatchString(file.Path) {
			return Handover{}, wrong("path", file.Path)
		}
		if !identity().MatchString(file.SHA256) {
			return Handover{}, wrong("sha256 of "+file.Path, file.SHA256)
		}
	}
	return h, nil
}

// HandoverLines is the dotenv form of a hand-over: what is known of the
// version, and what the trigger job passes on. Carrier says how the files
// travel: artifacts, package, or an address in S3.
func HandoverLines(r Record, prefix string, h Handover, carrier string) ([]byte, error) {
	known, err := Record{Version: r.Version, Identity: r.Identity, Source: r.Source}.Env(prefix)
	if err != nil {
		return nil, err
	}
	text := string(known)
	for _, v := range []variable{
		{"UPSTREAM_PROJECT_ID", h.From.ProjectID}, {"UPSTREAM_PIPELINE_ID", h.From.PipelineID},
		{"UPSTREAM_JOB_ID", h.From.JobID}, {"UPSTREAM_CARRIER", carrier}, {prefix + "SOURCE_SHA256", h.Source.SHA256},
	} {
		if v.value != "" {
			text += v.name + "=" + v.value + "\n"
		}
	}
	if lines := strings.Count(text, "\n"); lines > envKeys || len(text) >= envSize {
		return nil, fault.Newf(fault.Bug, "write %s: %d lines of %d bytes", HandoverEnv, lines, len(text))
	}
	return []byte(text), nil
}

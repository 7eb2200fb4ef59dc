package evidence

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"gitlab.com/towline/towline/pkg/record"
	"gitlab.com/towline/towline/pkg/release"
)

// ProvenanceType is what a statement of how something was built is about.
const ProvenanceType = "https://slsa.dev/provenance/v1"

const (
	statementType = "https://in-toto.io/Statement/v1"
	buildType     = home + "/provenance/v1"
)

// Build is how an image came about.
type Build struct {
	Image    string // digest, sha256:…
	Project  string
	Model    string
	Version  string
	Identity string
	Source   record.Source
	Inputs   release.Inputs // what could change the model; Code may be left out, as Identity covers it
	SBOM     []byte         // the bill of materials that belongs to it; may be nil
	Tool     string         // Towline's version
}

// Statement says of an image how it was built: an in-toto statement with SLSA
// provenance.
type Statement struct {
	Type          string     `json:"_type"`
	Subject       []Resource `json:"subject"`
	PredicateType string     `json:"predicateType"`
	Predicate     Provenance `json:"predicate"`
}

// Provenance is https://slsa.dev/spec/v1.0/provenance.
type Provenance struct {
	BuildDefinition BuildDefinition `json:"buildDefinition"`
	RunDetails      RunDetails      `json:"runDetails"`
}

// BuildDefinition is what was asked for, and of what it was made.
type BuildDefinition struct {
	BuildType            string     `json:"buildType"`
	ExternalParameters   External   `json:"externalParameters"`
	InternalParameters   Internal   `json:"internalParameters"`
	ResolvedDependencies []Resource `json:"resolvedDependencies"`
}

// External is what the repository asked for. Variables are named without their values.
type External struct {
	Repository      string            `json:"repository,omitempty"`
	Ref             string            `json:"ref,omitempty"`
	Project         string            `json:"project"`
	Model           string            `json:"model"`
	Base            string            `json:"base"`
	Platform        string            `json:"platform"`
	Python          string            `json:"python,omitempty"`
	Programs        []string          `json:"programs,omitempty"`
	ImageEnv        []string          `json:"imageEnvironment,omitempty"`
	User            string            `json:"user,omitempty"`
	Train           []string          `json:"train,omitempty"`
	Serve           []string          `json:"serve,omitempty"`
	Evaluate        []string          `json:"evaluate,omitempty"` // file and command
	Hyperparameters map[string]string `json:"hyperparameters,omitempty"`
	Environment     []string          `json:"trainEnvironment,omitempty"`
	Data            map[string]string `json:"data,omitempty"`
}

// Internal is what Towline derived.
type Internal struct {
	Identity string `json:"identity"`
	Version  string `json:"version"`
	Layout   string `json:"layout"`
	Changed  bool   `json:"changedWorkTree,omitempty"` // files differed from the commit
}

// RunDetails are who built it, where.
type RunDetails struct {
	Builder    Builder    `json:"builder"`
	Metadata   *Metadata  `json:"metadata,omitempty"`
	Byproducts []Resource `json:"byproducts,omitempty"`
}

// Builder is the program that built it.
type Builder struct {
	ID      string            `json:"id"`
	Version map[string]string `json:"version,omitempty"`
}

// Metadata names the run.
type Metadata struct {
	InvocationID string `json:"invocationId,omitempty"`     // URL of the job
	Pipeline     string `json:"towline_pipeline,omitempty"` // URL; an extension, named as SLSA wants
}

// Resource is a thing with a digest.
type Resource struct {
	Name      string            `json:"name,omitempty"`
	URI       string            `json:"uri,omitempty"`
	Digest    map[string]string `json:"digest,omitempty"`
	MediaType string            `json:"mediaType,omitempty"`
}

// Provenance is the statement as JSON. The same build gives the same bytes:
// there are no times in it.
func (b Build) Provenance() ([]byte, error) {
	s := Statement{
		Type: statementType, PredicateType: ProvenanceType,
		Subject: []Resource{{Name: b.Project + "/" + b.Model, Digest: digestSet(b.Image)}},
	}
	s.Predicate.BuildDefinition = BuildDefinition{
		BuildType: buildType, ExternalParameters: b.external(), ResolvedDependencies: b.materials(),
		InternalParameters: Internal{
			Identity: b.Identity, Version: b.Version, Layout: b.Inputs.Layout, Changed: b.Source.Dirty,
		},
	}
	s.Predicate.RunDetails.Builder = Builder{ID: home, Version: map[string]string{"towline": b.Tool}}
	if b.Source.Job != "" || b.Source.Pipeline != "" {
		s.Predicate.RunDetails.Metadata = &Metadata{InvocationID: b.Source.Job, Pipeline: b.Source.Pipeline}
	}
	if b.SBOM != nil {
		s.Predicate.RunDetails.Byproducts = []Resource{
			{Name: "bill of materials", Digest: digestSet(digestOf(b.SBOM)), MediaType: TypeSBOM},
		}
	}
	return compact(s)
}

// compact is JSON on one line, with < and > as they are.
func compact(v any) ([]byte, error) {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(text.Bytes(), []byte("\n")), nil
}

func (b Build) external() External {
	return External{
		Repository: b.Source.Repository, Ref: b.Source.Ref, Project: b.Project, Model: b.Model,
		Base: b.Inputs.Base, Platform: b.Inputs.Platform, Python: b.Inputs.Python,
		Programs: b.Inputs.Programs, ImageEnv: slices.Sorted(maps.Keys(b.Inputs.ImageEnv)), User: b.Inputs.User,
		Train: b.Inputs.Train, Serve: b.Inputs.Serve, Evaluate: b.Inputs.Evaluate, Hyperparameters: b.Inputs.Hyperparameters,
		Environment: slices.Sorted(maps.Keys(b.Inputs.TrainEnv)), Data: b.Inputs.Data,
	}
}

// materials are what the image was made of: the commit, the base image, the locks.
func (b Build) materials() []Resource {
	list := []Resource{}
	if b.Source.Repository != "" || b.Source.Commit != "" {
		list = append(list, commit(b.Source))
	}
	if name, digest, ok := strings.Cut(b.Inputs.Base, "@"); ok {
		list = append(list, Resource{Name: "base image", URI: "oci://" + name, Digest: digestSet(digest)})
	}
	for _, lock := range b.Inputs.Locks {
		list = append(list, Resource{Name: path.Clean(lock.Path), Digest: digestSet("sha256:" + strings.ToLower(lock.SHA256))})
	}
	return list
}

func commit(from record.Source) Resource {
	source := Resource{Name: "source"}
	if from.Repository != "" {
		source.URI = "git+" + from.Repository
		if from.Ref != "" {
			source.URI += "@" + from.Ref
		}
	}
	if from.Commit != "" {
		source.Digest = map[string]string{"gitCommit": from.Commit}
	}
	return source
}

// digestSet is sha256:… in in-toto's form.
func digestSet(digest string) map[string]string {
	algorithm, value, _ := strings.Cut(digest, ":")
	return map[string]string{algorithm: value}
}

// ParseStatement reads provenance from anybody, as far as it can be held
// against an image.
func ParseStatement(text []byte) (Statement, error) {
	var s Statement
	if err := json.Unmarshal(text, &s); err != nil {
		return Statement{}, err
	}
	if s.Type != statementType || s.PredicateType != ProvenanceType {
		return Statement{}, fmt.Errorf("it is %q about %q, wanted %s about %s", clip(s.Type), clip(s.PredicateType), statementType, ProvenanceType)
	}
	return s, nil
}

// About says whether the statement is about the image of this digest.
func (s Statement) About(image string) bool {
	want := strings.TrimPrefix(image, "sha256:")
	return slices.ContainsFunc(s.Subject, func(r Resource) bool { return r.Digest["sha256"] == want && want != "" })
}

// Commit is the commit that it was built from, or "".
func (s Statement) Commit() string {
	for _, r := range s.Predicate.BuildDefinition.ResolvedDependencies {
		if found := r.Digest["gitCommit"]; found != "" {
			return found
		}
	}
	return ""
}

// names says whether the statement vouches for a bill of materials; one that
// names none vouches for none.
func (s Statement) names(sbom []byte) bool {
	want := strings.TrimPrefix(digestOf(sbom), "sha256:")
	return slices.ContainsFunc(s.Predicate.RunDetails.Byproducts, func(r Resource) bool {
		return r.MediaType == TypeSBOM && r.Digest["sha256"] == want
	})
}

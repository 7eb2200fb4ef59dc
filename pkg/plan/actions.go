package plan

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"gitlab.com/towline/towline/pkg/manifest"
	"gitlab.com/towline/towline/pkg/record"
)

// Package turns the model's folder into an OCI layout on disk.
// It yields digest and size; its section is record.Image.
type Package struct {
	Project      string            `json:"project,omitempty"`
	Model        string            `json:"model,omitempty"`
	Root         string            `json:"root,omitempty"`         // folder of the repository, absolute
	Path         string            `json:"path,omitempty"`         // folder of the model, slash-separated, relative to Root
	Shared       []string          `json:"shared,omitempty"`       // further folders, relative to Root
	Exclude      []string          `json:"exclude,omitempty"`      // folders that are data, relative to Root
	Base         string            `json:"base,omitempty"`         // scratch, or an image reference
	Platform     string            `json:"platform,omitempty"`     // os/arch[/variant]
	Python       string            `json:"python,omitempty"`       // minor version
	Requirements string            `json:"requirements,omitempty"` // file, relative to the model's folder; "" for none
	Programs     []string          `json:"programs,omitempty"`     // folders relative to the model's folder, for the PATH
	Environment  map[string]string `json:"environment,omitempty"`  // variables of the image; an empty one is taken out
	User         string            `json:"user,omitempty"`         // uid[:gid]; "" is root
	Train        []string          `json:"train,omitempty"`        // commands of the entries; nil for an image and no more
	Serve        []string          `json:"serve,omitempty"`        // nil for a model that is not served
	Evaluate     []string          `json:"evaluate,omitempty"`     // nil for a model that is measured by its training alone
	Labels       map[string]string `json:"labels,omitempty"`
	Created      time.Time         `json:"created,omitzero"` // of the commit, so that a rebuild gives the same digest
	Layout       string            `json:"layout,omitempty"` // where the OCI layout is written, absolute

	EvaluationFile string `json:"evaluation_file,omitempty"` // what Evaluate writes

	Format   string    `json:"format,omitempty"`   // docker, oci or index; "" is docker
	Variants []Variant `json:"variants,omitempty"` // the further platforms of an index
	Reuse    []string  `json:"reuse,omitempty"`    // images of earlier builds, whose layers need not be built again

	// Ahead is the repository of the push that follows: layers are sent there
	// while others are still being packed; manifests and tags are not.
	Ahead string `json:"ahead,omitempty"`
}

// Variant is a further platform of an image, and what it is built on there.
type Variant struct {
	Base     string `json:"base,omitempty"`
	Platform string `json:"platform,omitempty"`
}

// ID is "package".
func (Package) ID() string { return "package" }

// Facts name the parts of the image.
func (a Package) Facts() []Fact {
	return facts("base", a.Base, "platform", a.Platform, "python", a.Python, "requirements", a.Requirements,
		"programs", strings.Join(a.Programs, ", "), "environment", pairs(a.Environment), "user", a.User,
		"train", strings.Join(a.Train, " "), "serve", strings.Join(a.Serve, " "),
		"evaluate", strings.Join(a.Evaluate, " "), "format", a.Format, "layers from", strings.Join(a.Reuse, ", "), "layers ahead to", a.Ahead)
}

// Fill changes nothing: a package rests on files alone.
func (a Package) Fill(Yields) (Action, error) { return a, nil }

// Push publishes the OCI layout, by digest first and then under its tags.
// It yields image, the reference by digest; its section is record.Image.
type Push struct {
	Layout     string       `json:"layout,omitempty"`
	Repository string       `json:"repository,omitempty"` // host/path
	Digest     Value        `json:"digest,omitzero"`
	Tags       []string     `json:"tags,omitempty"`
	Image      record.Image `json:"image,omitempty"` // what is known of the image so far; empty fields come from the layout

	// Marker is a tag that later builds look at for layers they can reuse. It is
	// set last, it moves, and a registry may refuse it.
	Marker string         `json:"marker,omitempty"`
	Create *NewRepository `json:"create,omitempty"` // how to create the repository if there is none; nil: it is not
	Copy   bool           `json:"copy,omitempty"`   // a further copy, of which the record learns nothing
}

// NewRepository says how an image repository is created.
type NewRepository struct {
	Immutable bool              `json:"immutable,omitempty"` // tags cannot be moved, but for the marker
	Scan      bool              `json:"scan,omitempty"`      // images are scanned when they arrive
	Keep      int               `json:"keep,omitempty"`      // so many images are kept, the newest; 0 for all
	KMSKey    string            `json:"kms_key,omitempty"`
	Tags      map[string]string `json:"tags,omitempty"`
}

// String says what becomes of a repository that is not there.
func (r *NewRepository) String() string {
	if r == nil {
		return ""
	}
	text := "created if there is none"
	if r.Immutable {
		text += ", tags stay"
	}
	if r.Scan {
		text += ", scanned"
	}
	if r.Keep > 0 {
		text += ", newest " + strconv.Itoa(r.Keep) + " kept"
	}
	return text
}

// ID is "push".
func (Push) ID() string { return "push" }

// Facts name the destination.
func (a Push) Facts() []Fact {
	list := []Fact{{"image", Join(Text(a.Repository+"@"), a.Digest)}}
	return append(list, facts("tags", strings.Join(a.Tags, ", "), "repository", a.Create.String())...)
}

// Fill sets the digest.
func (a Push) Fill(y Yields) (Action, error) {
	err := y.fillAll(&a.Digest)
	return a, err
}

// Upload copies a folder of data to a content-addressed prefix. Yields uri.
type Upload struct {
	Channel string `json:"channel,omitempty"`
	Dir     string `json:"dir,omitempty"`    // absolute
	Digest  string `json:"digest,omitempty"` // sha256 of names and contents, hexadecimal
	To      string `json:"to,omitempty"`     // s3://bucket/…/<digest>/
	KMSKey  string `json:"kms_key,omitempty"`
}

// ID is "upload:" and the channel.
func (a Upload) ID() string { return "upload:" + a.Channel }

// Facts name source and destination.
func (a Upload) Facts() []Fact { return facts("from", a.Dir, "to", a.To) }

// Fill changes nothing.
func (a Upload) Fill(Yields) (Action, error) { return a, nil }

// Input is one channel of a training job.
type Input struct {
	Channel string `json:"channel,omitempty"`
	URI     string `json:"uri,omitempty"` // s3://… prefix
}

// Train runs a training job, or adopts the one that runs or ran under its name
// for the same identity. After a failed or stopped job of that name the next
// attempt is -r2, -r3… It yields job, model_data and output_data; its section
// is record.Training.
type Train struct {
	Job             string            `json:"job,omitempty"`
	Entrypoint      []string          `json:"entrypoint,omitempty"` // what the image runs; nil: what it trains with
	Image           Value             `json:"image,omitzero"`
	Role            string            `json:"role,omitempty"`
	Instance        string            `json:"instance,omitempty"`
	Count           int               `json:"count,omitempty"`
	VolumeGB        int               `json:"volume_gb,omitempty"`
	Spot            bool              `json:"spot,omitempty"`
	MaxRuntime      manifest.Duration `json:"max_runtime,omitempty"`
	Hyperparameters map[string]string `json:"hyperparameters,omitempty"`
	Environment     map[string]string `json:"environment,omitempty"`
	Inputs          []Input           `json:"inputs,omitempty"`
	Output          string            `json:"output,omitempty"` // s3://…; SageMaker adds /<job>/output/model.tar.gz
	VPC             *manifest.VPC     `json:"vpc,omitempty"`
	KMSKey          string            `json:"kms_key,omitempty"`
	Identity        string            `json:"identity,omitempty"`
	Tags            map[string]string `json:"tags,omitempty"`
}

// ID is "train".
func (Train) ID() string { return "train" }

// Facts are the request in short.
func (a Train) Facts() []Fact {
	list := []Fact{{"job", Text(a.Job)}, {"image", a.Image}}
	list = append(list, facts("instance", strconv.Itoa(a.Count)+" × "+a.Instance, "spot", yes(a.Spot),
		"max runtime", a.MaxRuntime.String(), "hyperparameters", pairs(a.Hyperparameters))...)
	for _, in := range a.Inputs {
		list = append(list, Fact{"channel " + in.Channel, Text(in.URI)})
	}
	return append(list, facts("output", a.Output, "role", a.Role)...)
}

// Fill sets the image.
func (a Train) Fill(y Yields) (Action, error) {
	err := y.fillAll(&a.Image)
	return a, err
}

// Evaluate reads what the training measured. It yields evaluation, as JSON;
// its section is record.Evaluation.
type Evaluate struct {
	OutputData Value  `json:"output_data,omitzero"` // s3://…/output.tar.gz
	File       string `json:"file,omitempty"`       // in the archive
	TestData   string `json:"test_data,omitempty"`  // digest of the data it was measured on
	Channel    string `json:"channel,omitempty"`    // the channels that hold that data
}

// ID is "evaluate".
func (Evaluate) ID() string { return "evaluate" }

// Facts name the file.
func (a Evaluate) Facts() []Fact {
	return []Fact{{"from", a.OutputData}, {"file", Text(a.File)}}
}

// Fill sets the archive.
func (a Evaluate) Fill(y Yields) (Action, error) {
	err := y.fillAll(&a.OutputData)
	return a, err
}

// Judge holds the candidate against the rules and the champion. It fails with
// fault.Refused if the candidate does not pass; its section is record.Verdict.
type Judge struct {
	Rules      []manifest.Rule `json:"rules,omitempty"`
	Evaluation Value           `json:"evaluation,omitzero"` // JSON of record.Evaluation
	Champion   *record.Record  `json:"champion,omitempty"`  // nil: there is none
	Again      Value           `json:"again,omitzero"`      // JSON of record.Evaluation: the champion's, measured again; empty: what its record says
	Unread     bool            `json:"unread,omitempty"`    // whether there is a champion could not be read, as in an offline dry run
}

// ID is "gate".
func (Judge) ID() string { return "gate" }

// Facts name the rules and the champion.
func (a Judge) Facts() []Fact {
	champion := "none: the first model"
	if a.Unread {
		champion = "read from the endpoint when it runs"
	}
	if a.Champion != nil {
		champion = a.Champion.Name()
	}
	if len(a.Again.String()) > 0 && !a.Unread {
		champion += ", evaluated again"
	}
	list := facts("champion", champion)
	for _, rule := range a.Rules {
		list = append(list, facts("rule", rule.String())...)
	}
	return list
}

// Fill sets the evaluation.
func (a Judge) Fill(y Yields) (Action, error) {
	err := y.fillAll(&a.Evaluation, &a.Again)
	return a, err
}

// SaveRecord keeps the record as it stands at this point of the plan.
type SaveRecord struct {
	Step string `json:"step,omitempty"` // makes the ID unique: "trained", "deployed"
	To   string `json:"to,omitempty"`   // s3://…/release.json
}

// ID is "record:" and the step.
func (a SaveRecord) ID() string { return "record:" + a.Step }

// Facts name the destination.
func (a SaveRecord) Facts() []Fact { return facts("to", a.To) }

// Fill changes nothing.
func (a SaveRecord) Fill(Yields) (Action, error) { return a, nil }

// CreateModel tells SageMaker of the model: an image with an archive of
// weights. It yields model.
type CreateModel struct {
	Name        string            `json:"name,omitempty"`
	Image       Value             `json:"image,omitzero"`
	ModelData   Value             `json:"model_data,omitzero"`
	Role        string            `json:"role,omitempty"`
	Environment map[string]string `json:"environment,omitempty"`
	VPC         *manifest.VPC     `json:"vpc,omitempty"`
	Identity    string            `json:"identity,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
}

// ID is "model".
func (CreateModel) ID() string { return "model" }

// Facts are the request in short.
func (a CreateModel) Facts() []Fact {
	return []Fact{{"name", Text(a.Name)}, {"image", a.Image}, {"model data", a.ModelData}}
}

// Fill sets the image and the archive.
func (a CreateModel) Fill(y Yields) (Action, error) {
	err := y.fillAll(&a.Image, &a.ModelData)
	return a, err
}

// Deploy makes an endpoint serve the model: creates it, or updates it and
// makes sure that the update was not rolled back. Its section is record.Endpoint.
type Deploy struct {
	Environment string            `json:"environment,omitempty"`
	Endpoint    string            `json:"endpoint,omitempty"`
	Config      string            `json:"config,omitempty"`
	Model       Value             `json:"model,omitzero"`
	Variant     string            `json:"variant,omitempty"`
	Instance    string            `json:"instance,omitempty"`
	Count       int               `json:"count,omitempty"`
	Startup     manifest.Duration `json:"startup,omitempty"` // how long the server may take to answer /ping
	KMSKey      string            `json:"kms_key,omitempty"`
	Identity    string            `json:"identity,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
}

// ID is "deploy".
func (Deploy) ID() string { return "deploy" }

// Facts are the requests in short.
func (a Deploy) Facts() []Fact {
	return []Fact{
		{"endpoint", Text(a.Endpoint + " (create or update)")},
		{"config", Text(a.Config)}, {"model", a.Model},
		{"instance", Text(strconv.Itoa(a.Count) + " × " + a.Instance)},
	}
}

// Fill sets the model.
func (a Deploy) Fill(y Yields) (Action, error) {
	err := y.fillAll(&a.Model)
	return a, err
}

// Smoke asks the endpoint for one prediction. It yields prediction.
type Smoke struct {
	Endpoint    string `json:"endpoint,omitempty"`
	File        string `json:"file,omitempty"` // absolute
	ContentType string `json:"content_type,omitempty"`
}

// ID is "predict".
func (Smoke) ID() string { return "predict" }

// Facts name the request.
func (a Smoke) Facts() []Fact { return facts("endpoint", a.Endpoint, "request", a.File) }

// Fill changes nothing.
func (a Smoke) Fill(Yields) (Action, error) { return a, nil }

// Keep stands for an action that is not needed, says why, and yields what the
// action would have yielded.
type Keep struct {
	Of      string            `json:"of,omitempty"` // the ID of the action it stands for
	Why     string            `json:"why,omitempty"`
	Yielded map[string]string `json:"yielded,omitempty"`
}

// ID is that of the action it stands for.
func (a Keep) ID() string { return a.Of }

// Facts say why nothing is done.
func (a Keep) Facts() []Fact { return facts("kept", a.Why) }

// Fill changes nothing.
func (a Keep) Fill(Yields) (Action, error) { return a, nil }

// facts makes facts of names and texts in turn, without the empty ones.
func facts(pairs ...string) []Fact {
	var list []Fact
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			list = append(list, Fact{pairs[i], Text(pairs[i+1])})
		}
	}
	return list
}

func pairs(m map[string]string) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(m)) {
		list = append(list, name+"="+m[name])
	}
	return strings.Join(list, " ")
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return ""
}

// Package record is the release record: what is known of one release of one
// model, handed from job to job and from project to project.
//
// In come sections, one from each stage; out go JSON and a flat dotenv form.
// It never reads the disk, and holds no secrets and no times but those that
// the services gave.
package record

// File is the record's name, and EnvFile that of its dotenv form.
const (
	File    = "release.json"
	EnvFile = "release.env"
)

// Schema names the format of the record.
const Schema = "towline/record/v1"

// Record is one release of one model. A nil section is a stage that has not run.
type Record struct {
	Schema  string `json:"schema"`
	Project string `json:"project"`
	Model   string `json:"model"`
	Version
	Identity   string      `json:"identity,omitempty"` // sha256, hexadecimal
	Source     Source      `json:"source"`
	Data       []Channel   `json:"data,omitempty"`
	Image      *Image      `json:"image,omitempty"`
	Training   *Training   `json:"training,omitempty"`
	Evaluation *Evaluation `json:"evaluation,omitempty"`
	Verdict    *Verdict    `json:"verdict,omitempty"`
	Endpoint   *Endpoint   `json:"endpoint,omitempty"`

	Rest Rest `json:"-"` // of a later Towline
}

// Version is what the release is called, and why.
type Version struct {
	Version    string   `json:"version"`             // the next version, or the base if nothing is to be released
	Candidate  string   `json:"candidate,omitempty"` // what names things until the gate has passed
	Base       string   `json:"base,omitempty"`      // the version it builds on; "" before the first
	Bump       string   `json:"bump,omitempty"`      // major | minor | patch | none | initial
	Released   bool     `json:"released"`            // there is something to release
	Reused     bool     `json:"reused"`
	Superseded bool     `json:"superseded"`
	Exact      bool     `json:"exact"`         // the history was complete
	Tag        string   `json:"tag,omitempty"` // the git tag that marks the version, once this release has it
	Names      *Names   `json:"names,omitempty"`
	Asked      *Asked   `json:"asked,omitempty"` // what the user asked for beyond the ordinary next version
	Reason     []Reason `json:"reason"`
}

// Names are the version as other services write it.
type Names struct {
	OCI       string `json:"oci"`       // image tag
	SageMaker string `json:"sagemaker"` // with project and model
	PEP440    string `json:"pep440"`    // Python package
	GitLab    string `json:"gitlab"`    // package and model registry

	Rest Rest `json:"-"` // of a later Towline
}

// Asked is what a user asked of the version.
type Asked struct {
	ReleaseAs string `json:"release_as,omitempty"` // this version, X.Y.Z
	Retrain   bool   `json:"retrain,omitempty"`    // a new model from a commit that may be released already
	Channel   string `json:"channel,omitempty"`    // rc, or "" for stable versions
}

// Reason is one commit, or one rule, that the version rests on.
type Reason struct {
	Commit string `json:"commit,omitempty"`
	Header string `json:"header,omitempty"` // first line of its message
	Bump   string `json:"bump,omitempty"`
	Text   string `json:"text"`

	Rest Rest `json:"-"` // of a later Towline
}

// Source is where the code came from.
type Source struct {
	Repository string `json:"repository,omitempty"` // URL without credentials
	Commit     string `json:"commit,omitempty"`
	Ref        string `json:"ref,omitempty"`
	Dirty      bool   `json:"dirty,omitempty"`
	Pipeline   string `json:"pipeline,omitempty"` // URL
	Job        string `json:"job,omitempty"`      // URL

	Rest Rest `json:"-"` // of a later Towline
}

// Channel is one set of data that the training read.
type Channel struct {
	Name   string `json:"name"`
	URI    string `json:"uri"`
	Digest string `json:"digest,omitempty"` // sha256 of names and contents; "" for data that is only referred to
	Test   bool   `json:"test,omitempty"`   // the evaluation was measured on it

	Rest Rest `json:"-"` // of a later Towline
}

// Image is the packaged model code.
type Image struct {
	Repository string `json:"repository,omitempty"` // host/path; "" before the push
	Digest     string `json:"digest"`               // sha256:…
	Tag        string `json:"tag,omitempty"`
	Platform   string `json:"platform"`
	Python     string `json:"python,omitempty"`
	Base       string `json:"base"`                // scratch, or the pinned reference
	Size       int64  `json:"size"`                // bytes, compressed
	Evaluates  string `json:"evaluates,omitempty"` // file that its evaluate entry writes; "" if it has none

	Rest Rest `json:"-"` // of a later Towline
}

// Training is the job that made the model.
type Training struct {
	Job             string            `json:"job"`
	ARN             string            `json:"arn,omitempty"`
	ModelData       string            `json:"model_data"` // s3://…/model.tar.gz
	OutputData      string            `json:"output_data,omitempty"`
	Hyperparameters map[string]string `json:"hyperparameters,omitempty"`
	Instance        string            `json:"instance,omitempty"`
	Started         string            `json:"started,omitempty"` // RFC 3339
	Ended           string            `json:"ended,omitempty"`
	BillableSeconds int64             `json:"billable_seconds,omitempty"`

	Rest Rest `json:"-"` // of a later Towline
}

// Evaluation is what the trained model scored.
type Evaluation struct {
	Metrics   map[string]float64 `json:"metrics"`
	Confusion *Confusion         `json:"confusion_matrix,omitempty"`
	Residuals []float64          `json:"residuals,omitempty"`    // observed minus predicted, in the target's unit
	TestData  string             `json:"test_data,omitempty"`    // digest of the data it was measured on
	DataName  string             `json:"test_channel,omitempty"` // the channels it was measured on, comma-separated
	Job       string             `json:"job,omitempty"`          // that measured it, where that was not the training

	Rest Rest `json:"-"` // of a later Towline
}

// Confusion is a confusion matrix: Matrix[i][j] counts the rows of class i that were called j.
type Confusion struct {
	Labels []string  `json:"labels"`
	Matrix [][]int64 `json:"matrix"`

	Rest Rest `json:"-"` // of a later Towline
}

// Verdict is what the gate decided.
type Verdict struct {
	Passed   bool    `json:"passed"`
	Champion string  `json:"champion,omitempty"` // version or candidate compared with; "" for a first model
	Again    string  `json:"again,omitempty"`    // the job that evaluated the champion again, on the candidate's test data
	Checks   []Check `json:"checks"`
	Note     string  `json:"note,omitempty"` // said aloud: no champion, other test data

	Rest Rest `json:"-"` // of a later Towline
}

// Check is one comparison of the verdict.
type Check struct {
	Metric    string   `json:"metric"`
	Rule      string   `json:"rule"` // at_least, at_most, may_drop, may_rise
	Candidate *float64 `json:"candidate"`
	Champion  *float64 `json:"champion,omitempty"`
	Limit     float64  `json:"limit"`  // what the candidate's value is held against
	Status    string   `json:"status"` // passed | failed | skipped
	Text      string   `json:"text"`

	Rest Rest `json:"-"` // of a later Towline
}

// Endpoint is where the model serves.
type Endpoint struct {
	Environment string `json:"environment"`
	Name        string `json:"name"`
	ARN         string `json:"arn,omitempty"`
	Config      string `json:"config"`
	Model       string `json:"model"`

	Rest Rest `json:"-"` // of a later Towline
}

// Section is a part of the record that one stage adds.
type Section interface {
	Into(Record) Record
}

// Into adds the image.
func (s Image) Into(r Record) Record { r.Image = &s; return r }

// Into adds the training.
func (s Training) Into(r Record) Record { r.Training = &s; return r }

// Into adds the evaluation.
func (s Evaluation) Into(r Record) Record { r.Evaluation = &s; return r }

// Into adds the verdict.
func (s Verdict) Into(r Record) Record { r.Verdict = &s; return r }

// Into adds the endpoint.
func (s Endpoint) Into(r Record) Record { r.Endpoint = &s; return r }

// Name is what names the release's image and jobs: its candidate, or its
// version where it has none.
func (r Record) Name() string {
	if r.Candidate != "" {
		return r.Candidate
	}
	return r.Version.Version
}

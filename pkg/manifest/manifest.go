// Package manifest is what a repository says it is: towline.yaml.
//
// In come the file's bytes; out goes a Manifest in which every default is
// filled in, or every problem at once as file:line:column. It never reads the
// disk, the environment or the network.
package manifest

import (
	"strings"
	"time"
)

// File is the manifest's name, at the root of a model repository.
const File = "towline.yaml"

// APIVersion is the version of the manifest's format.
const APIVersion = "towline/v1"

// Manifest is a valid towline.yaml. Defaults and limits of its keys are in Keys.
type Manifest struct {
	APIVersion   string                 `yaml:"apiVersion" json:"apiVersion"`                         // version of the format
	Project      string                 `yaml:"project" json:"project"`                               // first part of the names of images, jobs and endpoints, and of the S3 prefix
	Models       []Model                `yaml:"models" json:"models"`                                 // the models of this repository
	Linked       [][]string             `yaml:"linked,omitempty" json:"linked,omitempty"`             // groups of models that are released together, under one version; each a list of their names
	Environments map[string]Environment `yaml:"environments,omitempty" json:"environments,omitempty"` // where models are shipped to, by name; `local` is built in
	Lint         Lint                   `yaml:"lint,omitempty" json:"lint,omitzero"`                  // how the repository is checked

	where map[string]Position // of each value, by its path such as models[0].train.count
}

// Model is one model of the repository: how it is packaged, trained, judged and served.
type Model struct {
	Name     string    `yaml:"name" json:"name"`                             // unique in the repository
	Path     string    `yaml:"path,omitempty" json:"path,omitempty"`         // folder of the model, slash-separated, relative to the manifest
	Shared   []string  `yaml:"shared,omitempty" json:"shared,omitempty"`     // further folders whose files belong to the model
	Owners   []string  `yaml:"owners,omitempty" json:"owners,omitempty"`     // who is told of the model: addresses, or names with @
	Test     []string  `yaml:"test,omitempty" json:"test,omitempty"`         // command of the model's own tests, run in the model's folder with its dependencies; none: it has no tests
	Version  Version   `yaml:"version,omitempty" json:"version,omitempty"`   // how its versions are counted
	Image    Image     `yaml:"image,omitempty" json:"image,omitempty"`       // what the code is packaged on and with
	Train    Train     `yaml:"train,omitempty" json:"train,omitzero"`        // how the model is trained; none: it is an image and no more, packaged and published
	Evaluate *Evaluate `yaml:"evaluate,omitempty" json:"evaluate,omitempty"` // how a trained model is judged; none: it is not
	Serve    *Serve    `yaml:"serve,omitempty" json:"serve,omitempty"`       // how the model answers requests; none: it is not served
}

// Version is how a model's versions are counted.
type Version struct {
	Initial string            `yaml:"initial,omitempty" json:"initial,omitempty"` // the first version
	Exclude []string          `yaml:"exclude,omitempty" json:"exclude,omitempty"` // files and folders whose changes ask for no version, relative to the manifest
	Bumps   map[string]string `yaml:"bumps,omitempty" json:"bumps,omitempty"`     // commit type → what it asks for, over the built-in table: feat minor; fix, perf, revert, data, features and train patch
	Always  string            `yaml:"always,omitempty" json:"always,omitempty"`   // what is released where no commit asks for anything
}

// Image is what the model's code is packaged on and with.
type Image struct {
	Base         string   `yaml:"base,omitempty" json:"base,omitempty"`                 // image reference; the environment `local` uses scratch instead
	Platforms    []string `yaml:"platforms,omitempty" json:"platforms,omitempty"`       // os/arch[/variant]
	Python       string   `yaml:"python,omitempty" json:"python,omitempty"`             // minor version
	Requirements string   `yaml:"requirements,omitempty" json:"requirements,omitempty"` // requirements file, pyproject.toml or uv.lock, relative to the model's folder; none: no dependencies
	Programs     []string `yaml:"programs,omitempty" json:"programs,omitempty"`         // folders of programs, relative to the model's folder, that are put on the image's PATH
	Environment  Scalars  `yaml:"environment,omitempty" json:"environment,omitempty"`   // variables of every program in the image; an empty one is taken out
	User         string   `yaml:"user,omitempty" json:"user,omitempty"`                 // uid, or uid:gid, that programs run as, with a home folder of its own; for images that are neither trained nor served, as SageMaker runs containers as root

	Repository ImageRepository `yaml:"repository,omitempty" json:"repository,omitzero"` // how its repository is created where there is none
}

// ImageRepository is how the model's image repository is created in ECR, if
// the first push finds none.
type ImageRepository struct {
	Immutable bool `yaml:"immutable,omitempty" json:"immutable,omitempty"` // tags cannot be moved
	Scan      bool `yaml:"scan,omitempty" json:"scan,omitempty"`           // images are scanned when they arrive
	Keep      int  `yaml:"keep,omitempty" json:"keep,omitempty"`           // so many images are kept, the newest, whatever uses the others; none: all
}

// Train is how the model is trained.
type Train struct {
	Command         []string          `yaml:"command" json:"command"`                                     // run in the model's folder; hyperparameters are added as --name value
	Channels        map[string]string `yaml:"channels,omitempty" json:"channels,omitempty"`               // name → s3:// prefix, or a folder relative to the model's folder
	Hyperparameters Scalars           `yaml:"hyperparameters,omitempty" json:"hyperparameters,omitempty"` // plain values, handed over as the text that stands here
	Environment     Scalars           `yaml:"environment,omitempty" json:"environment,omitempty"`         // variables of the training
	Instance        string            `yaml:"instance,omitempty" json:"instance,omitempty"`               // SageMaker instance type
	Count           int               `yaml:"count,omitempty" json:"count,omitempty"`                     // number of instances
	VolumeGB        int               `yaml:"volume_gb,omitempty" json:"volume_gb,omitempty"`             // disk of each instance, in GB
	Spot            bool              `yaml:"spot,omitempty" json:"spot,omitempty"`                       // managed spot training
	MaxRuntime      Duration          `yaml:"max_runtime,omitempty" json:"max_runtime,omitempty"`         // the job is stopped after this long
}

// Evaluate is how a trained model is judged.
type Evaluate struct {
	File     string   `yaml:"file,omitempty" json:"file,omitempty"`         // written by training to /opt/ml/output/data
	Channel  string   `yaml:"channel,omitempty" json:"channel,omitempty"`   // the channel that holds the test data; `test` if there is one, else all of them
	Command  []string `yaml:"command,omitempty" json:"command,omitempty"`   // measures this model once more when it is the champion and the test data has changed: run in the model's folder, with the model in SM_MODEL_DIR, it writes `file` as the training does; none: the two are not compared then
	Champion string   `yaml:"champion,omitempty" json:"champion,omitempty"` // what a candidate is held against when the champion was measured on other test data: `again`, the champion evaluated again on the new data by its own command, or `recorded`, nothing but the absolute limits
	Gate     []Rule   `yaml:"gate,omitempty" json:"gate,omitempty"`         // what the metrics must reach, one rule a metric
}

// What evaluate.champion may be.
const (
	ChampionAgain    = "again"
	ChampionRecorded = "recorded"
)

// Rule is what the gate asks of one metric.
type Rule struct {
	Metric  string   `yaml:"metric" json:"metric"`                         // a name in the evaluation's metrics
	Better  string   `yaml:"better" json:"better"`                         // which way is better: higher or lower
	AtLeast *float64 `yaml:"at_least,omitempty" json:"at_least,omitempty"` // absolute floor; for better: higher
	AtMost  *float64 `yaml:"at_most,omitempty" json:"at_most,omitempty"`   // absolute ceiling; for better: lower
	MayDrop *float64 `yaml:"may_drop,omitempty" json:"may_drop,omitempty"` // how far it may fall below the champion, in the metric's unit; for better: higher
	MayRise *float64 `yaml:"may_rise,omitempty" json:"may_rise,omitempty"` // how far it may rise above the champion; for better: lower
}

// Serve is how the model answers requests.
type Serve struct {
	Command     []string `yaml:"command" json:"command"`                             // a server of /ping and /invocations on the port SAGEMAKER_BIND_TO_PORT
	Instance    string   `yaml:"instance,omitempty" json:"instance,omitempty"`       // SageMaker instance type
	Count       int      `yaml:"count,omitempty" json:"count,omitempty"`             // number of instances
	Environment Scalars  `yaml:"environment,omitempty" json:"environment,omitempty"` // variables of the server
	Startup     Duration `yaml:"startup,omitempty" json:"startup,omitempty"`         // how long the server may take to answer /ping
	Sample      *Sample  `yaml:"sample,omitempty" json:"sample,omitempty"`           // a request that a fresh endpoint must answer
}

// Sample is a request that is known to be good.
type Sample struct {
	File        string `yaml:"file" json:"file"`                                     // relative to the model's folder
	ContentType string `yaml:"content_type,omitempty" json:"content_type,omitempty"` // media type of the file
}

// Environment is one place the model is shipped to.
type Environment struct {
	Region        string  `yaml:"region" json:"region"`                                 // AWS region
	Role          string  `yaml:"role,omitempty" json:"role,omitempty"`                 // ARN of the role that the GitLab job assumes
	EntryRole     string  `yaml:"entry_role,omitempty" json:"entry_role,omitempty"`     // ARN of the role that the job's ID token assumes first, and from which it assumes `role`, of another account perhaps; none: it assumes `role` at once
	SessionTags   bool    `yaml:"session_tags,omitempty" json:"session_tags,omitempty"` // tag the session of `role` with project, environment, pipeline, job and ref, if other credentials than a token assume it; its trust policy must allow sts:TagSession
	ExecutionRole string  `yaml:"execution_role" json:"execution_role"`                 // ARN of the role that SageMaker assumes
	Bucket        string  `yaml:"bucket" json:"bucket"`                                 // where data, models and records lie
	Endpoint      string  `yaml:"endpoint,omitempty" json:"endpoint,omitempty"`         // another S3 endpoint, such as MinIO
	Registry      string  `yaml:"registry" json:"registry"`                             // image registry, host[/prefix]
	VPC           *VPC    `yaml:"vpc,omitempty" json:"vpc,omitempty"`                   // private network of jobs and endpoints
	KMSKey        string  `yaml:"kms_key,omitempty" json:"kms_key,omitempty"`           // key that encrypts volumes and outputs
	Tags          Scalars `yaml:"tags,omitempty" json:"tags,omitempty"`                 // put on every resource
}

// VPC is the private network of jobs and endpoints.
type VPC struct {
	Subnets        []string `yaml:"subnets" json:"subnets"`                 // IDs
	SecurityGroups []string `yaml:"security_groups" json:"security_groups"` // IDs
}

// Scalars are names with plain values, each kept as the text that stands in the file.
type Scalars map[string]string

// Duration is a length of time written like 90s, 15m or 2h.
type Duration time.Duration

// Trained says whether the model is trained at all, or is an image and no more.
func (m Model) Trained() bool { return len(m.Train.Command) > 0 }

// Model finds a model by name.
func (m Manifest) Model(name string) (Model, bool) {
	for _, model := range m.Models {
		if model.Name == name {
			return model, true
		}
	}
	return Model{}, false
}

// Environment finds an environment by name. The one called local is built in,
// and so is none of the manifest's.
func (m Manifest) Environment(name string) (Environment, bool) {
	environment, ok := m.Environments[name]
	return environment, ok
}

// Where is the place in the file of a key's value, such as models[0].train.count,
// or of the nearest key above it that stands in the file.
func (m Manifest) Where(key string) Position {
	for key != "" {
		if at, found := m.where[key]; found {
			return at
		}
		key = key[:max(0, strings.LastIndexAny(key, ".["))]
	}
	return Position{}
}

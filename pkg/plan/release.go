package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"gitlab.com/towline/towline/pkg/manifest"
	"gitlab.com/towline/towline/pkg/record"
	"gitlab.com/towline/towline/pkg/release"
)

// Release is one model on its way to one environment, as the planners see it.
type Release struct {
	Target  Target
	Model   manifest.Model
	Record  record.Record     // the draft: names, version, identity, data; later sections are what is known already
	Root    string            // folder of the repository, absolute
	Layout  string            // where the OCI layout lies, absolute
	Exclude []string          // data folders below Root, which stay out of the image
	Folders map[string]string // local folder of each channel that is not in S3 yet, absolute
	Created time.Time         // of the commit
	World   World

	Format   string    // of the image: docker, oci or index; "" is docker, and keeps what is packaged
	Variants []Variant // further platforms of an index

	Inputs  release.Inputs // what the identity is made of
	Reports string         // folder of the reports, absolute
	SignKey string         // what evidence is signed with, in the user's words; "" for no signature
}

// Target is the place a release goes to.
type Target struct {
	Name string // of the environment: local, prod…
	manifest.Environment
	Base     string // scratch, or the pinned reference
	Platform string
}

// World is what was read of the target. Its zero value is a world that was not read.
type World struct {
	Read     bool           // the target was asked
	Image    bool           // the registry holds the record's image
	Layout   bool           // the OCI layout on disk is that of this identity
	Champion *record.Record // the release that the endpoint serves
	Config   string         // the endpoint config that is live
	Healthy  bool           // the endpoint is in service
}

// Names of what the release makes in the cloud. They depend on nothing but
// the manifest and the identity, so that running twice is running once.
func (r Release) job() string {
	return release.SageMakerNameMax(jobNameMax, r.Record.Project, r.Record.Model, r.Record.Candidate)
}

// jobNameMax leaves room for the suffix of a later attempt in SageMaker's 63 characters.
const jobNameMax = 58

// EndpointName is the endpoint of a model in an environment.
func EndpointName(project, model, environment string) string {
	return release.SageMakerName(project, model, environment)
}

func (r Release) endpoint() string {
	return EndpointName(r.Record.Project, r.Record.Model, r.Target.Name)
}

func (r Release) modelName() string {
	content := hash(r.Record.Identity, r.Target.ExecutionRole, r.Target.VPC, r.Model.Serve.Environment)
	return release.SageMakerName(r.Record.Project, r.Record.Model, short(r.Record.Identity), content[:6])
}

func (r Release) config() string {
	serve := r.Model.Serve
	content := hash(r.modelName(), serve.Instance, serve.Count, serve.Startup, r.Target.KMSKey)
	return release.SageMakerName(r.endpoint(), content[:8])
}

// Repository is the image repository of a model in a registry.
func Repository(registry, project, model string) string {
	return strings.TrimSuffix(registry, "/") + "/" + project + "/" + model
}

func (r Release) repository() string {
	return Repository(r.Target.Registry, r.Record.Project, r.Record.Model)
}

// RecordURI is where the record of an identity is kept.
func RecordURI(bucket, project, model, identity string) string {
	return fmt.Sprintf("s3://%s/%s/%s/releases/%s/%s", bucket, project, model, identity, record.File)
}

func (r Release) recordURI() string {
	return RecordURI(r.Target.Bucket, r.Record.Project, r.Record.Model, r.Record.Identity)
}

// DataURI is the content-addressed prefix of a channel.
func DataURI(bucket, project, model, channel, digest string) string {
	return fmt.Sprintf("s3://%s/%s/%s/data/%s/%s/", bucket, project, model, channel, digest)
}

// tags mark everything that a release makes.
func (r Release) tags() map[string]string {
	tags := maps.Clone(map[string]string(r.Target.Tags))
	if tags == nil {
		tags = map[string]string{}
	}
	tags["towline:project"] = r.Record.Project
	tags["towline:model"] = r.Record.Model
	tags["towline:version"] = r.Record.Name()
	tags["towline:identity"] = r.Record.Identity
	return tags
}

// selfKnowledge is what a running model knows of itself.
func (r Release) selfKnowledge(own map[string]string) map[string]string {
	return selfKnowledge(r.Record, own)
}

func selfKnowledge(rec record.Record, own map[string]string) map[string]string {
	known := maps.Clone(own)
	if known == nil {
		known = map[string]string{}
	}
	known["TOWLINE_PROJECT"] = rec.Project
	known["TOWLINE_MODEL"] = rec.Model
	known["TOWLINE_VERSION"] = rec.Name()
	known["TOWLINE_IDENTITY"] = rec.Identity
	known["TOWLINE_TRAINING_DATA"] = DataSetDigest(rec.Data)
	return known
}

// DataSetDigest is one digest over the given channels: that of the only one,
// or a hash of all; data that is only referred to counts by its address.
func DataSetDigest(channels []record.Channel) string {
	if len(channels) == 0 {
		return ""
	}
	if len(channels) == 1 && channels[0].Digest != "" {
		return channels[0].Digest
	}
	var parts []string
	for _, c := range channels {
		content := c.Digest
		if content == "" {
			content = c.URI
		}
		parts = append(parts, c.Name+"="+content)
	}
	slices.Sort(parts)
	return hash(parts)
}

// hash is the hexadecimal sha256 of the values' JSON.
func hash(values ...any) string {
	text, err := json.Marshal(values)
	if err != nil {
		panic(err) // strings, numbers and structs of them always marshal
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// short is the part of an identity that people read.
func short(identity string) string {
	if len(identity) < 8 {
		return identity
	}
	return identity[:8]
}

package plan

import (
	"strings"

	"gitlab.com/towline/towline/pkg/record"
	"gitlab.com/towline/towline/pkg/release"
)

// Ways to make a tag.
const (
	ThroughGit      = "git"          // by a push
	ThroughReleases = "releases-api" // by GitLab's releases, for jobs whose token may not push
)

// Tag takes versions for good: it makes their annotated tags, all or none. A
// version that another job took first is computed anew. Where the commit
// carries this release's tag already, that one is it. It yields, for each
// model, version:NAME and moving:NAME, which are empty where nothing is
// released.
type Tag struct {
	Commit  string      `json:"commit,omitempty"`
	Through string      `json:"through,omitempty"`
	Models  []Candidate `json:"models,omitempty"` // one, or several that are released together
}

// Candidate is a release that has passed, and waits for its version.
type Candidate struct {
	Model     string `json:"model,omitempty"`
	Candidate string `json:"candidate,omitempty"`
	Identity  string `json:"identity,omitempty"`
	Expected  string `json:"expected,omitempty"` // the version that the version job found
}

// ID is "tag".
func (Tag) ID() string { return "tag" }

// Facts name the versions that are expected.
func (a Tag) Facts() []Fact {
	list := facts("commit", a.Commit, "through", a.Through)
	for _, c := range a.Models {
		list = append(list, facts(c.Model, c.Expected+", or the next free version when it runs")...)
	}
	return list
}

// Fill changes nothing.
func (a Tag) Fill(Yields) (Action, error) { return a, nil }

// Promote puts the version on the image that has passed, by its digest and
// without a rebuild, and moves the tags that follow a line of versions. Where
// the registry moves no tags, those stay away.
type Promote struct {
	Model      string `json:"model,omitempty"`
	Repository string `json:"repository,omitempty"` // host/path
	Digest     string `json:"digest,omitempty"`
	Version    Value  `json:"version,omitzero"` // image tag; "" for nothing to do
	Moving     Value  `json:"moving,omitzero"`  // X.Y, X and latest, as far as they belong to it, comma-separated
}

// ID is "promote:" and the model.
func (a Promote) ID() string { return "promote:" + a.Model }

// Facts name image and tags.
func (a Promote) Facts() []Fact {
	return []Fact{{"image", Text(a.Repository + "@" + a.Digest)}, {"tag", a.Version}, {"moving tags", a.Moving}}
}

// Fill sets the tags.
func (a Promote) Fill(y Yields) (Action, error) {
	err := y.fillAll(&a.Version, &a.Moving)
	return a, err
}

// MovingTags are the tags of Moving, as a list.
func (a Promote) MovingTags() []string {
	if a.Moving.String() == "" {
		return nil
	}
	return strings.Split(a.Moving.String(), ",")
}

// Tagging takes the versions of releases that have passed: one, or several
// that are released together. First the tag in git, since the version is sure
// only then; after a crash in between, the next run finds it and goes on.
func Tagging(through, bucket string, records []record.Record) Plan {
	tag := Tag{Through: through, Commit: records[0].Source.Commit}
	var rest Plan
	for _, rec := range records {
		tag.Models = append(tag.Models, Candidate{
			Model: rec.Model, Candidate: rec.Candidate, Identity: rec.Identity, Expected: rec.Version.Version,
		})
		if image := rec.Image; image != nil && image.Repository != "" {
			rest = append(rest, Promote{
				Model: rec.Model, Repository: image.Repository, Digest: image.Digest,
				Version: After("tag", VersionOf(rec.Model)), Moving: After("tag", MovingOf(rec.Model)),
			})
		}
	}
	for _, rec := range records {
		if rec.Identity != "" && bucket != "" {
			rest = append(rest, SaveRecord{
				Step: "tagged:" + rec.Model, To: RecordURI(bucket, rec.Project, rec.Model, rec.Identity),
			})
		}
	}
	return append(Plan{tag}, rest...)
}

// VersionOf and MovingOf are the fields in which Tag yields what it took.
func VersionOf(model string) string { return "version:" + model }

// MovingOf is the field of the tags that follow a line of versions.
func MovingOf(model string) string { return "moving:" + model }

// ImageTag is the version as a tag of the image.
func ImageTag(version string) string { return release.OCITag(version) }

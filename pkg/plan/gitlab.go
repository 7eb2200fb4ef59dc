package plan

import (
	"strings"
)

// WriteNote puts the report on a merge request: one note for each model, which
// is changed and not repeated. Yields nothing.
type WriteNote struct {
	Model        string `json:"model,omitempty"`
	Project      string `json:"project,omitempty"`       // number or path, of GitLab
	MergeRequest string `json:"merge_request,omitempty"` // iid
	Marker       string `json:"marker,omitempty"`        // by which the note is known
	Body         string `json:"body,omitempty"`          // Markdown
}

// ID is "note:" and the model.
func (a WriteNote) ID() string { return "note:" + a.Model }

// Facts name the merge request.
func (a WriteNote) Facts() []Fact {
	return facts("project", a.Project, "merge request", "!"+a.MergeRequest, "known by", a.Marker)
}

// Fill changes nothing.
func (a WriteNote) Fill(Yields) (Action, error) { return a, nil }

// NamePipeline calls the pipeline by the releases it makes.
type NamePipeline struct {
	Project  string `json:"project,omitempty"`
	Pipeline string `json:"pipeline,omitempty"`
	Name     string `json:"name,omitempty"`
}

// ID is "pipeline".
func (NamePipeline) ID() string { return "pipeline" }

// Facts name pipeline and name.
func (a NamePipeline) Facts() []Fact { return facts("pipeline", a.Pipeline, "name", a.Name) }

// Fill changes nothing.
func (a NamePipeline) Fill(Yields) (Action, error) { return a, nil }

// Link is a link on a release's page.
type Link struct {
	Name string `json:"name,omitempty"`
	Kind string `json:"kind,omitempty"` // image, package, runbook or other
	URL  Value  `json:"url,omitzero"`
}

// CompleteRelease makes sure that the tag has a GitLab release with the links.
// A link whose address is empty is left out.
type CompleteRelease struct {
	Model string `json:"model,omitempty"`
	Tag   Value  `json:"tag,omitzero"` // "" where nothing was released
	Notes Value  `json:"notes,omitzero"`
	Links []Link `json:"links,omitempty"`
}

// ID is "release:" and the model.
func (a CompleteRelease) ID() string { return "release:" + a.Model }

// Facts name the links.
func (a CompleteRelease) Facts() []Fact {
	list := []Fact{{"tag", a.Tag}}
	for _, link := range a.Links {
		list = append(list, Fact{"link " + link.Name, link.URL})
	}
	return list
}

// Fill sets tag and addresses.
func (a CompleteRelease) Fill(y Yields) (Action, error) {
	a.Links = append([]Link{}, a.Links...)
	values := []*Value{&a.Tag, &a.Notes}
	for i := range a.Links {
		values = append(values, &a.Links[i].URL)
	}
	err := y.fillAll(values...)
	return a, err
}

// Register enters the version in GitLab's model registry, with the metrics,
// the record and the report. It yields url.
type Register struct {
	Model    string   `json:"model,omitempty"`
	Version  Value    `json:"version,omitzero"` // "" where nothing was released
	Identity string   `json:"identity,omitempty"`
	Files    []string `json:"files,omitempty"`   // absolute
	Archive  string   `json:"archive,omitempty"` // s3://…/model.tar.gz; "": it stays where it is
}

// ID is "register:" and the model.
func (a Register) ID() string { return "register:" + a.Model }

// Facts name version and files.
func (a Register) Facts() []Fact {
	var names []string
	for _, file := range a.Files {
		names = append(names, file[strings.LastIndexByte(file, '/')+1:])
	}
	return append([]Fact{{"version", a.Version}}, facts("identity", a.Identity, "files", strings.Join(names, ", "), "archive", a.Archive)...)
}

// Fill sets the version.
func (a Register) Fill(y Yields) (Action, error) {
	err := y.fillAll(&a.Version)
	return a, err
}

// Announcement is what is told GitLab of a release that has its version.
type Announcement struct {
	Register *Register // nil: it is not entered in the model registry
	Release  bool      // its tag comes with a GitLab release
	Links    []Link
}

// Announcing tells GitLab of a release, once it has its version.
func Announcing(model string, a Announcement) Plan {
	var steps Plan
	links := append([]Link{}, a.Links...)
	if a.Register != nil {
		register := *a.Register
		register.Model, register.Version = model, After("tag", VersionOf(model))
		steps = append(steps, register)
		links = append(links, Link{Name: "Model registry", Kind: "package", URL: After(register.ID(), "url")})
	}
	if a.Release {
		steps = append(steps, CompleteRelease{
			Model: model, Tag: After("tag", TagOf(model)), Notes: After("tag", NotesOf(model)), Links: links,
		})
	}
	return steps
}

// TagOf and NotesOf are further fields that Tag yields.
func TagOf(model string) string { return "tag:" + model }

// NotesOf is the field of the changes, as Markdown.
func NotesOf(model string) string { return "notes:" + model }

// RecordDeployment tells GitLab that a deployment runs, where no job's
// environment does. It yields deployment, its number.
type RecordDeployment struct {
	Environment string `json:"environment,omitempty"`
	Address     string `json:"address,omitempty"` // page of what is deployed
	Commit      string `json:"commit,omitempty"`
	Ref         string `json:"ref,omitempty"`
	Tag         bool   `json:"tag,omitempty"`
}

// ID is "deployment".
func (RecordDeployment) ID() string { return "deployment" }

// Facts name environment and commit.
func (a RecordDeployment) Facts() []Fact {
	return facts("environment", a.Environment, "page", a.Address, "commit", a.Commit, "ref", a.Ref)
}

// Fill changes nothing.
func (a RecordDeployment) Fill(Yields) (Action, error) { return a, nil }

// EndDeployment tells GitLab that the deployment has succeeded. That of a plan
// that broke off is told by whoever carries it out.
type EndDeployment struct {
	Deployment Value `json:"deployment,omitzero"`
}

// ID is "deployed".
func (EndDeployment) ID() string { return "deployed" }

// Facts name the deployment.
func (a EndDeployment) Facts() []Fact { return []Fact{{"deployment", a.Deployment}} }

// Fill sets the deployment.
func (a EndDeployment) Fill(y Yields) (Action, error) {
	err := y.fillAll(&a.Deployment)
	return a, err
}

// Recorded puts the record of a deployment around a plan that deploys; one
// that deploys nothing stays as it is.
func Recorded(p Plan, d RecordDeployment) Plan {
	for i, action := range p {
		if _, deploys := action.(Deploy); deploys {
			all := append(Plan{}, p[:i]...)
			all = append(all, d)
			all = append(all, p[i:]...)
			return append(all, EndDeployment{Deployment: After(d.ID(), "deployment")})
		}
	}
	return p
}

// StartPipeline starts a pipeline of a project. It yields pipeline.
type StartPipeline struct {
	Project   string            `json:"project,omitempty"`
	Ref       string            `json:"ref,omitempty"`
	Variables map[string]string `json:"variables,omitempty"`
	Strategy  string            `json:"strategy,omitempty"`
}

// ID is "start".
func (StartPipeline) ID() string { return "start" }

// Facts name project and variables.
func (a StartPipeline) Facts() []Fact {
	return facts("project", a.Project, "ref", a.Ref, "variables", pairs(a.Variables), "strategy", a.Strategy)
}

// Fill changes nothing.
func (a StartPipeline) Fill(Yields) (Action, error) { return a, nil }

// PlayJob presses the button of a job.
type PlayJob struct {
	Project   string            `json:"project,omitempty"`
	Pipeline  string            `json:"pipeline,omitempty"`
	Job       string            `json:"job,omitempty"` // name
	Variables map[string]string `json:"variables,omitempty"`
	Strategy  string            `json:"strategy,omitempty"`
}

// ID is "play".
func (PlayJob) ID() string { return "play" }

// Facts name the job.
func (a PlayJob) Facts() []Fact {
	return facts("project", a.Project, "pipeline", a.Pipeline, "job", a.Job, "variables", pairs(a.Variables), "strategy", a.Strategy)
}

// Fill changes nothing.
func (a PlayJob) Fill(Yields) (Action, error) { return a, nil }

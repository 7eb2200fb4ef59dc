package plan

import (
	"path"

	"gitlab.com/towline/towline/pkg/record"
	"gitlab.com/towline/towline/pkg/release"
)

// Attest publishes evidence beside an image: what is in it, how it was built,
// and, with a key, a signature of that. What the registry has is left alone.
// It yields nothing, and adds nothing to the record.
type Attest struct {
	Layout     string         `json:"layout,omitempty"` // "" if the image was packaged elsewhere
	Repository string         `json:"repository,omitempty"`
	Digest     Value          `json:"digest,omitzero"`
	Report     string         `json:"report,omitempty"` // file that gets the bill of materials too, absolute
	Root       string         `json:"root,omitempty"`   // folder of the repository, absolute
	Key        string         `json:"key,omitempty"`    // what it is signed with, in the user's words; never the key itself
	Project    string         `json:"project,omitempty"`
	Model      string         `json:"model,omitempty"`
	Version    string         `json:"version,omitempty"`
	Identity   string         `json:"identity,omitempty"`
	Source     record.Source  `json:"source,omitzero"`
	Inputs     release.Inputs `json:"inputs,omitzero"` // without Code, which Identity covers
}

// ID is "attest".
func (Attest) ID() string { return "attest" }

// Facts say what is published.
func (a Attest) Facts() []Fact {
	list := []Fact{
		{"image", Join(Text(a.Repository+"@"), a.Digest)},
		{"evidence", Text("bill of materials, provenance")},
	}
	key := a.Key
	if key == "" {
		key = "nobody: no key is given"
	}
	return append(list, facts("signed by", key)...)
}

// Fill sets the digest.
func (a Attest) Fill(y Yields) (Action, error) {
	err := y.fillAll(&a.Digest)
	return a, err
}

// attesting publishes evidence of the image. One that the registry has and
// that is not on this disk was packaged elsewhere: nothing can be said of how.
func (r Release) attesting() Attest {
	a := Attest{
		Layout: r.Layout, Repository: r.repository(), Digest: After("package", "digest"),
		Root: r.Root, Key: r.SignKey, Project: r.Record.Project, Model: r.Record.Model,
		Version: r.Record.Name(), Identity: r.Record.Identity, Source: r.Record.Source, Inputs: r.Inputs,
	}
	if r.Reports != "" {
		a.Report = path.Join(r.Reports, "gl-sbom-"+r.Record.Model+".cdx.json")
	}
	if r.Record.Image != nil && r.World.Image && !r.World.Layout {
		a.Layout = ""
	}
	a.Inputs.Code = nil
	return a
}

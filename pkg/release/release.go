// Package release is what versions are, and how they come about: tags, commit
// headers, bumps, identities, and names that fit every service.
//
// In come commits and tags as plain data; out go a version with its reasons,
// or a name. It never runs git, never reads the disk, the clock or the
// network, and the same data gives the same answer everywhere.
package release

// Component is what gets versions of its own: a model, or an image.
type Component struct {
	Name    string            `json:"name"`
	Prefix  string            `json:"prefix"`            // of its tags: "v", or "<name>/v" among several; see Prefix
	Paths   []string          `json:"paths,omitempty"`   // folders, slash-separated, relative to the repository's root; none or "." is all of it
	Exclude []string          `json:"exclude,omitempty"` // folders inside Paths that do not count
	Shared  []string          `json:"shared,omitempty"`  // further folders whose changes count too
	Initial string            `json:"initial,omitempty"` // the first version; 0.1.0 if ""
	Bumps   map[string]string `json:"bumps,omitempty"`   // commit type → major, minor, patch or none, over the built-in table
	Always  string            `json:"always,omitempty"`  // bump where no commit asks for one: "patch", or "" for none
}

// DefaultInitial is the first version of a component that does not say otherwise.
const DefaultInitial = "0.1.0"

// Prefix is what the component's tags start with: "v" where it is alone in its
// repository, "<name>/v" among several.
func Prefix(name string, among int) string {
	if among <= 1 {
		return "v"
	}
	return name + "/v"
}

// Everything says whether the component is the whole repository, so that
// every commit concerns it.
func (c Component) Everything() bool {
	if len(c.Exclude) > 0 {
		return false
	}
	for _, path := range c.Paths {
		if path == "." || path == "" {
			return true
		}
	}
	return len(c.Paths) == 0
}

// TagName is the name of the tag that marks the version.
func (c Component) TagName(version string) string { return c.Prefix + version }

// History is what is known of one component at one commit. Its zero value is
// a folder without git, or a repository without a commit.
type History struct {
	Head    string   // full hash of the commit in question
	Tags    []Tag    // every tag that starts with the component's prefix, in any order
	Commits []Commit // all commits since the base, newest first: no commit stands before its children; with no base those that demand a version will do
	Exact   bool     // nothing is missing
}

// Place is where a tag's commit stands, seen from the commit in question.
type Place int

// The places.
const (
	Elsewhere  Place = iota // on another branch
	Ancestor                // an ancestor of the commit in question
	Here                    // on the commit itself
	Descendant              // on a commit that has it as an ancestor
)

// Tag is one tag of the repository.
type Tag struct {
	Name      string // without refs/tags/
	Commit    string // the commit it marks in the end, full hash
	Place     Place
	Annotated bool
	Created   int64  // of an annotated tag, seconds since 1970
	Message   string // of an annotated tag
}

// Commit is one commit since the base.
type Commit struct {
	Hash    string
	Parents []string
	Message string
	Touches bool // it changes the component, or merges such a change into the first-parent line
	Empty   bool // it changes no path at all
}

// Merge says whether the commit has several parents.
func (c Commit) Merge() bool { return len(c.Parents) > 1 }

// Options are what a caller asks for beyond the ordinary next version.
type Options struct {
	ReleaseAs string  `json:"release_as,omitempty"` // this version and no other, X.Y.Z
	Retrain   bool    `json:"retrain,omitempty"`    // a new model from a commit that may be released already
	Raise     Bump    `json:"raise,omitempty"`      // what the change of the model's signature asks for; counts in a retrain
	Identity  string  `json:"identity,omitempty"`   // of the model; a released one is reused
	Channel   Channel `json:"channel,omitempty"`
}

// Channel is what kind of version is asked for.
type Channel string

// The channels.
const (
	Stable           Channel = ""
	ReleaseCandidate Channel = "rc"
)

// Result is a version, and what it rests on.
type Result struct {
	Component  string   `json:"component"`
	Version    string   `json:"version"` // the next version, or the base if nothing is to be released
	Next       string   `json:"next"`    // X.Y.Z that a candidate leads to: the version, or the patch after the base
	Tag        string   `json:"tag"`     // name of the version's tag
	Base       string   `json:"base,omitempty"`
	BaseTag    string   `json:"base_tag,omitempty"`
	BaseCommit string   `json:"base_commit,omitempty"`
	Bump       string   `json:"bump"` // major, minor, patch, none or initial
	Released   bool     `json:"released"`
	Reused     bool     `json:"reused"`
	Promoted   string   `json:"promoted,omitempty"` // the release candidate that becomes this version, unchanged
	Superseded bool     `json:"superseded"`
	Exact      bool     `json:"exact"`
	Reasons    []Reason `json:"reason"`
	Warnings   []string `json:"warnings,omitempty"`
}

// Reason is one commit, or one rule, that the version rests on.
type Reason struct {
	Commit   string `json:"commit,omitempty"`
	Header   string `json:"header,omitempty"`
	Type     string `json:"type,omitempty"`
	Scope    string `json:"scope,omitempty"`
	Breaking string `json:"breaking,omitempty"` // what breaks, in the author's words
	Bump     string `json:"bump,omitempty"`
	Text     string `json:"text"`
}

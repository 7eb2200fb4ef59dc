package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/manifest"
	"gitlab.com/towline/towline/pkg/release"
)

type changelogOptions struct {
	from, to string
}

func newChangelog(a *app) *cobra.Command {
	var o changelogOptions
	cmd := &cobra.Command{
		Use:   "changelog",
		Short: "Show what is new in a version, as Markdown",
		Long: "Show the changes of a model between two versions, grouped, as Markdown: those\n" +
			"that its next version will bring, unless told otherwise. Tags and GitLab\n" +
			"releases carry the same text.",
		Example: "  towline changelog\n  towline changelog --to 1.4.0\n  towline changelog --from 1.2.0 --to 1.4.0",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.runChangelog(cmd.Context(), o) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.from, "from", "", "version X.Y.Z that the changes come after; the one before --to by default")
	flags.StringVar(&o.to, "to", "HEAD", "version X.Y.Z, or HEAD for the next one")
	return cmd
}

// changelogDocument is a changelog as data.
type changelogDocument struct {
	Model    string `json:"model"`
	From     string `json:"from,omitempty"`
	Version  string `json:"version"`
	Markdown string `json:"markdown"`
}

func (a *app) runChangelog(ctx context.Context, o changelogOptions) error {
	// Read.
	repo, err := a.repository()
	if err != nil {
		return err
	}
	model, err := a.oneModel(repo.manifest)
	if err != nil {
		return err
	}
	s, err := a.readStory(ctx, repo, []manifest.Model{model}, false)
	if err != nil {
		return err
	}
	if s.git == nil {
		return fault.Newf(fault.Missing, "changelog: %s is in no git repository with a commit", repo.root).
			Hintf("run it in a clone of the repository")
	}

	// Decide.
	result, err := s.changes(ctx, model, o)
	if err != nil {
		return err
	}

	// Tell.
	text := release.Changelog(result)
	if a.output == "json" {
		return a.printJSON(changelogDocument{Model: model.Name, From: result.Base, Version: result.Version, Markdown: text})
	}
	_, err = fmt.Fprint(a.stdout, text)
	return err
}

// changes is the later version, with the commits since the earlier one.
func (s *story) changes(ctx context.Context, model manifest.Model, o changelogOptions) (release.Result, error) {
	c := component(s.manifest, model)
	all := s.histories[model.Name]
	head, options := all.Head, release.Options{}
	if here, ok := stableAt(c, all); ok && o.to == "HEAD" {
		o.to = here
	}
	if o.to != "HEAD" {
		tag, err := tagOf(c, all, o.to, "--to")
		if err != nil {
			return release.Result{}, err
		}
		head, options.ReleaseAs = tag.Commit, o.to
	}
	bases := below(c, all, options.ReleaseAs)
	if o.from != "" {
		tag, err := tagOf(c, all, o.from, "--from")
		if err != nil {
			return release.Result{}, err
		}
		bases = []release.Tag{tag}
	}
	h, err := s.git.HistorySince(ctx, c, head, bases)
	if err != nil {
		return release.Result{}, err
	}
	if o.from != "" && len(h.Tags) == 0 {
		return release.Result{}, fault.Newf(fault.Usage, "--from %s: it is not in the history of %s", o.from, o.to).
			Hintf("name a version that the later one builds on")
	}
	return release.Compute(c, h, options)
}

// below are the stable tags before a version, highest first; all of them if it is "".
func below(c release.Component, h release.History, version string) []release.Tag {
	var tags []release.Tag
	for _, tag := range c.StableTags(h.Tags) {
		if v, _ := c.VersionOf(tag.Name); version == "" || release.Compare(v, version) < 0 {
			tags = append(tags, tag)
		}
	}
	return tags
}

// stableAt is the highest stable version that the commit in question carries.
func stableAt(c release.Component, h release.History) (string, bool) {
	for _, tag := range c.StableTags(h.Tags) {
		if tag.Commit == h.Head {
			return c.VersionOf(tag.Name)
		}
	}
	return "", false
}

// tagOf is the tag of a version that the user named.
func tagOf(c release.Component, h release.History, version, flag string) (release.Tag, error) {
	for _, tag := range c.StableTags(h.Tags) {
		if v, ok := c.VersionOf(tag.Name); ok && v == version {
			return tag, nil
		}
	}
	return release.Tag{}, fault.Newf(fault.Usage, "%s %s: there is no tag %s", flag, version, c.TagName(version)).
		Hintf("list the versions with: git ls-remote --tags origin '%s*'", c.Prefix)
}

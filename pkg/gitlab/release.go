package gitlab

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"gitlab.com/towline/towline/pkg/fault"
)

// Release is a release that is to be made, together with its tag.
type Release struct {
	Tag         string
	Commit      string // full hash
	Message     string // of the annotated tag
	Description string // Markdown
	Claim       string // a text in the message by which the tag is known as the one that was to be made
}

// ErrTaken is a tag that somebody else made first.
var ErrTaken = errors.New("the tag exists already")

// protectedWords are what GitLab says of a tag that the user may not make.
var protectedWords = []string{"protected", "not allowed to create"}

// CreateRelease makes the release, and with it the tag. GitLab would put a
// release on a tag that exists already: such a tag is ErrTaken, and gets none.
// An answer that got lost is looked for.
func (c *Client) CreateRelease(ctx context.Context, r Release) error {
	operation := "release " + r.Tag
	if found, ours, err := c.tag(ctx, r); err != nil || found {
		return c.settled(ctx, operation, ours, err)
	}
	err := c.call(ctx, http.MethodPost, "/releases", map[string]string{
		"tag_name": r.Tag, "ref": r.Commit, "tag_message": r.Message, "description": r.Description, "name": r.Tag,
	}, nil)
	switch status := statusOf(err); {
	case err == nil, status == http.StatusConflict, status == 0, status >= http.StatusInternalServerError:
	case status == http.StatusBadRequest && strings.Contains(err.Error(), "exist"):
	case status < http.StatusInternalServerError && contains(err.Error(), protectedWords):
		return fault.Newf(fault.Denied, "%s: %w", operation, err).
			Hintf("let the user who started the pipeline create tags of this name (Settings, Repository, Protected tags)")
	default:
		return c.explain(ctx, releasing, operation, err)
	}
	found, ours, look := c.tag(ctx, r)
	switch {
	case look != nil:
		return c.explain(ctx, releasing, operation, errors.Join(err, look))
	case !found && err != nil:
		return c.explain(ctx, releasing, operation, err)
	case !ours && err == nil:
		// Between the two requests somebody made the tag, and we its release.
		_ = c.call(ctx, http.MethodDelete, "/releases/"+url.PathEscape(r.Tag), nil, nil)
	}
	return c.settled(ctx, operation, ours, nil)
}

// settled is what a tag that exists means.
func (c *Client) settled(ctx context.Context, operation string, ours bool, err error) error {
	switch {
	case err != nil:
		return c.explain(ctx, releasing, operation, err)
	case !ours:
		return ErrTaken
	}
	return nil
}

// tag looks for the release's tag, and at whether it is the one that was to be made.
func (c *Client) tag(ctx context.Context, r Release) (found, ours bool, err error) {
	var tag struct {
		Message string `json:"message"`
	}
	err = c.call(ctx, http.MethodGet, "/repository/tags/"+url.PathEscape(r.Tag), nil, &tag)
	if absent(err) {
		return false, false, nil
	}
	return err == nil, r.Claim != "" && strings.Contains(tag.Message, r.Claim), err
}

// absent tells a tag that is not there from a project that is not to be seen.
func absent(err error) bool {
	return statusOf(err) == http.StatusNotFound && strings.Contains(err.Error(), "Tag")
}

func contains(text string, words []string) bool {
	for _, word := range words {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}

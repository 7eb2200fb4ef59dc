package gitlab

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// ReleaseLink is a link on a release's page. Of one name there is one.
type ReleaseLink struct {
	Name string `json:"name"`
	URL  string `json:"url"`
	Kind string `json:"link_type"` // image, package, runbook or other
}

// CompleteRelease makes sure that a tag has a release, and that the release
// has the links. What else it holds stays. It says how many links are new or
// were changed.
func (c *Client) CompleteRelease(ctx context.Context, tag, description string, links []ReleaseLink) (int, error) {
	operation := "complete release " + tag
	path := "/releases/" + url.PathEscape(tag)
	err := c.call(ctx, http.MethodGet, path, nil, nil)
	if statusOf(err) == http.StatusNotFound && !strings.Contains(err.Error(), "Project") {
		err = c.call(ctx, http.MethodPost, "/releases", map[string]string{"tag_name": tag, "name": tag, "description": description}, nil)
		if statusOf(err) == http.StatusConflict {
			err = nil // made in between
		}
	}
	if err != nil {
		return 0, c.explain(ctx, releasing, operation, err)
	}
	var there []struct {
		ID int64 `json:"id"`
		ReleaseLink
	}
	if err := c.call(ctx, http.MethodGet, path+"/assets/links?per_page=100", nil, &there); err != nil {
		return 0, c.explain(ctx, releasing, operation, err)
	}
	ids, known := map[string]int64{}, map[string]ReleaseLink{}
	for _, link := range there {
		ids[link.Name], known[link.Name] = link.ID, link.ReleaseLink
	}
	put := 0
	for _, link := range links {
		if known[link.Name] == link {
			continue
		}
		method, at := http.MethodPost, path+"/assets/links"
		if id, ok := ids[link.Name]; ok {
			method, at = http.MethodPut, at+"/"+strconv.FormatInt(id, 10)
		}
		if err := c.call(ctx, method, at, link, nil); err != nil {
			return put, c.explain(ctx, releasing, operation, err)
		}
		put++
	}
	return put, nil
}

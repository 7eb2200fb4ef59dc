package gitlab

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"gitlab.com/towline/towline/pkg/fault"
)

// MostNote is how many bytes of a note are sent at most. GitLab takes a
// million characters (app/models/concerns/noteable.rb, Gitlab::Utils).
const MostNote = 1_000_000

// Note is a note on a merge request that there is once: it is known by its
// marker, an HTML comment in its first line.
type Note struct {
	MergeRequest string // iid
	Marker       string // <!-- … -->
	Body         string // Markdown, which begins with the marker
}

// What became of a note.
const (
	NoteWritten   = "written"
	NoteChanged   = "changed"
	NoteUnchanged = "unchanged"
)

// note is a note as GitLab tells of it.
type note struct {
	ID     int64  `json:"id"`
	Body   string `json:"body"`
	System bool   `json:"system"`
	Author struct {
		ID int64 `json:"id"`
	} `json:"author"`
}

// PutNote writes the note, or changes the one that the token's user wrote
// earlier. A marker in a note of somebody else is not ours. It says what
// became of the note. An answer that got lost is looked for.
func (c *Client) PutNote(ctx context.Context, n Note) (string, error) {
	operation := "write the note on merge request !" + n.MergeRequest
	if len(n.Body) > MostNote || !strings.HasPrefix(n.Body, n.Marker) {
		return "", fault.Newf(fault.Bug, "%s: %d bytes, wanted %d at most that begin with %s", operation, len(n.Body), MostNote, n.Marker)
	}
	found, err := c.noteMarked(ctx, n)
	if err != nil {
		return "", c.explain(ctx, noting, operation, err)
	}
	if found == nil {
		err := c.call(ctx, http.MethodPost, notesPath(n), map[string]string{"body": n.Body}, nil)
		if lost(err) && ctx.Err() == nil {
			again, look := c.noteMarked(ctx, n)
			if look == nil && again != nil {
				return NoteWritten, nil
			}
		}
		return NoteWritten, c.explain(ctx, noting, operation, err)
	}
	if sameText(found.Body, n.Body) {
		return NoteUnchanged, nil
	}
	err = c.call(ctx, http.MethodPut, notesPath(n)+"/"+strconv.FormatInt(found.ID, 10), map[string]string{"body": n.Body}, nil)
	return NoteChanged, c.explain(ctx, noting, operation, err)
}

func notesPath(n Note) string { return "/merge_requests/" + url.PathEscape(n.MergeRequest) + "/notes" }

// lost says whether a request may have been carried out although it failed.
func lost(err error) bool {
	status := statusOf(err)
	return err != nil && (status == 0 || status >= http.StatusInternalServerError)
}

// sameText compares as GitLab keeps texts: with one kind of line end, and
// without blanks around.
func sameText(a, b string) bool {
	clean := func(text string) string { return strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n")) }
	return clean(a) == clean(b)
}

// noteMarked finds the oldest note with the marker that the token's user wrote.
func (c *Client) noteMarked(ctx context.Context, n Note) (*note, error) {
	me, err := c.user(ctx)
	if err != nil {
		return nil, err
	}
	for page, read := "1", 0; page != "" && read < mostPages; read++ {
		var some []note
		query := url.Values{"per_page": {"100"}, "page": {page}, "sort": {"asc"}, "order_by": {"created_at"}}
		header, err := c.callWith(ctx, http.MethodGet, notesPath(n)+"?"+query.Encode(), nil, &some)
		if err != nil {
			return nil, err
		}
		for i := range some {
			if !some[i].System && some[i].Author.ID == me && strings.HasPrefix(some[i].Body, n.Marker) {
				return &some[i], nil
			}
		}
		page = header.Get("X-Next-Page")
	}
	return nil, nil
}

// user is the number of whoever the token belongs to.
func (c *Client) user(ctx context.Context) (int64, error) {
	req, err := c.requestTo(ctx, http.MethodGet, strings.TrimSuffix(c.o.API, "/")+"/user", nil)
	if err != nil {
		return 0, err
	}
	var me struct {
		ID int64 `json:"id"`
	}
	_, err = c.send(req, false, &me)
	return me.ID, err
}

// MergedBy finds the merge request by which a commit came to its branch; ""
// for none.
func (c *Client) MergedBy(ctx context.Context, commit, branch string) (string, error) {
	var found []struct {
		IID    int64  `json:"iid"`
		State  string `json:"state"`
		Target string `json:"target_branch"`
	}
	err := c.call(ctx, http.MethodGet, "/repository/commits/"+url.PathEscape(commit)+"/merge_requests", nil, &found)
	if err != nil {
		return "", c.explain(ctx, noting, "find the merge request of commit "+commit[:min(8, len(commit))], err)
	}
	for _, mr := range found {
		if mr.State == "merged" && (branch == "" || mr.Target == branch) {
			return strconv.FormatInt(mr.IID, 10), nil
		}
	}
	return "", nil
}

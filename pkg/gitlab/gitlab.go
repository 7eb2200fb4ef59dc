// Package gitlab is GitLab's API, as far as Towline uses it.
//
// In come an address, a project and a token; out go what GitLab did, or an
// error that names the setting to change. It never decides what is released,
// never retries what GitLab refused, and shows its token to no other host.
package gitlab

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/secret"
	"gitlab.com/towline/towline/pkg/wire"
)

// Headers that carry tokens.
const (
	JobToken     = "JOB-TOKEN"     // of a job
	PrivateToken = "PRIVATE-TOKEN" // of a person, a project or a group
	OAuth        = "Authorization" // an OAuth token, or any personal one, as a bearer's
)

// Options say where GitLab is, and how to log in.
type Options struct {
	API     string // https://gitlab.example.com/api/v4
	Project string // number or path
	Header  string // that carries the token; JobToken if ""
	Token   secret.Value
	Wait    time.Duration // before a request is sent again; 500ms if 0
	Log     *slog.Logger  // told of retries; nil for nobody
}

// Client talks to one project.
type Client struct {
	o    Options
	wire *wire.Client
}

// New makes a client. It does not talk to GitLab yet.
func New(o Options) *Client {
	if o.Header == "" {
		o.Header = JobToken
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Client{o: o, wire: wire.New(wire.Options{
		UserAgent: "towline", MinWait: o.Wait, Proxy: http.ProxyFromEnvironment, Log: o.Log,
	})}
}

// mostBody is how much of an answer is read, in bytes.
const mostBody = 4 << 20

// refusal is an answer that is not a success.
type refusal struct {
	status  int
	message string
}

func (r *refusal) Error() string {
	text := fmt.Sprintf("GitLab answered %d %s", r.status, http.StatusText(r.status))
	if r.message != "" {
		text += ": " + r.message
	}
	return text
}

// statusOf is the status of a refusal, or 0.
func statusOf(err error) int {
	if r := (*refusal)(nil); errors.As(err, &r) {
		return r.status
	}
	return 0
}

// call sends a request about the project and reads the answer into out.
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	_, err := c.callWith(ctx, method, path, in, out)
	return err
}

// callWith is call that gives the headers of the answer too.
func (c *Client) callWith(ctx context.Context, method, path string, in, out any) (http.Header, error) {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	req, err := c.request(ctx, method, path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.wire.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, mostBody))
	if err != nil {
		return nil, wire.Clean(err)
	}
	if resp.StatusCode/100 != 2 {
		return nil, &refusal{resp.StatusCode, said(text)}
	}
	if out == nil {
		return resp.Header, nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return nil, fmt.Errorf("read GitLab's answer: %w", err)
	}
	return resp.Header, nil
}

// request is a request about the project, with the token.
func (c *Client) request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	address := strings.TrimSuffix(c.o.API, "/") + "/projects/" + url.PathEscape(c.o.Project) + path
	req, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return nil, wire.Clean(err)
	}
	switch {
	case c.o.Token.Empty():
	case c.o.Header == OAuth:
		req.Header.Set(OAuth, "Bearer "+c.o.Token.Reveal())
	default:
		req.Header.Set(c.o.Header, c.o.Token.Reveal())
	}
	return req, nil
}

// wait is how long to wait before something is tried again.
func (c *Client) wait() time.Duration { return cmp.Or(c.o.Wait, 500*time.Millisecond) }

// said is the message in a refusal, on one line and not too long.
func said(body []byte) string {
	var answer struct {
		Message json.RawMessage `json:"message"`
		Error   string          `json:"error"`
	}
	text := string(body)
	if json.Unmarshal(body, &answer) == nil {
		text = answer.Error
		if len(answer.Message) > 0 {
			text = strings.Trim(string(answer.Message), `"`)
		}
	}
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > 200 {
		text = text[:200] + "…"
	}
	return strings.ToValidUTF8(text, "")
}

// classify turns an error of a call into one with the setting to change.
func classify(ctx context.Context, operation string, err error) error {
	switch statusOf(err) {
	case 0:
		if ctx.Err() != nil {
			return fmt.Errorf("%s: %w", operation, context.Cause(ctx))
		}
		return fault.Newf(fault.Remote, "%s: %w", operation, err).Hintf("check that GitLab is up and can be reached, and run the job again")
	case http.StatusUnauthorized:
		return fault.Newf(fault.Denied, "%s: %w", operation, err).
			Hintf("a job token lives as long as its job: run it again; of TOWLINE_GIT_TOKEN check that it has not expired")
	case http.StatusForbidden:
		return fault.Newf(fault.Denied, "%s: %w", operation, err).
			Hintf("let the user who started the pipeline be a Developer at least, " +
				"and create tags of this name (Settings, Repository, Protected tags)")
	case http.StatusNotFound:
		return fault.Newf(fault.Denied, "%s: %w", operation, err).
			Hintf("GitLab hides what a token may not see: let releases be on for the project " +
				"(Settings, General, Visibility) and the job token have access to it (Settings, CI/CD, Job token permissions)")
	case http.StatusTooManyRequests:
		return fault.Newf(fault.Remote, "%s: %w", operation, err).Hintf("GitLab limits its clients: run the job again in a minute")
	}
	return fault.Newf(fault.Remote, "%s: %w", operation, err).Hintf("run the job again")
}

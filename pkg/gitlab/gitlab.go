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
	c := &Client{o: o}
	c.wire = wire.New(c.wireOptions())
	return c
}

func (c *Client) wireOptions() wire.Options {
	return wire.Options{UserAgent: "towline", MinWait: c.o.Wait, Proxy: http.ProxyFromEnvironment, Log: c.o.Log}
}

// mostBody is how much of an answer is read, in bytes.
const mostBody = 4 << 20

// refusal is an answer that is not a success.
type refusal struct {
	status  int
	message string
	limit   string // what GitLab says of the limit that was exceeded
}

// refusalOf reads an answer that is not a success.
func refusalOf(resp *http.Response, body []byte) *refusal {
	r := &refusal{status: resp.StatusCode, message: said(body)}
	if resp.StatusCode == http.StatusTooManyRequests {
		r.limit = limitOf(resp.Header)
	}
	return r
}

// limitOf says which limit was exceeded, in a few words. Limits of the
// application come without headers.
func limitOf(header http.Header) string {
	name, most, ends := plain(header.Get("RateLimit-Name")), plain(header.Get("RateLimit-Limit")), plain(header.Get("RateLimit-ResetTime"))
	if name == "" || most == "" {
		return ""
	}
	text := name + " allows " + most + " requests"
	if ends != "" {
		text += ", again from " + ends
	}
	return text
}

// plain is a header's value, if it is a short one on one line.
func plain(value string) string {
	if len(value) > 60 || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
		return ""
	}
	return value
}

func (r *refusal) Error() string {
	text := fmt.Sprintf("GitLab answered %d %s", r.status, http.StatusText(r.status))
	if r.message != "" {
		text += ": " + r.message
	}
	if r.limit != "" {
		text += " (" + r.limit + ")"
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
	return c.send(req, in != nil, out)
}

// send sends a request and reads the answer into out.
func (c *Client) send(req *http.Request, typed bool, out any) (http.Header, error) {
	return c.sendBy(c.wire.Do, req, typed, out)
}

// sendBy is send by a way of its own.
func (c *Client) sendBy(do func(*http.Request) (*http.Response, error), req *http.Request, typed bool, out any) (http.Header, error) {
	req.Header.Set("Accept", "application/json")
	if typed {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := do(req)
	if err != nil {
		return nil, wire.Clean(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, mostBody))
	if err != nil {
		return nil, wire.Clean(err)
	}
	if resp.StatusCode/100 != 2 {
		return resp.Header, refusalOf(resp, text)
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
	return c.requestTo(ctx, method, c.address()+path, body)
}

// address is that of the project in the API.
func (c *Client) address() string {
	return strings.TrimSuffix(c.o.API, "/") + "/projects/" + url.PathEscape(c.o.Project)
}

// jobToken says whether the client logs in as a job.
func (c *Client) jobToken() bool {
	return http.CanonicalHeaderKey(c.o.Header) == http.CanonicalHeaderKey(JobToken)
}

// requestTo is a request to an address of the API, with the token.
func (c *Client) requestTo(ctx context.Context, method, address string, body io.Reader) (*http.Request, error) {
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
		Code    string          `json:"error_code"` // of the calls that MLflow knows
	}
	text := string(body)
	if json.Unmarshal(body, &answer) == nil {
		text = cmp.Or(answer.Error, answer.Code)
		if len(answer.Message) > 0 && string(answer.Message) != "null" {
			text = strings.Trim(string(answer.Message), `"`)
		}
		if answer.Code != "" && text != answer.Code {
			text = answer.Code + ": " + text
		}
	}
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > 200 {
		text = text[:200] + "…"
	}
	return strings.ToValidUTF8(text, "")
}

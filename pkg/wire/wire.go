// Package wire is the way to HTTP services: one transport with retries.
//
// In come requests; out come responses, or errors that hold no query strings
// and no credentials. It never retries what a service has refused or may have
// done already, and never shows one host another host's tokens.
package wire

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"
)

// mostRedirects is how many redirects are followed, as in net/http.
const mostRedirects = 10

// Options say how requests are sent. The zero value is useful.
type Options struct {
	UserAgent  string
	Attempts   int           // how often a request is sent at most; 5 by default
	MinWait    time.Duration // before the second attempt; 500ms by default
	MaxWait    time.Duration // before a later one; 30s by default
	RetryAfter time.Duration // the longest wait a service may ask for; 2m by default
	Answer     time.Duration // how long a service may take to begin its answer; 2m by default
	Log        *slog.Logger  // told of retries; none by default

	// Proxy chooses a proxy; none by default, whatever the environment says.
	Proxy func(*http.Request) (*url.URL, error)
	// Base sends single requests, instead of a transport made from the above.
	Base http.RoundTripper
}

// Client sends requests.
type Client struct {
	http http.Client
}

// New makes a client.
func New(o Options) *Client {
	return &Client{http: http.Client{Transport: Transport(o), CheckRedirect: redirect}}
}

// HTTP gives the client to libraries that want one of net/http. Errors of it
// name addresses in full: Clean them before they are shown.
func (c *Client) HTTP() *http.Client { return &c.http }

// Do sends a request and follows redirects. The caller closes the response's
// body. After the last attempt it returns the response as it is.
func (c *Client) Do(req *http.Request) (*http.Response, error) {
	resp, err := c.http.Do(req)
	return resp, Clean(err)
}

// Transport sends requests, and sends them again where that helps. It follows
// no redirects.
func Transport(o Options) http.RoundTripper {
	o.Attempts = cmp.Or(o.Attempts, 5)
	o.MinWait = cmp.Or(o.MinWait, 500*time.Millisecond)
	o.MaxWait = cmp.Or(o.MaxWait, 30*time.Second)
	o.RetryAfter = cmp.Or(o.RetryAfter, 2*time.Minute)
	o.Answer = cmp.Or(o.Answer, 2*time.Minute)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Base == nil {
		o.Base = base(o)
	}
	return &retrier{o}
}

func base(o Options) *http.Transport {
	dialer := &net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:                 o.Proxy,
		DialContext:           dialer.DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          50,
		MaxIdleConnsPerHost:   8,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   15 * time.Second,
		ExpectContinueTimeout: time.Second,
		ResponseHeaderTimeout: o.Answer,
	}
}

// sensitive are the headers that only the host they were meant for may see.
var sensitive = []string{
	"Authorization", "Proxy-Authorization", "Cookie", "Cookie2", "Job-Token", "Private-Token", "Deploy-Token",
	"X-Gitlab-Token", "X-Amz-Security-Token",
}

// redirect keeps tokens from other hosts, and from the same one without TLS,
// on this hop and on all that follow it. A Referer would tell query strings.
func redirect(req *http.Request, via []*http.Request) error {
	if len(via) >= mostRedirects {
		return fmt.Errorf("stopped after %d redirects", mostRedirects)
	}
	if req.URL.Scheme != "https" && req.URL.Scheme != "http" {
		return errors.New("redirected to something that is not HTTP")
	}
	req.Header.Del("Referer")
	origin := via[0].URL
	for _, hop := range append(via[1:], req) {
		if sameService(origin, hop.URL) {
			continue
		}
		for _, header := range sensitive {
			req.Header.Del(header)
		}
		break
	}
	return nil
}

// sameService says whether tokens for one address may be sent to the other:
// to the same host and port, or to its TLS port.
func sameService(from, to *url.URL) bool {
	if from.Hostname() != to.Hostname() {
		return false
	}
	upgraded := from.Scheme == "http" && to.Scheme == "https" && port(from) == "80" && port(to) == "443"
	return upgraded || from.Scheme == to.Scheme && port(from) == port(to)
}

func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	if u.Scheme == "https" {
		return "443"
	}
	return "80"
}

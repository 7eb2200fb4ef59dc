package wire_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gitlab.com/towline/towline/pkg/wire"
)

func quick() wire.Options {
	return wire.Options{UserAgent: "towline/test", MinWait: time.Millisecond, MaxWait: 5 * time.Millisecond}
}

// answers serves the given statuses in turn, then 200, and counts requests.
func answers(t *testing.T, headers http.Header, statuses ...int) (address string, asked *atomic.Int32) {
	t.Helper()
	asked = &atomic.Int32{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		i := int(asked.Add(1)) - 1
		for name, values := range headers {
			w.Header()[name] = values
		}
		if i < len(statuses) {
			w.WriteHeader(statuses[i])
		}
		_, _ = fmt.Fprintf(w, "answer %d to %q from %s", i+1, body, r.UserAgent())
	}))
	t.Cleanup(server.Close)
	return server.URL, asked
}

func request(t *testing.T, method, address string, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, body)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func TestWhatIsSentAgain(t *testing.T) {
	for _, tt := range []struct {
		name     string
		method   string
		statuses []int
		headers  http.Header
		marked   bool
		want     int // status
		asked    int32
	}{
		{"a service that was down", "GET", []int{500, 502, 503, 504}, nil, false, 200, 5},
		{"a limit that was reached", "GET", []int{429}, http.Header{"Retry-After": {"0"}}, false, 200, 2},
		{"a limit with a date that is past", "GET", []int{429}, http.Header{"Retry-After": {"Fri, 31 Dec 1999 23:59:59 GMT"}}, false, 200, 2},
		{"a limit that began anew", "GET", []int{429}, http.Header{"Ratelimit-Reset": {"1500000000"}}, false, 200, 2},
		{"a limit that begins anew in no time", "GET", []int{429}, http.Header{"Ratelimit-Reset": {"0"}}, false, 200, 2},
		{"a limit that lasts too long", "GET", []int{429}, http.Header{"Ratelimit-Reset": {"999999999"}}, false, 429, 1},
		{"a limit until far in the future", "GET", []int{429}, http.Header{"Ratelimit-Reset": {"99999999999"}}, false, 429, 1},
		{"a wait that is asked for goes before the limit", "GET", []int{429}, http.Header{"Retry-After": {"0"}, "Ratelimit-Reset": {"99999999999"}}, false, 200, 2},
		{"a wait that is too long", "GET", []int{429}, http.Header{"Retry-After": {"86400"}}, false, 429, 1},
		{"a service that stays down", "GET", []int{503, 503, 503, 503, 503, 503}, nil, false, 503, 5},
		{"not what was denied", "GET", []int{401}, nil, false, 401, 1},
		{"not what is forbidden", "GET", []int{403}, nil, false, 403, 1},
		{"not what is missing", "GET", []int{404}, nil, false, 404, 1},
		{"not what does not exist", "GET", []int{501}, nil, false, 501, 1},
		{"a PUT with its body", "PUT", []int{502}, nil, false, 200, 2},
		{"a POST that was turned away", "POST", []int{429, 503}, nil, false, 200, 3},
		{"not a POST that may have been done", "POST", []int{500}, nil, false, 500, 1},
		{"a POST that may be done twice", "POST", []int{500}, nil, true, 200, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			address, asked := answers(t, tt.headers, tt.statuses...)
			req := request(t, tt.method, address, strings.NewReader("body"))
			if tt.marked {
				req.Header["Idempotency-Key"] = nil
			}
			resp, err := wire.New(quick()).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			text, err := io.ReadAll(resp.Body)
			want := fmt.Sprintf("answer %d to \"body\" from towline/test", tt.asked)
			if resp.StatusCode != tt.want || asked.Load() != tt.asked || string(text) != want || err != nil {
				t.Errorf("status %d after %d requests, %q, %v; want %d after %d, %q", resp.StatusCode, asked.Load(), text, err, tt.want, tt.asked, want)
			}
		})
	}
}

func TestABodyThatCannotBeHadAgainIsSentOnce(t *testing.T) {
	address, asked := answers(t, nil, 503)
	resp, err := wire.New(quick()).Do(request(t, "PUT", address, io.MultiReader(strings.NewReader("body"))))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusServiceUnavailable || asked.Load() != 1 {
		t.Errorf("status %d after %d requests, want 503 after 1", resp.StatusCode, asked.Load())
	}
}

func TestAWaitThatTheServiceAsksForIsKept(t *testing.T) {
	address, _ := answers(t, http.Header{"Retry-After": {"1"}}, 503)
	began := time.Now()
	resp, err := wire.New(quick()).Do(request(t, "GET", address, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if waited := time.Since(began); waited < time.Second || resp.StatusCode != http.StatusOK {
		t.Errorf("status %d after %s, want 200 after 1s", resp.StatusCode, waited)
	}
}

func TestALostConnectionIsMadeAgain(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) < 3 {
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, "done")
	}))
	defer server.Close()
	resp, err := wire.New(quick()).Do(request(t, "GET", server.URL, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || asked.Load() != 3 {
		t.Errorf("status %d after %d requests, want 200 after 3", resp.StatusCode, asked.Load())
	}

	asked.Store(0)
	if resp, err := wire.New(quick()).Do(request(t, "POST", server.URL, nil)); err == nil {
		resp.Body.Close()
		t.Error("a POST that may have been done is sent again")
	}
}

func TestCancellingEndsTheWait(t *testing.T) {
	address, asked := answers(t, http.Header{"Retry-After": {"60"}}, 503)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	resp, err := wire.New(quick()).Do(request(t, "GET", address, nil).WithContext(ctx))
	if err == nil {
		resp.Body.Close()
	}
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 5*time.Second || asked.Load() != 1 {
		t.Errorf("Do = %v after %s and %d requests", err, time.Since(began), asked.Load())
	}
}

// redirector sends every request on to the address in its query.
func redirector(t *testing.T, to string) string {
	t.Helper()
	server := httptest.NewServer(http.RedirectHandler(to, http.StatusFound))
	t.Cleanup(server.Close)
	return server.URL
}

// listener says which headers it was shown.
func listener(t *testing.T) (address string, seen func() http.Header) {
	t.Helper()
	var headers atomic.Pointer[http.Header]
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		headers.Store(&r.Header)
	}))
	t.Cleanup(server.Close)
	return server.URL, func() http.Header { return *headers.Load() }
}

var tokens = []string{"Authorization", "JOB-TOKEN", "PRIVATE-TOKEN", "DEPLOY-TOKEN", "Cookie"}

func TestTokensAreKeptFromOtherHosts(t *testing.T) {
	other, seen := listener(t)
	for _, tt := range []struct{ name, address string }{
		{"another host", redirector(t, other+"/file?signature=s")},
		{"another host behind another host", redirector(t, redirector(t, other))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req := request(t, "GET", tt.address+"/?private_token=secret", nil)
			for _, name := range tokens {
				req.Header.Set(name, "secret")
			}
			req.Header.Set("Accept", "text/plain")
			resp, err := wire.New(quick()).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			for name, values := range seen() {
				if strings.Contains(strings.Join(values, " "), "secret") {
					t.Errorf("the other host sees %s: %q", name, values)
				}
			}
			if seen().Get("Accept") != "text/plain" {
				t.Errorf("the other host sees %v, wanted Accept too", seen())
			}
		})
	}
}

func TestTokensStayOnTheSameHost(t *testing.T) {
	var seen http.Header
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			http.Redirect(w, r, "/moved", http.StatusTemporaryRedirect)
			return
		}
		seen = r.Header
	}))
	defer server.Close()
	req := request(t, "GET", server.URL+"/?a=b", nil)
	req.Header.Set("JOB-TOKEN", "secret")
	resp, err := wire.New(quick()).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if seen.Get("JOB-TOKEN") != "secret" || seen.Get("Referer") != "" {
		t.Errorf("after a redirect on the same host it sees %v", seen)
	}
}

// routes answers requests by host, so that a test can have TLS and names.
type routes map[string]func(*http.Request) *http.Response

func (r routes) RoundTrip(req *http.Request) (*http.Response, error) {
	resp := r[req.URL.Scheme+"://"+req.URL.Host](req)
	resp.Request = req
	return resp, nil
}

func TestTokensAreKeptFromTheSameHostWithoutTLS(t *testing.T) {
	for _, tt := range []struct {
		name, from, to string
		kept           bool
	}{
		{"from https to http", "https://gitlab.example.com", "http://gitlab.example.com", false},
		{"from http to https", "http://gitlab.example.com", "https://gitlab.example.com", true},
		{"to another port", "https://gitlab.example.com", "https://gitlab.example.com:8443", false},
		{"to a host below it", "https://gitlab.example.com", "https://evil.gitlab.example.com", false},
		{"to the default port by number", "https://gitlab.example.com", "https://gitlab.example.com:443", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var seen http.Header
			o := quick()
			o.Base = routes{
				tt.from: func(*http.Request) *http.Response {
					return &http.Response{StatusCode: http.StatusFound, Header: http.Header{"Location": {tt.to + "/x"}}, Body: http.NoBody}
				},
				tt.to: func(r *http.Request) *http.Response {
					seen = r.Header
					return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}
				},
			}
			req := request(t, "GET", tt.from, nil)
			req.Header.Set("Private-Token", "secret")
			resp, err := wire.New(o).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if kept := seen.Get("Private-Token") != ""; kept != tt.kept {
				t.Errorf("the token is shown: %v, want %v", kept, tt.kept)
			}
		})
	}
}

func TestErrorsHoldNoSecrets(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	o := quick()
	o.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/?private_token=hidden", http.StatusFound)
	}))
	defer endless.Close()
	for _, address := range []string{
		"http://user:hidden@" + closed.Addr().String() + "/path?private_token=hidden#hidden",
		redirector(t, "http://user:hidden@"+closed.Addr().String()+"/x?sig=hidden"),
		redirector(t, "ftp://user:hidden@example.com/?sig=hidden"),
		redirector(t, "http://[example.com/?sig=hidden"),
		endless.URL + "/?private_token=hidden",
	} {
		resp, err := wire.New(o).Do(request(t, "GET", address, nil))
		if err == nil {
			resp.Body.Close()
			t.Errorf("Do(%s) succeeds", address)
			continue
		}
		if strings.Contains(err.Error(), "hidden") {
			t.Errorf("Do(%s) = %v", address, err)
		}
	}
	if log.Len() == 0 || strings.Contains(log.String(), "hidden") {
		t.Errorf("the log says %s", log.String())
	}
}

func TestCleanKeepsWhatTheErrorIs(t *testing.T) {
	err := wire.Clean(fmt.Errorf("get https://u:p@example.com/a?b=c: %w", io.ErrUnexpectedEOF))
	if err.Error() != "get https://example.com/a: unexpected EOF" || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("Clean = %v", err)
	}
	if wire.Clean(nil) != nil {
		t.Error("Clean(nil) is an error")
	}
	if plain := io.ErrUnexpectedEOF; !errors.Is(wire.Clean(plain), plain) {
		t.Error("Clean changes an error without addresses")
	}
}

package gittest

import (
	"encoding/pem"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Server serves bare repositories over HTTPS, through git's own http-backend.
type Server struct {
	URL string // without a slash at its end
	CA  string // file with its certificate, for GIT_SSL_CAINFO

	mu    sync.Mutex
	seen  []string // method, path and user of each request
	wrong int
}

// Serve serves the bare repositories of a folder to one user with one
// password; to everybody if user is "".
func Serve(t testing.TB, root, user, password string) *Server {
	t.Helper()
	backend := &cgi.Handler{
		Path: filepath.Join(Git(t, ".", "--exec-path"), "git-http-backend"),
		Dir:  root,
		Env: append(Environ(), "GIT_PROJECT_ROOT="+root, "GIT_HTTP_EXPORT_ALL=1",
			"REMOTE_USER="+user, "GIT_HTTP_MAX_REQUEST_BUFFER=100M"),
		Stderr: &lines{t: t},
	}
	s := &Server{}
	s.start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, word, sent := r.BasicAuth()
		s.note(r.Method + " " + r.URL.Path + " " + name)
		if user != "" && (name != user || word != password) {
			if sent {
				s.mu.Lock()
				s.wrong++
				s.mu.Unlock()
			}
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			http.Error(w, "HTTP Basic: Access denied", http.StatusUnauthorized)
			return
		}
		backend.ServeHTTP(w, r)
	}))
	return s
}

// Redirect answers every request with a redirect to another server.
func Redirect(t testing.TB, to string) *Server {
	t.Helper()
	s := &Server{}
	s.start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, _, _ := r.BasicAuth()
		s.note(r.Method + " " + r.URL.Path + " " + name)
		http.Redirect(w, r, to+r.URL.RequestURI(), http.StatusFound)
	}))
	return s
}

func (s *Server) start(t testing.TB, handler http.Handler) {
	t.Helper()
	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)
	s.URL = server.URL
	s.CA = filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	check(t, os.WriteFile(s.CA, block, 0o644))
}

func (s *Server) note(request string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, request)
}

// Seen are the requests so far: method, path and user.
func (s *Server) Seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.seen...)
}

// Wrong is how many requests carried credentials that were not accepted.
func (s *Server) Wrong() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wrong
}

// lines writes what the backend complains of to the test's log.
type lines struct{ t testing.TB }

func (l *lines) Write(b []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

// Package gitlabtest is a small GitLab for tests: tags and releases of one
// project, over a bare git repository or over nothing but memory.
//
// It keeps GitLab's promises: a release makes its tag if there is none and
// takes the one that is there, a second release of a tag is a conflict, what a
// token may not see is not found, and a limit says when to come back.
package gitlabtest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// Project is the number of the project that there is.
const Project = "42"

// Token is the job token that is accepted.
const Token = "job-token-of-the-test" //nolint:gosec // of a fake

// Server is a GitLab that runs until the test ends.
type Server struct {
	API string // address, with /api/v4

	repo string // bare repository, or ""

	mu       sync.Mutex
	tags     map[string]Tag
	releases map[string]string // tag → description
	failures []Failure
	before   func(tag string) // called once, before the next release is made
	seen     []string
}

// Tag is a tag, as the API tells of it.
type Tag struct {
	Name    string `json:"name"`
	Message string `json:"message"`
	Target  string `json:"target"`
}

// Failure is an answer to requests of a method, instead of what they ask for.
type Failure struct {
	Method     string
	Status     int
	Body       string
	RetryAfter string
	Done       bool // it is carried out nevertheless: only the answer is lost
}

// Start starts a server over a bare repository; over memory if repo is "".
func Start(t testing.TB, repo string) *Server {
	t.Helper()
	s := New(repo)
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.API = server.URL + "/api/v4"
	return s
}

// New makes the handler of a server, for those who listen themselves.
func New(repo string) *Server {
	return &Server{repo: repo, tags: map[string]Tag{}, releases: map[string]string{}}
}

// Fail has the next requests of these methods fail, one for each failure.
func (s *Server) Fail(failures ...Failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures = append(s.failures, failures...)
}

// BeforeRelease is called once, when the next release is about to be made.
func (s *Server) BeforeRelease(f func(tag string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = f
}

// PutTag makes a tag, as another client would.
func (s *Server) PutTag(tag Tag) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tags[tag.Name] = tag
}

// Releases are the descriptions of the releases there are, by tag.
func (s *Server) Releases() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]string{}
	for tag, text := range s.releases {
		all[tag] = text
	}
	return all
}

// Seen are the requests so far: method and path.
func (s *Server) Seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.seen...)
}

// ServeHTTP answers the API.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, r.Method+" "+r.URL.EscapedPath())
	if r.Header.Get("Job-Token") != Token {
		tell(w, http.StatusUnauthorized, "401 Unauthorized")
		return
	}
	for i, f := range s.failures {
		if f.Method != r.Method {
			continue
		}
		s.failures = append(s.failures[:i:i], s.failures[i+1:]...)
		if f.Done {
			s.answer(httptest.NewRecorder(), r)
		}
		if f.RetryAfter != "" {
			w.Header().Set("Retry-After", f.RetryAfter)
		}
		w.WriteHeader(f.Status)
		_, _ = w.Write([]byte(f.Body))
		return
	}
	s.answer(w, r)
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request) {
	path, ok := strings.CutPrefix(r.URL.EscapedPath(), "/api/v4/projects/"+Project)
	if !ok {
		tell(w, http.StatusNotFound, "404 Project Not Found")
		return
	}
	tag, isTag := strings.CutPrefix(path, "/repository/tags/")
	release, isRelease := strings.CutPrefix(path, "/releases/")
	switch {
	case isTag && r.Method == http.MethodGet:
		s.getTag(w, unescaped(tag))
	case isRelease && r.Method == http.MethodDelete:
		delete(s.releases, unescaped(release))
		tell(w, http.StatusOK, "deleted")
	case path == "/releases" && r.Method == http.MethodPost:
		s.postRelease(w, r)
	default:
		tell(w, http.StatusNotFound, "404 Not Found")
	}
}

func unescaped(part string) string {
	text, err := url.PathUnescape(part)
	if err != nil {
		return part
	}
	return text
}

func (s *Server) getTag(w http.ResponseWriter, name string) {
	tag, ok := s.find(name)
	if !ok {
		tell(w, http.StatusNotFound, "404 Tag Not Found")
		return
	}
	write(w, http.StatusOK, tag)
}

func (s *Server) find(name string) (Tag, bool) {
	if s.repo == "" {
		tag, ok := s.tags[name]
		return tag, ok
	}
	target, err := s.git("rev-parse", "--verify", "--quiet", "refs/tags/"+name+"^{commit}")
	if err != nil {
		return Tag{}, false
	}
	message, err := s.git("for-each-ref", "--format=%(if:equals=tag)%(objecttype)%(then)%(contents)%(end)", "refs/tags/"+name)
	return Tag{Name: name, Message: message, Target: target}, err == nil
}

func (s *Server) postRelease(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Tag         string `json:"tag_name"`
		Ref         string `json:"ref"`
		Message     string `json:"tag_message"`
		Description string `json:"description"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Tag == "" {
		tell(w, http.StatusBadRequest, "tag_name is missing")
		return
	}
	if s.before != nil {
		before := s.before
		s.before = nil
		s.mu.Unlock()
		before(in.Tag)
		s.mu.Lock()
	}
	if _, twice := s.releases[in.Tag]; twice {
		tell(w, http.StatusConflict, "Release already exists")
		return
	}
	if _, there := s.find(in.Tag); !there {
		if err := s.make(Tag{Name: in.Tag, Message: in.Message, Target: in.Ref}); err != nil {
			tell(w, http.StatusBadRequest, "Target "+in.Ref+" is invalid")
			return
		}
	}
	s.releases[in.Tag] = in.Description
	write(w, http.StatusCreated, map[string]string{"tag_name": in.Tag, "description": in.Description})
}

func (s *Server) make(tag Tag) error {
	if s.repo == "" {
		s.tags[tag.Name] = tag
		return nil
	}
	_, err := s.git("tag", "-a", "--cleanup=verbatim", "-m", tag.Message, "--", tag.Name, tag.Target)
	return err
}

func (s *Server) git(args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env = s.repo, []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + os.DevNull, "LC_ALL=C", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_COMMITTER_NAME=GitLab", "GIT_COMMITTER_EMAIL=gitlab@towline.invalid",
	}
	out, err := cmd.Output()
	return strings.TrimRight(string(out), "\n"), err
}

func tell(w http.ResponseWriter, status int, message string) {
	write(w, status, map[string]string{"message": message})
}

func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

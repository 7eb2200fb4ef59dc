// Package gitlabtest is a GitLab for tests: projects, tokens, jobs with their
// artifacts, packages, tags and releases, merge requests with notes,
// deployments, pipelines, a model registry, and an object storage on another
// port.
//
// It keeps GitLab's promises: what a token may not see is not found, a job
// token needs the allowlist of the project it goes to, and of an artifact a
// licence; by ref there is the archive of the latest pipeline that succeeded,
// never of one that runs; a release makes its tag if there is none and takes
// the one that is there; a limit says when to come back; each call asks for the kind of token, the
// scope and the role that GitLab asks for. It never talks to
// anything but loopback, and remembers every request it was sent.
package gitlabtest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// Project is the number of the project that there is from the start.
const Project = "42"

// OwnProject is Project as a number.
const OwnProject = 42

// Token is a job token of that project.
const Token = "job-token-of-the-test" //nolint:gosec // of a fake

// Server is a GitLab that runs until the test ends.
type Server struct {
	API     string // address, with /api/v4
	Storage string // address of the object storage

	repo string // bare repository, or ""
	mux  *http.ServeMux

	mu        sync.Mutex
	projects  []*ProjectSettings
	tokens    map[string]Credential
	jobs      []*Job
	pipelines map[int]string    // status, by number
	packages  map[string]*blob  // project/name/version/file
	signed    map[string]*blob  // what addresses of the object storage stand for
	tags      map[string]Tag    // of OwnProject
	releases  map[string]string // of OwnProject: tag → description
	links     map[string][]*Link
	before    func(tag string) // called once, before the next release is made
	limits    []*limit
	world     world
	failures  []Failure
	transfer  Transfer

	seen     sync.Mutex // may be taken while mu is held
	requests []*Request
}

// Failure is an answer to one request, instead of what it asks for.
type Failure struct {
	Method     string
	Path       string // a part of the path; "" for any
	Status     int
	Body       string
	RetryAfter string // of a 429; application limits come without
	Done       bool   // it is carried out nevertheless: only the answer is lost
}

// Start starts a server, whose project OwnProject has a bare repository; tags
// and releases are kept in memory if repo is "".
func Start(t testing.TB, repo string) *Server {
	t.Helper()
	s := New(repo)
	api, storage := httptest.NewServer(s), httptest.NewServer(http.HandlerFunc(s.serveStorage))
	t.Cleanup(api.Close)
	t.Cleanup(storage.Close)
	s.API, s.Storage = api.URL+"/api/v4", storage.URL
	return s
}

// New makes the handler of a server, for those who listen themselves.
func New(repo string) *Server {
	s := &Server{
		repo: repo, tokens: map[string]Credential{}, pipelines: map[int]string{}, packages: map[string]*blob{},
		signed: map[string]*blob{}, tags: map[string]Tag{}, releases: map[string]string{},
		links: map[string][]*Link{}, world: newWorld(),
	}
	s.AddProject(ProjectSettings{ID: OwnProject, Path: "group/own"})
	s.AddToken(Token, Credential{Project: OwnProject})
	s.mux = http.NewServeMux()
	for pattern, handle := range map[string]http.HandlerFunc{
		"GET /api/v4/metadata":                                       s.getMetadata,
		"GET /api/v4/projects/{id}":                                  s.within(s.getProject),
		"GET /api/v4/projects/{id}/job_token_scope":                  s.maintainers(s.getTokenScope),
		"GET /api/v4/projects/{id}/job_token_scope/allowlist":        s.maintainers(s.getAllowlist),
		"GET /api/v4/projects/{id}/job_token_scope/groups_allowlist": s.maintainers(s.getGroupsAllowlist),
		"GET /api/v4/job":                                            s.getOwnJob,
		"GET /api/v4/user":                                           s.getUser,
		"GET /api/v4/projects/{id}/jobs/{job}":                       s.within(s.getJob),
		"GET /api/v4/projects/{id}/pipelines/{pipeline}/jobs":        s.within(s.listJobs),
		"GET /api/v4/projects/{id}/jobs/{job}/artifacts":             s.within(s.getArtifacts),
		"GET /api/v4/projects/{id}/jobs/artifacts/{ref}/download":    s.within(s.getArtifactsByRef),
	} {
		s.mux.HandleFunc(pattern, handle)
	}
	for _, calls := range []map[string]http.HandlerFunc{
		s.releaseCalls(), s.packageCalls(), s.noteCalls(), s.deploymentCalls(), s.pipelineCalls(), s.modelCalls(),
	} {
		for pattern, handle := range calls {
			method, path, _ := strings.Cut(pattern, " ")
			s.mux.HandleFunc(method+" /api/v4/projects/{id}"+path, handle)
		}
	}
	s.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { tell(w, http.StatusNotFound, "404 Not Found") })
	return s
}

// Handle adds a call of the API; the pattern is one of http.ServeMux.
func (s *Server) Handle(pattern string, handle http.HandlerFunc) { s.mux.HandleFunc(pattern, handle) }

// Fail has the next requests of these kinds fail, one for each failure.
func (s *Server) Fail(failures ...Failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures = append(s.failures, failures...)
}

// ServeHTTP answers the API.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	told := s.record("gitlab", w, r)
	if _, known := s.credential(r); !known && !byTriggerToken(r) {
		tell(told, http.StatusUnauthorized, "401 Unauthorized")
		return
	}
	if s.limited(told, r) {
		return
	}
	f, fails := s.nextFailure(r)
	if !fails {
		s.mux.ServeHTTP(told, r)
		return
	}
	if f.Done {
		s.mux.ServeHTTP(httptest.NewRecorder(), r)
	}
	if f.RetryAfter != "" {
		told.Header().Set("Retry-After", f.RetryAfter)
	}
	told.WriteHeader(f.Status)
	_, _ = told.Write([]byte(f.Body))
}

// nextFailure takes the failure that waits for such a request, if there is one.
func (s *Server) nextFailure(r *http.Request) (Failure, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.failures {
		if f.Method == r.Method && strings.Contains(r.URL.EscapedPath(), f.Path) {
			s.failures = append(s.failures[:i:i], s.failures[i+1:]...)
			return f, true
		}
	}
	return Failure{}, false
}

func tell(w http.ResponseWriter, status int, message string) {
	write(w, status, map[string]string{"message": message})
}

func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

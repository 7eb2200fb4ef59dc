package gitlabtest

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// ProjectSettings are a project and what decides who gets at it.
type ProjectSettings struct {
	ID   int
	Path string

	Public   bool  // anybody may clone it
	Free     bool  // not licensed: its artifacts are not found with a job token
	Allow    []int // projects whose job tokens it lets in
	HideJobs bool  // job tokens may not list and read jobs and pipelines, as before 18.x

	AllowGroups []string // groups whose projects' job tokens it lets in
	Open        bool     // it lets everybody's in
	TokensPush  bool     // its own job tokens may push
	MinimumRole string   // to set pipeline variables; not told if ""

	Off          []string // features that are off: merge_requests, environments, releases, packages, model_registry
	Protected    []string // names that a Developer may not use: tags, environments, branches
	Once         bool     // a file of a generic package cannot be published twice
	MostPackage  int64    // bytes of a package's file at most; 5 GB if 0
	NoVariables  bool     // nobody may set the variables of a pipeline
	TriggerToken string   // the trigger token of the project
}

// Roles of a user in a project.
const (
	Guest      = "guest"
	Reporter   = "reporter"
	Developer  = "developer"
	Maintainer = "maintainer"
)

var roles = []string{Guest, Reporter, Developer, Maintainer}

// Credential is what a token may be used for.
type Credential struct {
	Project  int    // that the job of a job token runs in
	Job      int    // the job of a job token
	Header   string // that carries it; JOB-TOKEN for a job token, else PRIVATE-TOKEN or Authorization
	Projects []int  // that a token of a person or project may see

	Developer bool // of those projects, and no Maintainer

	User  int    // whose it is; 1 if 0
	Role  string // of that user; Developer if ""
	Scope string // api if ""; read_api reads only
}

// power is what a call asks of a token.
type power struct {
	jobs    bool   // a job's token will do
	role    string // at least
	feature string // that has to be on
}

// with guards a call. What a project has not switched on is not found; a job's
// token where it is no use is none at all.
func (s *Server) with(p power, f func(http.ResponseWriter, *http.Request, access)) http.HandlerFunc {
	return s.within(func(w http.ResponseWriter, r *http.Request, at access) {
		writes := r.Method != http.MethodGet
		switch {
		case at.jobToken() && !p.jobs:
			tell(w, http.StatusUnauthorized, "401 Unauthorized")
		case at.who.Scope == "read_api" && writes:
			write(w, http.StatusForbidden, map[string]string{
				"error": "insufficient_scope", "scope": "api",
				"error_description": "The request requires higher privileges than provided by the access token.",
			})
		case slices.Contains(at.project.Off, p.feature):
			tell(w, http.StatusNotFound, "404 Not Found")
		case slices.Index(roles, at.who.Role) < slices.Index(roles, p.role):
			tell(w, http.StatusForbidden, "403 Forbidden")
		default:
			f(w, r, at)
		}
	})
}

// protects says whether the user may not use a name.
func (a access) protects(name string) bool {
	return slices.Contains(a.project.Protected, name) && a.who.Role != Maintainer
}

// AddProject makes a project.
func (s *Server) AddProject(p ProjectSettings) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.projects = append(s.projects, &p)
}

// ChangeProject changes the settings of a project.
func (s *Server) ChangeProject(id int, change func(*ProjectSettings)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.projects {
		if p.ID == id {
			change(p)
		}
	}
}

// AddToken makes a token. One with a Project and no Header is a job token, any
// other one without is a project's own.
func (s *Server) AddToken(value string, c Credential) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case c.Header == "" && c.Project != 0:
		c.Header = "Job-Token"
	case c.Header == "":
		c.Header = "Private-Token"
	}
	if c.Role == "" {
		c.Role = Developer
	}
	if c.User == 0 {
		c.User = 1
	}
	s.tokens[value] = c
}

// credential finds whose the request is. A token in a header that is not its
// own is none.
func (s *Server) credential(r *http.Request) (Credential, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, header := range []string{"Job-Token", "Private-Token", "Authorization"} {
		value := r.Header.Get(header)
		if header == "Authorization" {
			value = strings.TrimPrefix(value, "Bearer ")
		}
		if value == "" {
			continue
		}
		c, ok := s.tokens[value]
		return c, ok && strings.EqualFold(c.Header, header)
	}
	return Credential{}, false
}

// access is a project that a token may enter.
type access struct {
	project ProjectSettings
	who     Credential
}

func (a access) jobToken() bool { return a.who.Project != 0 }

// within finds the project of a call and asks whether the token may enter it.
func (s *Server) within(f func(http.ResponseWriter, *http.Request, access)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		who, _ := s.credential(r)
		project, ok := s.project(r.PathValue("id"))
		at := access{project, who}
		switch {
		case !ok, !at.jobToken() && !slices.Contains(who.Projects, project.ID):
			tell(w, http.StatusNotFound, "404 Project Not Found")
		case at.jobToken() && who.Project != project.ID && !project.letsIn(s.own(who)):
			tell(w, http.StatusForbidden, "403 Forbidden")
		default:
			f(w, r, at)
		}
	}
}

// own is the project of a job token.
func (s *Server) own(who Credential) ProjectSettings {
	p, _ := s.project(strconv.Itoa(who.Project))
	p.ID = who.Project
	return p
}

// project finds a project by number or path.
func (s *Server) project(id string) (ProjectSettings, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.projects {
		if strconv.Itoa(p.ID) == id || p.Path == id {
			return *p, true
		}
	}
	return ProjectSettings{}, false
}

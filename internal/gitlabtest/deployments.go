package gitlabtest

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strconv"
)

// Environment is an environment of a project.
type Environment struct {
	Project int    `json:"-"`
	ID      int    `json:"id"`
	Name    string `json:"name"`
	Address string `json:"external_url"`
	Tier    string `json:"tier"`
}

// Deployment is a deployment to an environment.
type Deployment struct {
	Project     int
	ID          int
	Environment string
	Commit, Ref string
	Tag         bool
	Status      string
	OfJob       bool // GitLab made it for a job, and the API does not change it
}

// environmentName is what GitLab takes (lib/gitlab/regex.rb).
var environmentName = regexp.MustCompile(`^[a-zA-Z0-9_/\\$\{\}\. \-]{1,255}$`)

var (
	tiers    = []string{"production", "staging", "testing", "development", "other"}
	outcomes = []string{"running", "success", "failed", "canceled"}
)

// Environments are those there are.
func (s *Server) Environments() []Environment {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Environment
	for _, e := range s.world.environment {
		all = append(all, *e)
	}
	return all
}

// Deployments are those there are, oldest first.
func (s *Server) Deployments() []Deployment {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Deployment
	for _, d := range s.world.deployments {
		all = append(all, *d)
	}
	return all
}

// AddDeployment makes a deployment, as a job with an environment does.
func (s *Server) AddDeployment(d Deployment) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	d.ID = s.world.next()
	s.world.deployments = append(s.world.deployments, &d)
	return d.ID
}

func (s *Server) deploymentCalls() map[string]http.HandlerFunc {
	reads := power{jobs: true, role: Reporter, feature: "environments"}
	writes := power{jobs: true, role: Developer, feature: "environments"}
	return map[string]http.HandlerFunc{
		"GET /environments":               s.with(reads, s.listEnvironments),
		"POST /environments":              s.with(writes, s.postEnvironment),
		"PUT /environments/{environment}": s.with(writes, s.putEnvironment),
		"POST /deployments":               s.with(writes, s.postDeployment),
		"PUT /deployments/{deployment}":   s.with(writes, s.putDeployment),
	}
}

func (s *Server) listEnvironments(w http.ResponseWriter, r *http.Request, at access) {
	name := r.URL.Query().Get("name")
	s.mu.Lock()
	defer s.mu.Unlock()
	found := []*Environment{}
	for _, e := range s.world.environment {
		if e.Project == at.project.ID && (name == "" || e.Name == name) {
			found = append(found, e)
		}
	}
	write(w, http.StatusOK, page(w, r, found))
}

func (s *Server) postEnvironment(w http.ResponseWriter, r *http.Request, at access) {
	e := Environment{Tier: "other"}
	err := json.NewDecoder(r.Body).Decode(&e)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err != nil || !environmentName.MatchString(e.Name) || !slices.Contains(tiers, e.Tier):
		tell(w, http.StatusBadRequest, "name or tier does not have a valid value")
	case s.environmentOf(at.project.ID, e.Name) != nil:
		write(w, http.StatusBadRequest, map[string]any{"message": map[string][]string{"name": {"has already been taken"}}})
	default:
		e.ID, e.Project = s.world.next(), at.project.ID
		s.world.environment = append(s.world.environment, &e)
		write(w, http.StatusCreated, e)
	}
}

func (s *Server) environmentOf(project int, name string) *Environment {
	for _, e := range s.world.environment {
		if e.Project == project && e.Name == name {
			return e
		}
	}
	return nil
}

func (s *Server) putEnvironment(w http.ResponseWriter, r *http.Request, at access) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.world.environment {
		if e.Project != at.project.ID || strconv.Itoa(e.ID) != r.PathValue("environment") {
			continue
		}
		changed := *e
		if err := json.NewDecoder(r.Body).Decode(&changed); err != nil || !slices.Contains(tiers, changed.Tier) {
			tell(w, http.StatusBadRequest, "tier does not have a valid value")
			return
		}
		e.Address, e.Tier = changed.Address, changed.Tier // a name cannot be changed
		write(w, http.StatusOK, e)
		return
	}
	tell(w, http.StatusNotFound, "404 Not found")
}

// postDeployment makes a deployment, and the environment if there is none.
func (s *Server) postDeployment(w http.ResponseWriter, r *http.Request, at access) {
	var in struct {
		Environment *string `json:"environment"`
		Commit      *string `json:"sha"`
		Ref         *string `json:"ref"`
		Tag         *bool   `json:"tag"`
		Status      string  `json:"status"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil ||
		in.Environment == nil || in.Commit == nil || in.Ref == nil || in.Tag == nil || !slices.Contains(outcomes, in.Status) {
		write(w, http.StatusBadRequest, map[string]string{"error": "environment, sha, ref, tag or status is missing or has no valid value"})
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case at.protects(*in.Environment):
		tell(w, http.StatusForbidden, "403 Forbidden")
		return
	case !fullHash.MatchString(*in.Commit):
		write(w, http.StatusBadRequest, map[string]any{"message": map[string][]string{"sha": {"The commit does not exist"}}})
		return
	}
	if s.environmentOf(at.project.ID, *in.Environment) == nil {
		s.world.environment = append(s.world.environment, &Environment{
			Project: at.project.ID, ID: s.world.next(), Name: *in.Environment, Tier: "other",
		})
	}
	d := &Deployment{
		Project: at.project.ID, ID: s.world.next(), Environment: *in.Environment, Commit: *in.Commit, Ref: *in.Ref, Tag: *in.Tag, Status: in.Status,
	}
	s.world.deployments = append(s.world.deployments, d)
	write(w, http.StatusCreated, map[string]any{"id": d.ID, "status": d.Status})
}

var fullHash = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

// putDeployment changes the state of a deployment that no job made. One that
// has ended stays as it is.
func (s *Server) putDeployment(w http.ResponseWriter, r *http.Request, at access) {
	var in struct {
		Status string `json:"status"`
	}
	err := json.NewDecoder(r.Body).Decode(&in)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.world.deployments {
		if d.Project != at.project.ID || strconv.Itoa(d.ID) != r.PathValue("deployment") {
			continue
		}
		switch {
		case err != nil || !slices.Contains(outcomes, in.Status):
			write(w, http.StatusBadRequest, map[string]string{"error": "status does not have a valid value"})
		case d.OfJob:
			tell(w, http.StatusForbidden, "403 Forbidden - Deployments created using GitLab CI can not be updated using the API")
		case d.Status != "running" && d.Status != in.Status:
			write(w, http.StatusBadRequest, map[string]any{"message": map[string][]string{"status": {"cannot transition"}}})
		default:
			d.Status = in.Status
			write(w, http.StatusOK, map[string]any{"id": d.ID, "status": d.Status})
		}
		return
	}
	tell(w, http.StatusNotFound, "404 Not found")
}

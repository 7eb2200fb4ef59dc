package gitlabtest

import (
	"net/http"
	"slices"
	"strconv"
)

// Version is the server's.
const Version = "18.9.1-ee"

// getMetadata tells the version, but not to job tokens.
func (s *Server) getMetadata(w http.ResponseWriter, r *http.Request) {
	if who, _ := s.credential(r); who.Project != 0 {
		tell(w, http.StatusUnauthorized, "401 Unauthorized")
		return
	}
	write(w, http.StatusOK, map[string]any{"version": Version, "revision": "0123abc", "enterprise": true})
}

// getProject tells of a project, and its settings to Maintainers only. A job
// token is taken for nobody's.
func (s *Server) getProject(w http.ResponseWriter, _ *http.Request, at access) {
	if at.jobToken() {
		tell(w, http.StatusNotFound, "404 Project Not Found")
		return
	}
	text := map[string]any{"id": at.project.ID, "path_with_namespace": at.project.Path, "default_branch": "main"}
	if !at.who.Developer {
		text["ci_push_repository_for_job_token_allowed"] = at.project.TokensPush
		if at.project.MinimumRole != "" {
			text["ci_pipeline_variables_minimum_override_role"] = at.project.MinimumRole
		}
	}
	write(w, http.StatusOK, text)
}

// maintainers lets those in who may see whose job tokens are let in.
func (s *Server) maintainers(f func(http.ResponseWriter, *http.Request, access)) http.HandlerFunc {
	return s.within(func(w http.ResponseWriter, r *http.Request, at access) {
		switch {
		case at.jobToken():
			tell(w, http.StatusUnauthorized, "401 Unauthorized")
		case at.who.Developer:
			tell(w, http.StatusForbidden, "403 Forbidden")
		default:
			f(w, r, at)
		}
	})
}

func (s *Server) getTokenScope(w http.ResponseWriter, _ *http.Request, at access) {
	write(w, http.StatusOK, map[string]any{"inbound_enabled": !at.project.Open, "outbound_enabled": false})
}

// getAllowlist lists the projects, the own one first.
func (s *Server) getAllowlist(w http.ResponseWriter, _ *http.Request, at access) {
	list := []map[string]any{}
	for _, id := range append([]int{at.project.ID}, at.project.Allow...) {
		if p, ok := s.project(strconv.Itoa(id)); ok {
			list = append(list, map[string]any{"id": p.ID, "path_with_namespace": p.Path})
		}
	}
	write(w, http.StatusOK, list)
}

func (s *Server) getGroupsAllowlist(w http.ResponseWriter, _ *http.Request, at access) {
	list := []map[string]any{}
	for i, path := range at.project.AllowGroups {
		list = append(list, map[string]any{"id": i + 1, "name": path, "web_url": "https://gitlab.example.com/groups/" + path})
	}
	write(w, http.StatusOK, list)
}

// letsIn says whether a project's allowlist has another one.
func (p ProjectSettings) letsIn(other ProjectSettings) bool {
	inGroup := slices.ContainsFunc(p.AllowGroups, func(group string) bool {
		return len(other.Path) > len(group) && other.Path[:len(group)+1] == group+"/"
	})
	return p.Open || inGroup || slices.Contains(p.Allow, other.ID)
}

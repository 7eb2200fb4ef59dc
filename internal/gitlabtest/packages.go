package gitlabtest

import (
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// GitLab's shapes of a generic package's name, version and file.
var (
	packageName    = regexp.MustCompile(`^[A-Za-z0-9._\-+]+$`)
	packageVersion = regexp.MustCompile(`^(\.?[\w+-]+\.?)+$`)
)

func (s *Server) putPackage(w http.ResponseWriter, r *http.Request, at access) {
	name, version, file := r.PathValue("name"), r.PathValue("version"), r.PathValue("file")
	if !packageName.MatchString(name) || !packageVersion.MatchString(version) || !packageName.MatchString(file) {
		tell(w, http.StatusBadRequest, "name, version or file is invalid")
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		tell(w, http.StatusBadRequest, err.Error())
		return
	}
	s.mu.Lock()
	s.packages[packageKey(at.project.ID, name, version, file)] = inMemory(body)
	s.mu.Unlock()
	tell(w, http.StatusCreated, "201 Created")
}

func (s *Server) getPackage(w http.ResponseWriter, r *http.Request, at access) {
	s.mu.Lock()
	found := s.packages[packageKey(at.project.ID, r.PathValue("name"), r.PathValue("version"), r.PathValue("file"))]
	s.mu.Unlock()
	if found == nil {
		tell(w, http.StatusNotFound, "404 Package Not Found")
		return
	}
	s.deliver(w, r, found)
}

// Packages are the generic packages that there are: project/name/version/file.
func (s *Server) Packages() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for key := range s.packages {
		all = append(all, key)
	}
	return all
}

func packageKey(project int, parts ...string) string {
	return strconv.Itoa(project) + "/" + strings.Join(parts, "/")
}

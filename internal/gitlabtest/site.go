package gitlabtest

import (
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Site is a whole GitLab behind one address, as jobs meet it: the API, the
// repositories over HTTP, and the keys of the ID tokens.
type Site struct {
	*Server
	Issuer *Issuer
	URL    string // CI_SERVER_URL

	git http.Handler
}

// StartSite starts a GitLab that has the repositories below a folder, each in
// PATH.git, and runs until the test ends. Releases go to that of OwnProject,
// whose path is named.
func StartSite(t testing.TB, repositories, own string) *Site {
	t.Helper()
	issuer, err := NewIssuer()
	if err != nil {
		t.Fatal(err)
	}
	s := &Site{Server: New(filepath.Join(repositories, own+".git")), Issuer: issuer, git: repositoriesIn(t, repositories)}
	s.ChangeProject(OwnProject, func(p *ProjectSettings) { p.Path = own })
	site, storage := httptest.NewServer(s), httptest.NewServer(http.HandlerFunc(s.serveStorage))
	t.Cleanup(site.Close)
	t.Cleanup(storage.Close)
	s.URL, s.API, s.Storage, issuer.URL = site.URL, site.URL+"/api/v4", storage.URL, site.URL
	return s
}

// repositoriesIn serves the repositories below a folder to git, for reading.
func repositoriesIn(t testing.TB, folder string) http.Handler {
	t.Helper()
	programs, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		t.Fatal(err)
	}
	return &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(programs)), "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + folder, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_NOSYSTEM=1", "HOME=" + folder},
	}
}

// ServeHTTP answers for all of GitLab.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasPrefix(r.URL.Path, "/api/v4/"):
		s.Server.ServeHTTP(w, r)
	case strings.Contains(r.URL.Path, ".git/"):
		s.serveGit(w, r)
	default:
		s.Issuer.ServeHTTP(w, r)
	}
}

// serveGit lets everybody read what is public, and a job the repository of its
// own project. A job token does not push.
func (s *Site) serveGit(w http.ResponseWriter, r *http.Request) {
	told := s.record("git", w, r)
	path, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), ".git/")
	project, known := s.project(path)
	_, password, signed := r.BasicAuth()
	s.mu.Lock()
	who, valid := s.tokens[password]
	s.mu.Unlock()
	switch {
	case known && project.Public && !strings.Contains(r.URL.String(), "receive-pack"):
		s.git.ServeHTTP(told, r)
	case !signed:
		told.Header().Set("WWW-Authenticate", `Basic realm="GitLab"`)
		http.Error(told, "HTTP Basic: Access denied", http.StatusUnauthorized)
	case !known, !valid, who.Project != project.ID:
		http.Error(told, "The project you were looking for could not be found", http.StatusNotFound)
	case strings.Contains(r.URL.String(), "receive-pack"):
		http.Error(told, "You are not allowed to upload code.", http.StatusForbidden)
	default:
		s.git.ServeHTTP(told, r)
	}
}

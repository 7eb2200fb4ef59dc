package gitlabtest

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Job is a job of a pipeline, and the archive it left.
type Job struct {
	Project  int
	Pipeline int
	ID       int // the next one if 0
	Name     string
	Ref      string // main if ""
	Commit   string
	Status   string // success if ""

	Artifacts string   // a folder, or a zip file; "" for none
	Late      int      // how often its archive is not there yet when it is asked for
	Then      []string // states it goes through once it is played or asked for, one each time

	Played map[string]string // the variables it was played with

	archive *blob
}

// firstJob is the number of the first job that has none.
const firstJob = 1001

// AddJob makes a job and returns its number. A folder of artifacts is packed
// at once, as a runner does. The pipeline runs until FinishPipeline.
func (s *Server) AddJob(j Job) (int, error) {
	if j.Artifacts != "" {
		archive, err := open(j.Artifacts)
		if err != nil {
			return 0, err
		}
		j.archive = archive
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if j.ID == 0 {
		j.ID = firstJob
		for _, other := range s.jobs {
			j.ID = max(j.ID, other.ID+1)
		}
	}
	if j.Ref == "" {
		j.Ref = "main"
	}
	if j.Status == "" {
		j.Status = "success"
	}
	if s.pipelines[j.Pipeline] == "" {
		s.pipelines[j.Pipeline] = "running"
	}
	s.jobs = append(s.jobs, &j)
	return j.ID, nil
}

// FinishPipeline ends a pipeline: success, failed, canceled. Only from then on
// its artifacts can be had by ref.
func (s *Server) FinishPipeline(pipeline int, status string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pipelines[pipeline] = status
}

func (s *Server) getOwnJob(w http.ResponseWriter, r *http.Request) {
	who, _ := s.credential(r)
	j, ok := s.job(func(j *Job) bool { return j.ID == who.Job && j.Project == who.Project })
	if who.Project == 0 || !ok {
		tell(w, http.StatusNotFound, "404 Not Found")
		return
	}
	write(w, http.StatusOK, s.describe(j))
}

func (s *Server) getJob(w http.ResponseWriter, r *http.Request, at access) {
	j, ok := s.job(func(j *Job) bool { return j.Project == at.project.ID && strconv.Itoa(j.ID) == r.PathValue("job") })
	switch {
	case at.project.HideJobs && at.jobToken():
		tell(w, http.StatusUnauthorized, "401 Unauthorized")
	case !ok:
		tell(w, http.StatusNotFound, "404 Not found")
	default:
		s.mu.Lock()
		for _, kept := range s.jobs {
			if kept.ID == j.ID && kept.Project == j.Project && kept.Status != "manual" && len(kept.Then) > 0 {
				kept.Status, kept.Then = kept.Then[0], kept.Then[1:]
			}
		}
		s.mu.Unlock()
		write(w, http.StatusOK, s.describe(j))
	}
}

// listJobs lists the jobs of a pipeline, newest first, in pages; of those with
// one name the newest only, unless those that were retried are asked for too.
func (s *Server) listJobs(w http.ResponseWriter, r *http.Request, at access) {
	if at.project.HideJobs && at.jobToken() {
		tell(w, http.StatusUnauthorized, "401 Unauthorized")
		return
	}
	query := r.URL.Query()
	var found []map[string]any
	seen := map[string]bool{}
	s.each(func(j *Job) {
		retried := seen[j.Name]
		if j.Project != at.project.ID || strconv.Itoa(j.Pipeline) != r.PathValue("pipeline") {
			return
		}
		seen[j.Name] = true
		scopes := query["scope[]"]
		if retried && query.Get("include_retried") != "true" || len(scopes) > 0 && !slices.Contains(scopes, j.Status) {
			return
		}
		found = append(found, s.describe(*j))
	})
	if len(seen) == 0 {
		tell(w, http.StatusNotFound, "404 Not found")
		return
	}
	page, size := atoi(query.Get("page"), 1), atoi(query.Get("per_page"), 20)
	from := min((page-1)*size, len(found))
	to := min(from+size, len(found))
	if to < len(found) {
		w.Header().Set("X-Next-Page", strconv.Itoa(page+1))
	}
	write(w, http.StatusOK, append([]map[string]any{}, found[from:to]...))
}

func (s *Server) getArtifacts(w http.ResponseWriter, r *http.Request, at access) {
	if at.project.Free && at.jobToken() {
		tell(w, http.StatusNotFound, "404 Project Not Found")
		return
	}
	s.serveArchive(w, r, func(j *Job) bool { return j.Project == at.project.ID && strconv.Itoa(j.ID) == r.PathValue("job") })
}

// getArtifactsByRef gives the archive of the latest pipeline that succeeded.
func (s *Server) getArtifactsByRef(w http.ResponseWriter, r *http.Request, at access) {
	if at.project.Free && at.jobToken() {
		tell(w, http.StatusNotFound, "404 Project Not Found")
		return
	}
	ref, name := r.PathValue("ref"), r.URL.Query().Get("job")
	latest := 0
	s.each(func(j *Job) {
		if j.Project == at.project.ID && j.Ref == ref && j.Name == name && s.pipelines[j.Pipeline] == "success" {
			latest = max(latest, j.Pipeline)
		}
	})
	s.serveArchive(w, r, func(j *Job) bool {
		return j.Project == at.project.ID && j.Pipeline == latest && j.Name == name && j.Status == "success"
	})
}

// serveArchive sends the archive of the newest job that is meant.
func (s *Server) serveArchive(w http.ResponseWriter, r *http.Request, meant func(*Job) bool) {
	var archive *blob
	s.mu.Lock()
	for _, j := range slices.Backward(s.jobs) {
		if !meant(j) {
			continue
		}
		if j.Late--; j.Late < 0 {
			archive = j.archive
		}
		break
	}
	s.mu.Unlock()
	if archive == nil {
		tell(w, http.StatusNotFound, "404 Not found")
		return
	}
	s.deliver(w, r, archive)
}

// job is the newest job that is meant.
func (s *Server) job(meant func(*Job) bool) (found Job, ok bool) {
	s.each(func(j *Job) {
		if !ok && meant(j) {
			found, ok = *j, true
		}
	})
	return found, ok
}

// each calls f for the jobs, newest first.
func (s *Server) each(f func(*Job)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sorted := slices.Clone(s.jobs)
	slices.SortFunc(sorted, func(a, b *Job) int { return b.ID - a.ID })
	for _, j := range sorted {
		f(j)
	}
}

func (s *Server) describe(j Job) map[string]any {
	text := map[string]any{
		"id": j.ID, "name": j.Name, "status": j.Status, "ref": j.Ref, "stage": "test",
		"commit":   map[string]any{"id": j.Commit},
		"pipeline": map[string]any{"id": j.Pipeline, "project_id": j.Project, "ref": j.Ref, "sha": j.Commit},
		"web_url":  strings.TrimSuffix(s.API, "/api/v4") + "/-/jobs/" + strconv.Itoa(j.ID),
	}
	if j.archive != nil {
		text["artifacts_file"] = map[string]any{"filename": "artifacts.zip", "size": j.archive.size}
	}
	return text
}

func atoi(text string, otherwise int) int {
	if n, err := strconv.Atoi(text); err == nil && n > 0 {
		return n
	}
	return otherwise
}

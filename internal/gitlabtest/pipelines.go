package gitlabtest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Pipeline is a pipeline that was started through the API, or named.
type Pipeline struct {
	Project   int
	ID        int
	Ref       string
	Status    string
	Then      []string // states it goes through, one each time it is asked for
	Name      string
	Source    string // trigger, or pipeline
	Upstream  int    // project of the job that started it
	Variables map[string]string
}

// mostPipelineName is how many characters a pipeline's name may have.
const mostPipelineName = 255

// AddPipeline makes a pipeline.
func (s *Server) AddPipeline(p Pipeline) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.world.pipelines = append(s.world.pipelines, &p)
}

// NextPipeline says through which states the next pipeline that is started goes.
func (s *Server) NextPipeline(states ...string) {
	s.AddPipeline(Pipeline{Then: states}) // one without a project waits to be started
}

// Pipelines are those that were made or named.
func (s *Server) Pipelines() []Pipeline {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Pipeline
	for _, p := range s.world.pipelines {
		if p.Project != 0 {
			all = append(all, *p)
		}
	}
	return all
}

func (s *Server) pipelineCalls() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"GET /pipelines/{pipeline}":          s.within(s.getPipeline),
		"PUT /pipelines/{pipeline}/metadata": s.with(power{jobs: true, role: Developer}, s.putMetadata),
		"POST /trigger/pipeline":             s.postTrigger,
		"POST /jobs/{job}/play":              s.with(power{role: Developer}, s.playJob),
	}
}

func (s *Server) describePipeline(p *Pipeline) map[string]any {
	return map[string]any{
		"id": p.ID, "status": p.Status, "ref": p.Ref, "name": p.Name, "source": p.Source,
		"web_url": s.site() + "/-/pipelines/" + strconv.Itoa(p.ID),
	}
}

func (s *Server) getPipeline(w http.ResponseWriter, r *http.Request, at access) {
	if at.project.HideJobs && at.jobToken() {
		tell(w, http.StatusUnauthorized, "401 Unauthorized")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.world.pipelines {
		if p.Project != at.project.ID || strconv.Itoa(p.ID) != r.PathValue("pipeline") {
			continue
		}
		if len(p.Then) > 0 {
			p.Status, p.Then = p.Then[0], p.Then[1:]
		}
		write(w, http.StatusOK, s.describePipeline(p))
		return
	}
	tell(w, http.StatusNotFound, "404 Not found")
}

// putMetadata names a pipeline. There is any that a project of the test may have.
func (s *Server) putMetadata(w http.ResponseWriter, r *http.Request, at access) {
	var in struct {
		Name *string `json:"name"`
	}
	id, wrong := strconv.Atoi(r.PathValue("pipeline"))
	err := json.NewDecoder(r.Body).Decode(&in)
	switch {
	case wrong != nil || err != nil || in.Name == nil:
		write(w, http.StatusBadRequest, map[string]string{"error": "name is missing"})
		return
	case utf8.RuneCountInString(*in.Name) > mostPipelineName:
		tell(w, http.StatusBadRequest, "400 Bad request - Name is too long (maximum is 255 characters)")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.world.pipelines {
		if p.Project == at.project.ID && p.ID == id {
			p.Name = *in.Name
			write(w, http.StatusOK, s.describePipeline(p))
			return
		}
	}
	p := &Pipeline{Project: at.project.ID, ID: id, Name: *in.Name, Status: "running"}
	s.world.pipelines = append(s.world.pipelines, p)
	write(w, http.StatusOK, s.describePipeline(p))
}

// byTriggerToken says whether a request brings its token in its body.
func byTriggerToken(r *http.Request) bool {
	return r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/trigger/pipeline")
}

// postTrigger starts a pipeline. Whoever may not see the project, or has a
// wrong token, is told that there is nothing.
func (s *Server) postTrigger(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Token     string            `json:"token"`
		Ref       string            `json:"ref"`
		Variables map[string]string `json:"variables"`
	}
	body, _ := io.ReadAll(r.Body)
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(&in); err != nil || in.Token == "" || in.Ref == "" {
		write(w, http.StatusBadRequest, map[string]string{"error": "ref, token or variables is missing or invalid"})
		return
	}
	project, found := s.project(r.PathValue("id"))
	s.mu.Lock()
	defer s.mu.Unlock()
	job, isJob := s.tokens[in.Token]
	isJob = isJob && job.Project != 0
	byToken := project.TriggerToken != "" && in.Token == project.TriggerToken
	switch {
	case !found, !isJob && !byToken:
		tell(w, http.StatusNotFound, "404 Not Found")
		return
	case access{project, job}.protects(in.Ref):
		write(w, http.StatusBadRequest, map[string]any{"message": map[string][]string{"base": {"You do not have sufficient permission to run a pipeline on '" + in.Ref + "'"}}})
		return
	case project.NoVariables && len(in.Variables) > 0:
		write(w, http.StatusBadRequest, map[string]any{"message": map[string][]string{"base": {"Insufficient permissions to set pipeline variables"}}})
		return
	}
	p := s.waitingPipeline()
	p.Project, p.ID, p.Ref, p.Status, p.Variables = project.ID, s.world.next(), in.Ref, "created", in.Variables
	if p.Source = "trigger"; isJob {
		p.Source, p.Upstream = "pipeline", job.Project
	}
	write(w, http.StatusCreated, s.describePipeline(p))
}

// waitingPipeline is one whose states were said before, or a new one.
func (s *Server) waitingPipeline() *Pipeline {
	for _, p := range s.world.pipelines {
		if p.Project == 0 {
			return p
		}
	}
	p := &Pipeline{}
	s.world.pipelines = append(s.world.pipelines, p)
	return p
}

// playJob presses the button of a job that waits for one.
func (s *Server) playJob(w http.ResponseWriter, r *http.Request, at access) {
	var in struct {
		Variables []struct {
			Key   string `json:"key"`
			Value string `json:"value"`
		} `json:"job_variables_attributes"`
	}
	_ = json.NewDecoder(r.Body).Decode(&in)
	s.mu.Lock()
	var played *Job
	for _, j := range s.jobs {
		if j.Project == at.project.ID && strconv.Itoa(j.ID) == r.PathValue("job") {
			played = j
		}
	}
	status, message := http.StatusOK, ""
	switch {
	case played == nil:
		status, message = http.StatusNotFound, "404 Not found"
	case at.protects(played.Ref):
		status, message = http.StatusForbidden, "403 Forbidden"
	case played.Status != "manual":
		status, message = http.StatusBadRequest, "400 Bad request - Unplayable Job"
	default:
		played.Status, played.Played = "pending", map[string]string{}
		for _, v := range in.Variables {
			played.Played[v.Key] = v.Value
		}
	}
	s.mu.Unlock()
	if status != http.StatusOK {
		tell(w, status, message)
		return
	}
	write(w, http.StatusOK, s.describe(*played))
}

// JobNamed is the newest job of that name.
func (s *Server) JobNamed(name string) (Job, bool) {
	return s.job(func(j *Job) bool { return j.Name == name })
}

package gitlabtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"strconv"
)

// Model is a model of the model registry.
type Model struct {
	Project  int
	ID       int
	Name     string
	Versions []*ModelVersion
}

// ModelVersion is a version of a model, with the metrics and parameters of
// its candidate.
type ModelVersion struct {
	ID          int
	Run         string
	Version     string
	Description string
	Tags        map[string]string
	Metrics     map[string]float64
	Params      map[string]string
	RunTags     map[string]string
}

// semantic is a version as GitLab takes one (lib/gitlab/regex.rb).
var (
	semantic  = regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`)
	modelName = regexp.MustCompile(`^(([a-z0-9]+(\.|-|_)?)*[A-Za-z0-9]){1,255}$`)
)

// Models are those of the registry.
func (s *Server) Models() []Model {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Model
	for _, m := range s.world.models {
		all = append(all, *m)
	}
	return all
}

// ModelFiles are the bodies of the files of a version, by name.
func (s *Server) ModelFiles(name, version string) map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	files := map[string]string{}
	for _, p := range s.world.packages {
		if p.Kind == "ml_model" && p.Name == name && p.Version == version {
			for _, f := range p.files {
				files[f.Name] = string(f.body)
			}
		}
	}
	return files
}

// AddModelVersion makes a version, as another client would.
func (s *Server) AddModelVersion(project int, name string, v ModelVersion) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.modelOf(project, name)
	if m == nil {
		m = &Model{Project: project, ID: s.world.next(), Name: name}
		s.world.models = append(s.world.models, m)
	}
	v.ID = s.world.next()
	m.Versions = append(m.Versions, &v)
}

func (s *Server) modelCalls() map[string]http.HandlerFunc {
	reads := power{role: Reporter, feature: "model_registry"}
	writes := power{role: Developer, feature: "model_registry"}
	files := power{jobs: true, role: Developer, feature: "model_registry"}
	const base = "/ml/mlflow/api/2.0/mlflow"
	return map[string]http.HandlerFunc{
		"GET " + base + "/registered-models/get":         s.with(reads, s.getModel),
		"POST " + base + "/registered-models/create":     s.with(writes, s.postModel),
		"GET " + base + "/model-versions/get":            s.with(reads, s.getVersion),
		"POST " + base + "/model-versions/create":        s.with(writes, s.postVersion),
		"POST " + base + "/runs/log-batch":               s.with(writes, s.logBatch),
		"PUT /packages/ml_models/{version}/files/{file}": s.with(files, s.putModelFile),
	}
}

// mlflowError is an error in MLflow's words.
func mlflowError(w http.ResponseWriter, status int, code, message string) {
	answer := map[string]string{"error_code": code}
	if message != "" {
		answer["message"] = message
	}
	write(w, status, answer)
}

func nothing(w http.ResponseWriter) {
	mlflowError(w, http.StatusNotFound, "RESOURCE_DOES_NOT_EXIST", "")
}

func (s *Server) modelOf(project int, name string) *Model {
	for _, m := range s.world.models {
		if m.Project == project && m.Name == name {
			return m
		}
	}
	return nil
}

func (s *Server) getModel(w http.ResponseWriter, r *http.Request, at access) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.modelOf(at.project.ID, r.URL.Query().Get("name"))
	if m == nil {
		nothing(w)
		return
	}
	write(w, http.StatusOK, map[string]any{"registered_model": map[string]string{"name": m.Name}})
}

func (s *Server) postModel(w http.ResponseWriter, r *http.Request, at access) {
	var in struct {
		Name string `json:"name"`
	}
	err := json.NewDecoder(r.Body).Decode(&in)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil || !modelName.MatchString(in.Name) || s.modelOf(at.project.ID, in.Name) != nil {
		mlflowError(w, http.StatusBadRequest, "RESOURCE_ALREADY_EXISTS", "") // GitLab says so of every model it does not make
		return
	}
	s.world.models = append(s.world.models, &Model{Project: at.project.ID, ID: s.world.next(), Name: in.Name})
	write(w, http.StatusOK, map[string]any{"registered_model": map[string]string{"name": in.Name}})
}

type pair struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

func (s *Server) describeVersion(m *Model, v *ModelVersion) map[string]any {
	tags := []pair{}
	for key, value := range v.Tags {
		tags = append(tags, pair{key, value})
	}
	return map[string]any{"model_version": map[string]any{
		"name": m.Name, "version": strconv.Itoa(v.ID), "aliases": []string{v.Version}, "description": v.Description, "run_id": v.Run,
		"status": "READY", "tags": tags, "source": fmt.Sprintf("%s/-/ml/models/%d/versions/%d", s.site(), m.ID, v.ID),
	}}
}

func (m *Model) version(version string) *ModelVersion {
	for _, v := range m.Versions {
		if v.Version == version || strconv.Itoa(v.ID) == version {
			return v
		}
	}
	return nil
}

func (s *Server) getVersion(w http.ResponseWriter, r *http.Request, at access) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.modelOf(at.project.ID, r.URL.Query().Get("name"))
	if m == nil {
		nothing(w)
		return
	}
	v := m.version(r.URL.Query().Get("version"))
	if v == nil {
		nothing(w)
		return
	}
	write(w, http.StatusOK, s.describeVersion(m, v))
}

// postVersion makes the version that the tag gitlab.version names.
func (s *Server) postVersion(w http.ResponseWriter, r *http.Request, at access) {
	var in struct {
		Name        string `json:"name"`
		Description string `json:"description"`
		Tags        []pair `json:"tags"`
	}
	err := json.NewDecoder(r.Body).Decode(&in)
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.modelOf(at.project.ID, in.Name)
	if err != nil || m == nil {
		nothing(w)
		return
	}
	v := &ModelVersion{ID: s.world.next(), Description: in.Description, Tags: map[string]string{}}
	v.Run = fmt.Sprintf("%08d-0000-4000-8000-000000000000", v.ID)
	for _, tag := range in.Tags {
		if tag.Key == "gitlab.version" {
			v.Version = tag.Value
			continue
		}
		v.Tags[tag.Key] = tag.Value
	}
	switch {
	case !semantic.MatchString(v.Version):
		mlflowError(w, http.StatusBadRequest, "INVALID_PARAMETER_VALUE", "Version must be semantic")
	case m.version(v.Version) != nil:
		mlflowError(w, http.StatusBadRequest, "INVALID_PARAMETER_VALUE", "Version has already been taken")
	default:
		m.Versions = append(m.Versions, v)
		write(w, http.StatusOK, s.describeVersion(m, v))
	}
}

// logBatch adds to a candidate. A parameter that is there stays as it is.
func (s *Server) logBatch(w http.ResponseWriter, r *http.Request, at access) {
	var in struct {
		Run     string `json:"run_id"`
		Metrics []struct {
			Key   string   `json:"key"`
			Value *float64 `json:"value"`
			At    *int64   `json:"timestamp"`
		} `json:"metrics"`
		Params []pair `json:"params"`
		Tags   []pair `json:"tags"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		write(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.candidate(at.project.ID, in.Run)
	if v == nil {
		nothing(w)
		return
	}
	metrics, params, tags := map[string]float64{}, map[string]string{}, map[string]string{}
	for _, m := range in.Metrics {
		if m.Value == nil || m.At == nil {
			write(w, http.StatusBadRequest, map[string]string{"error": "metrics[0][timestamp] is missing"})
			return
		}
		metrics[m.Key] = *m.Value
	}
	for _, p := range in.Params {
		params[p.Key] = p.Value
	}
	for _, t := range in.Tags {
		tags[t.Key] = t.Value
	}
	maps.Copy(params, v.Params)
	v.Metrics, v.Params, v.RunTags = metrics, params, tags
	write(w, http.StatusOK, map[string]string{})
}

func (s *Server) candidate(project int, run string) *ModelVersion {
	for _, m := range s.world.models {
		for _, v := range m.Versions {
			if m.Project == project && v.Run == run && run != "" {
				return v
			}
		}
	}
	return nil
}

// putModelFile adds a file to a version, by the number of the version.
func (s *Server) putModelFile(w http.ResponseWriter, r *http.Request, at access) {
	body, ok := received(w, r, at)
	if !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.world.models {
		for _, v := range m.Versions {
			if m.Project == at.project.ID && strconv.Itoa(v.ID) == r.PathValue("version") {
				s.filed(at.project.ID, "ml_model", m.Name, v.Version, r.PathValue("file"), body)
				tell(w, http.StatusCreated, "201 Created")
				return
			}
		}
	}
	tell(w, http.StatusNotFound, "404 Not Found")
}

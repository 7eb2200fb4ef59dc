package gitlabtest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"gitlab.com/towline/towline/internal/gitlabtest"
)

const (
	upstream   = 7
	upstreamID = "/projects/7"
	person     = "token-of-a-person"
	own        = "/projects/" + gitlabtest.Project
)

// answer is what a server said.
type answer struct {
	status int
	header http.Header
	body   string
	broken error // of reading the body
}

// ask sends a request as it is: no redirect is followed, nothing is repeated.
func ask(t *testing.T, method, address, body string, header ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", "identity")
	for _, line := range header {
		if name, value, found := strings.Cut(line, ": "); found {
			req.Header.Set(name, value)
		}
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(text), err}
}

const (
	byJob    = "JOB-TOKEN: " + gitlabtest.Token
	byPerson = "PRIVATE-TOKEN: " + person
)

// start is a GitLab with an upstream project that the own one may enter, and
// whose job 1001 of the running pipeline 100 left an archive.
func start(t *testing.T) *gitlabtest.Server {
	t.Helper()
	s := gitlabtest.Start(t, "")
	s.AddProject(gitlabtest.ProjectSettings{ID: upstream, Path: "science/risk", Allow: []int{gitlabtest.OwnProject}})
	s.AddToken(person, gitlabtest.Credential{Projects: []int{upstream, gitlabtest.OwnProject}})
	addJob(t, s, gitlabtest.Job{Project: upstream, Pipeline: 100, ID: 1001, Name: "handover", Artifacts: t.TempDir()})
	return s
}

func addJob(t *testing.T, s *gitlabtest.Server, j gitlabtest.Job) {
	t.Helper()
	if _, err := s.AddJob(j); err != nil {
		t.Fatal(err)
	}
}

// artifacts is the address of what a job of the upstream project left.
func artifacts(s *gitlabtest.Server, job int) string {
	return s.API + upstreamID + "/jobs/" + strconv.Itoa(job) + "/artifacts"
}

func TestWhoGetsAtArtifacts(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*gitlabtest.ProjectSettings)
		path   string
		token  string
		status int
		said   string
	}{
		{"a job of a project that is let in", nil, "/jobs/1001/artifacts", byJob, 200, ""},
		{"by the path of the project", nil, "path", byJob, 200, ""},
		{"a job of one that is not", letting(), "/jobs/1001/artifacts", byJob, 403, "403 Forbidden"},
		{"a job of a group that is let in", func(p *gitlabtest.ProjectSettings) { p.Allow, p.AllowGroups = nil, []string{"group"} }, "/jobs/1001/artifacts", byJob, 200, ""},
		{"a job of a group that begins alike", func(p *gitlabtest.ProjectSettings) { p.Allow, p.AllowGroups = nil, []string{"gro"} }, "/jobs/1001/artifacts", byJob, 403, "403 Forbidden"},
		{"a job token without a licence", free, "/jobs/1001/artifacts", byJob, 404, "404 Project Not Found"},
		{"a job token without a licence, by ref", free, "/jobs/artifacts/main/download?job=handover", byJob, 404, "404 Project Not Found"},
		{"a person's token without a licence", free, "/jobs/1001/artifacts", byPerson, 200, ""},
		{"a token in the wrong header", nil, "/jobs/1001/artifacts", "PRIVATE-TOKEN: " + gitlabtest.Token, 401, "401 Unauthorized"},
		{"a token as a bearer's that is none", nil, "/jobs/1001/artifacts", "Authorization: Bearer " + person, 401, "401 Unauthorized"},
		{"no token", nil, "/jobs/1001/artifacts", "X-None: 1", 401, "401 Unauthorized"},
		{"a job that there is not", nil, "/jobs/1/artifacts", byJob, 404, "404 Not found"},
		{"a list of jobs before 18", func(p *gitlabtest.ProjectSettings) { p.HideJobs = true }, "/pipelines/100/jobs", byJob, 401, "401 Unauthorized"},
		{"a list of jobs before 18, for a person", func(p *gitlabtest.ProjectSettings) { p.HideJobs = true }, "/pipelines/100/jobs", byPerson, 200, ""},
		{"packages without a licence", free, "/packages", byJob, 200, ""},
		{"a call that there is not", nil, "/nothing", byJob, 404, "404 Not Found"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t)
			if tt.change != nil {
				s.ChangeProject(upstream, tt.change)
			}
			address := s.API + upstreamID + tt.path
			if tt.path == "path" {
				address = s.API + "/projects/science%2Frisk/jobs/1001/artifacts"
			}
			got := ask(t, http.MethodGet, address, "", tt.token)
			if got.status != tt.status || tt.said != "" && !strings.Contains(got.body, tt.said) {
				t.Errorf("answered %d %s, want %d %s", got.status, got.body, tt.status, tt.said)
			}
		})
	}
}

func free(p *gitlabtest.ProjectSettings) { p.Free = true }

// letting lets the job tokens of these projects in, and of no other.
func letting(projects ...int) func(*gitlabtest.ProjectSettings) {
	return func(p *gitlabtest.ProjectSettings) { p.Allow = projects }
}

func TestByRefThereIsAnOlderArchive(t *testing.T) {
	s := start(t)
	byRef := s.API + upstreamID + "/jobs/artifacts/main/download?job=handover"
	if got := ask(t, http.MethodGet, byRef, "", byJob); got.status != http.StatusNotFound {
		t.Errorf("while the first pipeline runs: %d, want 404", got.status)
	}
	s.FinishPipeline(100, "success")
	first := ask(t, http.MethodGet, byRef, "", byJob)
	addJob(t, s, gitlabtest.Job{Project: upstream, Pipeline: 200, ID: 2001, Name: "handover", Artifacts: "."})
	second := ask(t, http.MethodGet, artifacts(s, 2001), "", byJob)
	for _, tt := range []struct {
		when, status string
		want         string
	}{
		{"while the second runs", "running", first.body}, {"after it has failed", "failed", first.body}, {"after it has succeeded", "success", second.body},
	} {
		s.FinishPipeline(200, tt.status)
		if got := ask(t, http.MethodGet, byRef, "", byJob); got.status != http.StatusOK || got.body != tt.want {
			t.Errorf("%s: %d, %d bytes, want %d", tt.when, got.status, len(got.body), len(tt.want))
		}
	}
	if first.body == second.body {
		t.Error("both archives are equal: nothing was told apart")
	}
	for _, path := range []string{"/jobs/artifacts/0123456789abcdef/download?job=handover", "/jobs/artifacts/main/download?job=other"} {
		if got := ask(t, http.MethodGet, s.API+upstreamID+path, "", byJob); got.status != http.StatusNotFound {
			t.Errorf("%s: %d, want 404", path, got.status)
		}
	}
}

func TestOfARetriedJobThereIsTheLast(t *testing.T) {
	s := start(t)
	addJob(t, s, gitlabtest.Job{Project: upstream, Pipeline: 100, ID: 1002, Name: "handover", Status: "failed"})
	for query, want := range map[string]string{"": "1002", "?include_retried=true": "1002,1001", "?scope[]=success": "", "?scope[]=failed": "1002"} {
		got := ask(t, http.MethodGet, s.API+upstreamID+"/pipelines/100/jobs"+query, "", byJob)
		var jobs []struct {
			ID int `json:"id"`
		}
		if err := json.Unmarshal([]byte(got.body), &jobs); err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, job := range jobs {
			ids = append(ids, strconv.Itoa(job.ID))
		}
		if strings.Join(ids, ",") != want {
			t.Errorf("%q lists %v, want %s", query, ids, want)
		}
	}
}

func TestAnArchiveMayBeLate(t *testing.T) {
	s := start(t)
	addJob(t, s, gitlabtest.Job{Project: upstream, Pipeline: 100, ID: 1500, Name: "late", Artifacts: t.TempDir(), Late: 2})
	for i, want := range []int{404, 404, 200, 200} {
		if got := ask(t, http.MethodGet, artifacts(s, 1500), "", byJob); got.status != want {
			t.Errorf("request %d: %d, want %d", i+1, got.status, want)
		}
	}
}

func TestLimitsSayWhenToComeBack(t *testing.T) {
	s := start(t)
	s.Limit("throttle_authenticated_api", 2, time.Hour)
	for i, want := range []int{200, 200, 429} {
		got := ask(t, http.MethodGet, artifacts(s, 1001), "", byJob)
		if got.status != want || got.header.Get("RateLimit-Limit") != "2" || got.header.Get("RateLimit-Observed") != strconv.Itoa(i+1) ||
			got.header.Get("RateLimit-Remaining") != strconv.Itoa(max(1-i, 0)) || got.header.Get("RateLimit-Name") != "throttle_authenticated_api" {
			t.Errorf("request %d: %d, %v, want %d", i+1, got.status, got.header, want)
		}
		seconds, _ := strconv.Atoi(got.header.Get("Retry-After"))
		if refused := want == 429; refused != (got.body == "Retry later\n") || refused != (seconds > 3000) || refused != (got.header.Get("RateLimit-ResetTime") != "") {
			t.Errorf("request %d: Retry-After %d, said %q", i+1, seconds, got.body)
		}
	}
}

func TestALimitEnds(t *testing.T) {
	s := start(t)
	s.LimitSilently(1, 50*time.Millisecond)
	first, second := ask(t, http.MethodGet, artifacts(s, 1001), "", byJob), ask(t, http.MethodGet, artifacts(s, 1001), "", byJob)
	if first.status != http.StatusOK || second.status != http.StatusTooManyRequests || second.header.Get("Retry-After") != "" || second.header.Get("RateLimit-Limit") != "" {
		t.Errorf("answered %d, then %d with %v, want 200, then 429 without a word of when", first.status, second.status, second.header)
	}
	time.Sleep(60 * time.Millisecond)
	if third := ask(t, http.MethodGet, artifacts(s, 1001), "", byJob); third.status != http.StatusOK {
		t.Errorf("after the window: %d, want 200", third.status)
	}
}

func TestFailuresComeOnce(t *testing.T) {
	s := start(t)
	s.AddMergeRequest(gitlabtest.MergeRequest{Project: gitlabtest.OwnProject, IID: 3})
	notes := s.API + own + "/merge_requests/3/notes"
	s.Fail(
		gitlabtest.Failure{Method: http.MethodPost, Path: "/elsewhere", Status: 500},
		gitlabtest.Failure{Method: http.MethodPost, Path: "/notes", Status: 429, RetryAfter: "7", Body: "Retry later"},
		gitlabtest.Failure{Method: http.MethodPost, Status: 502, Done: true},
	)
	for i, want := range []struct{ status, notes int }{{429, 0}, {502, 1}, {201, 2}} {
		got := ask(t, http.MethodPost, notes, `{"body": "x"}`, byPerson)
		if got.status != want.status || len(s.Notes()) != want.notes || want.status == 429 && got.header.Get("Retry-After") != "7" {
			t.Errorf("request %d: %d, %d notes, want %+v", i+1, got.status, len(s.Notes()), want)
		}
	}
}

func TestOthersThanJobsWriteNotes(t *testing.T) {
	s := start(t)
	s.AddMergeRequest(gitlabtest.MergeRequest{Project: gitlabtest.OwnProject, IID: 3})
	s.AddToken("reads", gitlabtest.Credential{Projects: []int{gitlabtest.OwnProject}, Scope: "read_api"})
	s.AddToken("other", gitlabtest.Credential{Projects: []int{gitlabtest.OwnProject}, User: 8})
	s.AddToken("reporter", gitlabtest.Credential{Projects: []int{gitlabtest.OwnProject}, Role: gitlabtest.Reporter})
	notes := s.API + own + "/merge_requests/3/notes"
	made := ask(t, http.MethodPost, notes, `{"body": "x"}`, byPerson)
	var note struct {
		ID int `json:"id"`
	}
	if err := json.Unmarshal([]byte(made.body), &note); err != nil {
		t.Fatal(err)
	}
	deployment := `{"environment": "prod", "sha": "` + strings.Repeat("a", 40) + `", "ref": "main", "tag": false, "status": "running"}`
	for _, tt := range []struct {
		name, method, address, body, token string
		status                             int
	}{
		{"a job reads notes", "GET", notes, "", byJob, 200},
		{"a job writes none", "POST", notes, `{"body": "x"}`, byJob, 401},
		{"neither does who only reads", "POST", notes, `{"body": "x"}`, "PRIVATE-TOKEN: reads", 403},
		{"nor with nothing to say", "POST", notes, `{}`, byPerson, 400},
		{"nor too much", "POST", notes, `{"body": "` + strings.Repeat("x", 1_000_001) + `"}`, byPerson, 400},
		{"nobody changes that of another", "PUT", notes + "/" + strconv.Itoa(note.ID), `{"body": "y"}`, "PRIVATE-TOKEN: other", 403},
		{"its author does", "PUT", notes + "/" + strconv.Itoa(note.ID), `{"body": "y"}`, byPerson, 200},
		{"a job uses no model registry", "POST", s.API + own + "/ml/mlflow/api/2.0/mlflow/registered-models/create", `{"name": "a"}`, byJob, 401},
		{"a job is not told settings", "GET", s.API + own, "", byJob, 404},
		{"a job is not told who it is", "GET", s.API + "/user", "", byJob, 401},
		{"a Reporter deploys nothing", "POST", s.API + own + "/deployments", deployment, "PRIVATE-TOKEN: reporter", 403},
		{"a Developer does", "POST", s.API + own + "/deployments", deployment, byPerson, 201},
		{"a package has a name", "PUT", s.API + own + "/packages/generic/a%20b/1/x", "x", byJob, 400},
		{"and then it is published", "PUT", s.API + own + "/packages/generic/a/1/x", "x", byJob, 201},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := ask(t, tt.method, tt.address, tt.body, tt.token); got.status != tt.status {
				t.Errorf("answered %d %s, want %d", got.status, got.body, tt.status)
			}
		})
	}
}

func TestAPipelineIsStartedByItsToken(t *testing.T) {
	for _, tt := range []struct {
		name, token string
		change      func(*gitlabtest.ProjectSettings)
		status      int
		said        string
	}{
		{"a job's token", gitlabtest.Token, nil, 201, `"source":"pipeline"`},
		{"the trigger token", "trigger", func(p *gitlabtest.ProjectSettings) { p.TriggerToken = "trigger" }, 201, `"source":"trigger"`},
		{"a token that is neither", "wrong", nil, 404, "404 Not Found"},
		{"a protected branch", gitlabtest.Token, func(p *gitlabtest.ProjectSettings) { p.Protected = []string{"main"} }, 400, "sufficient permission"},
		{"variables that nobody may set", gitlabtest.Token, func(p *gitlabtest.ProjectSettings) { p.NoVariables = true }, 400, "Insufficient permissions to set pipeline variables"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t)
			if tt.change != nil {
				s.ChangeProject(upstream, tt.change)
			}
			got := ask(t, http.MethodPost, s.API+upstreamID+"/trigger/pipeline", `{"token": "`+tt.token+`", "ref": "main", "variables": {"A": "1"}}`)
			if got.status != tt.status || !strings.Contains(got.body, tt.said) {
				t.Errorf("answered %d %s, want %d %s", got.status, got.body, tt.status, tt.said)
			}
		})
	}
}

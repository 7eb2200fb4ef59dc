package gitlab_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/towline/towline/internal/gitlabtest"
	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/gitlab"
	"gitlab.com/towline/towline/pkg/secret"
)

const projectToken = "project-token-of-the-test"

// withToken is a client with a project token.
func withToken(s *gitlabtest.Server, c gitlabtest.Credential) *gitlab.Client {
	c.Projects = []int{gitlabtest.OwnProject}
	s.AddToken(projectToken, c)
	return gitlab.New(gitlab.Options{
		API: s.API, Project: gitlabtest.Project, Header: gitlab.PrivateToken, Token: secret.New(projectToken), Wait: time.Millisecond,
	})
}

func file(name, body string) gitlab.File {
	sum := sha256.Sum256([]byte(body))
	return gitlab.File{
		Name: name, Size: int64(len(body)), SHA256: hex.EncodeToString(sum[:]),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil },
	}
}

const marker = "<!-- towline:report:tiny/mean -->"

func noted(body string) gitlab.Note {
	return gitlab.Note{MergeRequest: "7", Marker: marker, Body: marker + "\n" + body}
}

func TestANoteIsChangedAndNotRepeated(t *testing.T) {
	s := gitlabtest.Start(t, "")
	s.AddMergeRequest(gitlabtest.MergeRequest{Project: gitlabtest.OwnProject, IID: 7})
	for range 120 { // two pages of other people's notes, one of which quotes ours
		s.AddNote(gitlabtest.Note{Project: gitlabtest.OwnProject, Request: 7, Author: 9, Body: marker + "\nnot ours"})
	}
	c := withToken(s, gitlabtest.Credential{User: 3, Role: gitlabtest.Reporter})
	for _, tt := range []struct{ body, want string }{
		{"first", gitlab.NoteWritten}, {"first\n", gitlab.NoteUnchanged}, {"second", gitlab.NoteChanged},
	} {
		if got, err := c.PutNote(t.Context(), noted(tt.body)); err != nil || got != tt.want {
			t.Errorf("PutNote(%q) = %q, %v, want %q", tt.body, got, err, tt.want)
		}
	}
	var ours []gitlabtest.Note
	for _, n := range s.Notes() {
		if n.Author == 3 {
			ours = append(ours, n)
		} else if n.Edits > 0 {
			t.Errorf("a note of somebody else was changed: %+v", n)
		}
	}
	if len(ours) != 1 || ours[0].Body != marker+"\nsecond" || ours[0].Edits != 1 {
		t.Errorf("notes of ours = %+v, want one, changed once", ours)
	}
}

func TestANoteWhoseAnswerGotLostIsNotRepeated(t *testing.T) {
	s := gitlabtest.Start(t, "")
	s.AddMergeRequest(gitlabtest.MergeRequest{Project: gitlabtest.OwnProject, IID: 7})
	s.Fail(gitlabtest.Failure{Method: http.MethodPost, Status: http.StatusBadGateway, Done: true})
	if got, err := withToken(s, gitlabtest.Credential{}).PutNote(t.Context(), noted("x")); err != nil || got != gitlab.NoteWritten {
		t.Errorf("PutNote = %q, %v, want it found", got, err)
	}
	if n := len(s.Notes()); n != 1 {
		t.Errorf("%d notes, want 1", n)
	}
}

func TestTheMergeRequestOfACommit(t *testing.T) {
	s := gitlabtest.Start(t, "")
	commit := strings.Repeat("b", 40)
	s.AddMergeRequest(gitlabtest.MergeRequest{Project: gitlabtest.OwnProject, IID: 8, Merged: commit, Target: "develop"})
	s.AddMergeRequest(gitlabtest.MergeRequest{Project: gitlabtest.OwnProject, IID: 9, Merged: commit})
	c := withToken(s, gitlabtest.Credential{})
	for branch, want := range map[string]string{"main": "9", "develop": "8", "other": ""} {
		if got, err := c.MergedBy(t.Context(), commit, branch); err != nil || got != want {
			t.Errorf("MergedBy(%s) = %q, %v, want %q", branch, got, err, want)
		}
	}
}

func TestADeploymentIsRecordedUntilItEnds(t *testing.T) {
	s := gitlabtest.Start(t, "")
	c := client(s)
	d := gitlab.Deployment{Environment: "prod", Tier: "production", Address: "https://console/1", Commit: wanted.Commit, Ref: "main"}
	first, err := c.StartDeployment(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.EndDeployment(t.Context(), first, gitlab.DeploymentFailed); err != nil {
		t.Fatal(err)
	}
	d.Address = "https://console/2"
	second, err := c.StartDeployment(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.EndDeployment(t.Context(), second, gitlab.DeploymentSucceeded); err != nil {
		t.Fatal(err)
	}
	if err := c.EndDeployment(t.Context(), second, gitlab.DeploymentFailed); fault.KindOf(err) != fault.Usage {
		t.Errorf("EndDeployment of one that has ended = %v, want it refused", err)
	}
	third, err := c.StartDeployment(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.EndDeployment(t.Context(), third, gitlab.DeploymentCanceled); err != nil {
		t.Fatal(err)
	}
	var states []string
	for _, d := range s.Deployments() {
		states = append(states, d.Environment+" "+d.Ref+" "+d.Status)
	}
	if diff := cmp.Diff([]string{"prod main failed", "prod main success", "prod main canceled"}, states); diff != "" {
		t.Errorf("deployments (-want +got):\n%s", diff)
	}
	if e := s.Environments(); len(e) != 1 || e[0].Address != "https://console/2" || e[0].Tier != "production" {
		t.Errorf("environments = %+v, want one with the newest address", e)
	}
}

func TestAReleaseIsCompleted(t *testing.T) {
	s := gitlabtest.Start(t, "")
	s.PutTag(gitlabtest.Tag{Name: "v1.0.0", Target: wanted.Commit})
	links := []gitlab.ReleaseLink{
		{Name: "Image", URL: "https://console/image", Kind: "image"}, {Name: "Pipeline", URL: "https://gitlab/p/1", Kind: "other"},
	}
	for _, tt := range []struct {
		name string
		url  string
		want int
	}{{"a tag without a release", "https://gitlab/p/1", 2}, {"again", "https://gitlab/p/1", 0}, {"another pipeline", "https://gitlab/p/2", 1}} {
		links[1].URL = tt.url
		if got, err := client(s).CompleteRelease(t.Context(), "v1.0.0", "notes", links); err != nil || got != tt.want {
			t.Errorf("%s: CompleteRelease = %d, %v, want %d", tt.name, got, err, tt.want)
		}
	}
	if s.Releases()["v1.0.0"] != "notes" || len(s.Links("v1.0.0")) != 2 || s.Links("v1.0.0")[1].URL != "https://gitlab/p/2" {
		t.Errorf("release %v, links %v", s.Releases(), s.Links("v1.0.0"))
	}
}

var version = gitlab.ModelVersion{
	Model: "mean", Version: "1.2.0", Description: "identity abc", Identity: "abc", Job: "7", At: time.UnixMilli(1000),
	Tags: map[string]string{"towline.image": "sha256:1"}, Params: map[string]string{"depth": "6"}, Metrics: map[string]float64{"f1": 0.9},
}

func TestAVersionIsRegisteredOnce(t *testing.T) {
	s := gitlabtest.Start(t, "")
	c := withToken(s, gitlabtest.Credential{})
	done, err := c.RegisterModel(t.Context(), version)
	if err != nil || done.Found || !strings.HasSuffix(done.URL, "/versions/"+done.ID) {
		t.Fatalf("RegisterModel = %+v, %v", done, err)
	}
	there, err := c.PutModelFile(t.Context(), version, done.ID, file("release.json", "{}"))
	if err != nil || there {
		t.Fatalf("PutModelFile = %t, %v", there, err)
	}
	again, err := c.RegisterModel(t.Context(), version)
	if err != nil || !again.Found || again.ID != done.ID {
		t.Errorf("RegisterModel again = %+v, %v, want it found", again, err)
	}
	if there, err := c.PutModelFile(t.Context(), version, done.ID, file("release.json", "{}")); err != nil || !there {
		t.Errorf("PutModelFile again = %t, %v, want it found", there, err)
	}
	model := s.Models()[0]
	v := model.Versions[0]
	if len(s.Models()) != 1 || len(model.Versions) != 1 || v.Version != "1.2.0" || v.Metrics["f1"] != 0.9 || v.Params["depth"] != "6" ||
		v.Tags["towline.image"] != "sha256:1" || v.RunTags["gitlab.CI_JOB_ID"] != "7" {
		t.Errorf("registered %+v", v)
	}
	if diff := cmp.Diff(map[string]string{"release.json": "{}"}, s.ModelFiles("mean", "1.2.0")); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestAVersionOfAnotherModelIsAConflict(t *testing.T) {
	s := gitlabtest.Start(t, "")
	s.AddModelVersion(gitlabtest.OwnProject, "mean", gitlabtest.ModelVersion{Version: "1.2.0", Description: "somebody else's"})
	_, err := withToken(s, gitlabtest.Credential{}).RegisterModel(t.Context(), version)
	if fault.KindOf(err) != fault.Conflict {
		t.Errorf("RegisterModel = %v, want a conflict", err)
	}
}

func TestAPackageThatIsThereTwice(t *testing.T) {
	s := gitlabtest.Start(t, "")
	s.ChangeProject(gitlabtest.OwnProject, func(p *gitlabtest.ProjectSettings) { p.Once, p.MostPackage = true, 10 })
	for _, tt := range []struct {
		name, body string
		want       fault.Kind
	}{
		{"the first", "a", 0}, {"the same bytes", "a", 0}, {"other bytes", "b", fault.Conflict}, {"too many bytes", "01234567890", fault.Repository},
	} {
		err := client(s).PutPackage(t.Context(), "towline-handover", "8.7", file("handover.zip", tt.body))
		if err == nil && tt.want != 0 || err != nil && fault.KindOf(err) != tt.want {
			t.Errorf("%s: PutPackage = %v, want exit %d", tt.name, err, tt.want)
		}
	}
}

func TestAPipelineIsStartedAndWaitedFor(t *testing.T) {
	for _, tt := range []struct {
		name   string
		states []string
		stops  bool
		want   string
	}{
		{"success", []string{"pending", "running", "success"}, true, "success"},
		{"failure", []string{"running", "failed"}, true, "failed"},
		{"a button, where people are not waited for", []string{"running", "manual"}, true, "manual"},
		{"a button, where they are", []string{"manual", "manual", "running", "success"}, false, "success"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := gitlabtest.Start(t, "")
			s.NextPipeline(tt.states...)
			c := client(s)
			p, err := c.StartPipeline(t.Context(), gitlab.Start{Token: secret.New(gitlabtest.Token), Ref: "main", Variables: map[string]string{"A": "1"}})
			if err != nil {
				t.Fatal(err)
			}
			last, err := gitlab.Await(t.Context(), time.Millisecond, tt.stops, func(ctx context.Context) (gitlab.Watched, error) {
				now, err := c.Pipeline(ctx, p.Number())
				return gitlab.Watched{Status: now.Status}, err
			}, func(gitlab.Watched) {})
			if err != nil || last.Status != tt.want {
				t.Errorf("Await = %+v, %v, want %s", last, err, tt.want)
			}
			if got := s.Pipelines()[0]; got.Source != "pipeline" || got.Variables["A"] != "1" || got.Upstream != gitlabtest.OwnProject {
				t.Errorf("started %+v", got)
			}
		})
	}
}

func TestWaitingEnds(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := gitlab.Await(ctx, time.Millisecond, false, func(context.Context) (gitlab.Watched, error) {
		return gitlab.Watched{Status: "manual", URL: "https://gitlab/p/1"}, nil
	}, func(gitlab.Watched) {})
	if fault.KindOf(err) != fault.Timeout || !strings.Contains(fault.HintOf(err), "press its button") {
		t.Errorf("Await = %v (hint %q), want a timeout", err, fault.HintOf(err))
	}
}

func TestAJobIsPlayed(t *testing.T) {
	s := gitlabtest.Start(t, "")
	id, err := s.AddJob(gitlabtest.Job{Project: gitlabtest.OwnProject, Pipeline: 8, Name: "deploy", Status: "manual", Then: []string{"running", "success"}})
	if err != nil {
		t.Fatal(err)
	}
	c := withToken(s, gitlabtest.Credential{})
	j, err := c.NewestJob(t.Context(), "8", "deploy")
	if err != nil || j.Number() != strconv.Itoa(id) {
		t.Fatalf("NewestJob = %+v, %v", j, err)
	}
	if _, err := c.PlayJob(t.Context(), j.Number(), map[string]string{"WEIGHT": "10"}); err != nil {
		t.Fatal(err)
	}
	if played, _ := s.JobNamed("deploy"); played.Played["WEIGHT"] != "10" {
		t.Errorf("played with %v", played.Played)
	}
	if _, err := c.PlayJob(t.Context(), j.Number(), nil); fault.KindOf(err) != fault.Usage {
		t.Errorf("PlayJob again = %v, want it refused", err)
	}
}

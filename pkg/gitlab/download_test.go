package gitlab_test

import (
	"archive/zip"
	"bytes"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gitlab.com/towline/towline/internal/gitlabtest"
	"gitlab.com/towline/towline/pkg/archive"
	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/gitlab"
	"gitlab.com/towline/towline/pkg/secret"
)

const producer = 7

// producing is a GitLab with a project whose job 1001 left 3 MB that do not compress.
func producing(t *testing.T, allow ...int) (*gitlabtest.Server, []byte) {
	t.Helper()
	s := gitlabtest.Start(t, "")
	s.AddProject(gitlabtest.ProjectSettings{ID: producer, Path: "science/model", Allow: allow})
	path, body := archived(t)
	if _, err := s.AddJob(gitlabtest.Job{Project: producer, Pipeline: 100, Name: "train", Artifacts: path}); err != nil {
		t.Fatal(err)
	}
	return s, body
}

func archived(t *testing.T) (path string, weights []byte) {
	t.Helper()
	weights = make([]byte, 3<<20)
	if _, err := rand.Read(weights); err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	w := zip.NewWriter(&packed)
	for name, body := range map[string][]byte{"weights.bin": weights, "notes.txt": []byte("short"), "other.bin": weights[:1<<20]} {
		file, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.Write(body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "artifacts.zip")
	if err := os.WriteFile(path, packed.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, weights
}

func consumer(s *gitlabtest.Server, header, token string) *gitlab.Client {
	return gitlab.New(gitlab.Options{API: s.API, Project: "7", Header: header, Token: secret.New(token), Wait: time.Millisecond})
}

// fetch unpacks the artifacts of a job into a fresh folder.
func fetch(t *testing.T, c *gitlab.Client, job string) (string, error) {
	t.Helper()
	target := filepath.Join(t.TempDir(), "into")
	d, err := c.Artifacts(t.Context(), job)
	if err != nil {
		return target, err
	}
	defer d.Close()
	staging, err := archive.Stage(target)
	if err != nil {
		t.Fatal(err)
	}
	defer staging.Abort()
	var source archive.Source = d
	if !d.Ranges() {
		spool, err := staging.Spool()
		if err != nil {
			t.Fatal(err)
		}
		defer spool.Close()
		size, err := d.Spool(t.Context(), spool, 1<<30, nil)
		if err != nil {
			return target, err
		}
		source = archive.Disk{File: spool, Bytes: size}
	}
	zipped, err := archive.OpenZip(t.Context(), source, d.Tail(), archive.Limits{})
	if err != nil {
		return target, err
	}
	if _, err := zipped.Unpack(t.Context(), staging, nil, 3, nil); err != nil {
		return target, err
	}
	return target, staging.Commit()
}

func TestDownloads(t *testing.T) {
	cuts := []int64{0, 300_000, 200_000, 100_000}
	for _, tt := range []struct {
		name     string
		transfer gitlabtest.Transfer
		most     float64 // bytes sent, in sizes of the archive; 0 for any number
	}{
		{"by GitLab itself", gitlabtest.Transfer{}, 1.05},
		{"by the object storage", gitlabtest.Transfer{Redirect: true}, 1.05},
		{"by signed addresses that are good for one request", gitlabtest.Transfer{Redirect: true, Expires: 1}, 1.05},
		{"over connections that break", gitlabtest.Transfer{Redirect: true, Cuts: cuts}, 1.05},
		{"over connections that break, without validators", gitlabtest.Transfer{NoETag: true, Cuts: cuts}, 1.05},
		{"whole only", gitlabtest.Transfer{NoRanges: true}, 1.05},
		{"whole only, over connections that break", gitlabtest.Transfer{NoRanges: true, Redirect: true, Cuts: []int64{1000, 2_000_000}}, 0},
		{"slowly", gitlabtest.Transfer{Pace: time.Millisecond}, 1.05},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, want := producing(t, gitlabtest.OwnProject)
			s.SetTransfer(tt.transfer)
			dir, err := fetch(t, consumer(s, gitlab.JobToken, gitlabtest.Token), "1001")
			if err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(filepath.Join(dir, "weights.bin")); err != nil || !bytes.Equal(got, want) {
				t.Errorf("the file differs, %v", err)
			}
			var sent int64
			for _, r := range s.Requests() {
				sent += r.Sent
			}
			// What is in the sockets' buffers when a connection breaks is lost.
			if share := float64(sent) / float64(len(want)+1<<20); tt.most > 0 && share > tt.most+0.08*float64(len(tt.transfer.Cuts)) {
				t.Errorf("%d bytes were sent, %.2f of the archive", sent, share)
			}
			if leaks := s.Leaks(); len(leaks) > 0 {
				t.Errorf("tokens were shown to %v", leaks)
			}
		})
	}
}

func TestEachKindOfTokenHasItsHeader(t *testing.T) {
	s, _ := producing(t, gitlabtest.OwnProject)
	s.SetTransfer(gitlabtest.Transfer{Redirect: true})
	s.AddToken("of-a-project", gitlabtest.Credential{Projects: []int{producer}})
	s.AddToken("of-a-user", gitlabtest.Credential{Projects: []int{producer}, Header: "Authorization"})
	for header, token := range map[string]string{
		gitlab.JobToken: gitlabtest.Token, gitlab.PrivateToken: "of-a-project", gitlab.OAuth: "of-a-user",
	} {
		if _, err := fetch(t, consumer(s, header, token), "1001"); err != nil {
			t.Errorf("with %s: %v", header, err)
		}
	}
	if leaks := s.Leaks(); len(leaks) > 0 {
		t.Errorf("tokens were shown to %v", leaks)
	}
}

func TestWhatIsWaitedFor(t *testing.T) {
	s, _ := producing(t, gitlabtest.OwnProject)
	path, _ := archived(t)
	if _, err := s.AddJob(gitlabtest.Job{Project: producer, Pipeline: 100, ID: 2001, Name: "late", Artifacts: path, Late: 2}); err != nil {
		t.Fatal(err)
	}
	s.Fail(
		gitlabtest.Failure{Method: "GET", Status: 429, Body: "Retry later"},
		gitlabtest.Failure{Method: "GET", Status: 429, Body: "Retry later", RetryAfter: "0"},
		gitlabtest.Failure{Method: "GET", Status: 502},
	)
	if _, err := fetch(t, consumer(s, gitlab.JobToken, gitlabtest.Token), "2001"); err != nil {
		t.Errorf("fetch = %v, want it to wait for the archive", err)
	}
}

func TestAnArchiveThatChangesIsNotMixed(t *testing.T) {
	s, _ := producing(t, gitlabtest.OwnProject)
	c := consumer(s, gitlab.JobToken, gitlabtest.Token)
	d, err := c.Artifacts(t.Context(), "1001")
	if err != nil {
		t.Fatal(err)
	}
	path, _ := archived(t)
	if _, err := s.AddJob(gitlabtest.Job{Project: producer, Pipeline: 100, ID: 1001, Name: "train", Artifacts: path}); err != nil {
		t.Fatal(err)
	}
	body, err := d.Open(t.Context(), 0, d.Size())
	if err == nil {
		_, err = io.ReadAll(body)
	}
	if fault.KindOf(err) != fault.Conflict {
		t.Errorf("reading it = %v, want a conflict", err)
	}
}

func TestRefusedDownloadsNameTheSettingToChange(t *testing.T) {
	for _, tt := range []struct {
		name          string
		change        func(*gitlabtest.ProjectSettings)
		header, token string
		job           string
		kind          fault.Kind
		hint          string
	}{
		{"no entry in the allowlist", func(p *gitlabtest.ProjectSettings) { p.Allow = nil }, gitlab.JobToken, gitlabtest.Token, "1001", fault.Denied, "Job token permissions"},
		{"no licence", func(p *gitlabtest.ProjectSettings) { p.Free = true }, gitlab.JobToken, gitlabtest.Token, "1001", fault.Denied, "--through package"},
		{"no archive", nil, gitlab.JobToken, gitlabtest.Token, "5", fault.Missing, "expire_in"},
		{"an unknown token", nil, gitlab.PrivateToken, "unknown", "1001", fault.Denied, "read_api"},
		{"a job token that is dead", nil, gitlab.JobToken, "unknown", "1001", fault.Denied, "after_script"},
		{"a token of another project", nil, gitlab.PrivateToken, "elsewhere", "1001", fault.Denied, "belongs to it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := producing(t, gitlabtest.OwnProject)
			s.AddToken("elsewhere", gitlabtest.Credential{Projects: []int{1}})
			if tt.change != nil {
				s.ChangeProject(producer, tt.change)
			}
			_, err := fetch(t, consumer(s, tt.header, tt.token), tt.job)
			if fault.KindOf(err) != tt.kind || !strings.Contains(fault.HintOf(err), tt.hint) {
				t.Errorf("fetch = %v (exit %d, hint %q), want exit %d and %q", err, fault.KindOf(err), fault.HintOf(err), tt.kind, tt.hint)
			}
			if strings.Contains(err.Error()+fault.HintOf(err), tt.token) {
				t.Errorf("the error tells the token: %v", err)
			}
		})
	}
}

func TestJobNamed(t *testing.T) {
	s, _ := producing(t, gitlabtest.OwnProject)
	for _, j := range []gitlabtest.Job{
		{Project: producer, Pipeline: 100, Name: "train"}, {Project: producer, Pipeline: 100, Name: "broken", Status: "failed"},
		{Project: producer, Pipeline: 200, Name: "train"},
	} {
		if _, err := s.AddJob(j); err != nil {
			t.Fatal(err)
		}
	}
	c := consumer(s, gitlab.JobToken, gitlabtest.Token)
	if job, err := c.JobNamed(t.Context(), "100", "train"); err != nil || job.ID != 1002 {
		t.Errorf("JobNamed = %+v, %v, want the one that was retried, 1002", job, err)
	}
	if _, err := c.JobNamed(t.Context(), "100", "broken"); fault.KindOf(err) != fault.Missing || !strings.Contains(err.Error(), "failed") {
		t.Errorf("JobNamed of a failed one = %v", err)
	}
	if _, err := c.JobNamed(t.Context(), "100", "none"); fault.KindOf(err) != fault.Missing || len(fault.DetailsOf(err)) == 0 {
		t.Errorf("JobNamed of none = %v", err)
	}
}

// A GitLab that lists jobs that were retried too does so in any order.
func TestOfJobsWithOneNameTheNewestIsMeant(t *testing.T) {
	for _, order := range [][]int{{5, 7, 6}, {7, 6, 5}, {6, 5, 7}} {
		s, _ := producing(t, gitlabtest.OwnProject)
		var jobs []map[string]any
		for _, id := range order {
			jobs = append(jobs, map[string]any{"id": id, "name": "train", "status": "success"})
		}
		body, err := json.Marshal(append(jobs, map[string]any{"id": 9, "name": "train", "status": "failed"}))
		if err != nil {
			t.Fatal(err)
		}
		s.Fail(gitlabtest.Failure{Method: http.MethodGet, Path: "/pipelines/100/jobs", Status: http.StatusOK, Body: string(body)})
		if job, err := consumer(s, gitlab.JobToken, gitlabtest.Token).JobNamed(t.Context(), "100", "train"); err != nil || job.ID != 7 {
			t.Errorf("of %v JobNamed = %d, %v, want 7, the newest that succeeded", order, job.ID, err)
		}
	}
}

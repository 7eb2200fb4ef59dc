package gitlabtest_test

import (
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gitlab.com/towline/towline/internal/gitlabtest"
)

const archiveSize = 200_000

// storing is a GitLab whose job 3000 left an archive of that size.
func storing(t *testing.T, transfer gitlabtest.Transfer) (*gitlabtest.Server, string) {
	t.Helper()
	s := start(t)
	body := make([]byte, archiveSize)
	_, _ = rand.NewChaCha8([32]byte{}).Read(body)
	path := filepath.Join(t.TempDir(), "artifacts.zip")
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
	addJob(t, s, gitlabtest.Job{Project: upstream, Pipeline: 100, ID: 3000, Name: "big", Artifacts: path})
	s.SetTransfer(transfer)
	return s, string(body)
}

func TestTheStorageTakesWhatIsSigned(t *testing.T) {
	s, body := storing(t, gitlabtest.Transfer{Redirect: true, Expires: 2})
	leads := ask(t, http.MethodGet, artifacts(s, 3000), "", byJob)
	to := leads.header.Get("Location")
	if leads.status != http.StatusFound || !strings.HasPrefix(to, s.Storage+"/") || strings.HasPrefix(to, strings.TrimSuffix(s.API, "/api/v4")) {
		t.Fatalf("answered %d to %s, want 302 to another host", leads.status, to)
	}
	unsigned, _, _ := strings.Cut(to, "?")
	for _, tt := range []struct {
		name, method, address, header string
		status                        int
	}{
		{"without its signature", "GET", unsigned, "", 403},
		{"signed twice", "GET", to, "Authorization: Bearer x", 400},
		{"to write", "PUT", to, "", 403},
		{"as it is", "GET", to, "", 200},
		{"a part of it", "GET", to, "Range: bytes=10-19", 206},
		{"once too often", "GET", to, "", 403},
		{"of nothing", "GET", s.Storage + "/bucket/none?" + strings.SplitN(to, "?", 2)[1], "", 403},
	} {
		got := ask(t, tt.method, tt.address, "", tt.header)
		if got.status != tt.status {
			t.Errorf("%s: %d %.80q, want %d", tt.name, got.status, got.body, tt.status)
		}
		switch {
		case tt.status == http.StatusOK && got.body != body:
			t.Errorf("%s: %d bytes, want the archive", tt.name, len(got.body))
		case tt.status == http.StatusPartialContent && (got.body != body[10:20] || got.header.Get("Content-Range") != "bytes 10-19/200000"):
			t.Errorf("%s: %q, %s", tt.name, got.body, got.header.Get("Content-Range"))
		}
	}
}

func TestHowFilesAreSent(t *testing.T) {
	for _, tt := range []struct {
		name     string
		transfer gitlabtest.Transfer
		header   string
		status   int
		bytes    int
		whole    bool
		etag     bool
	}{
		{"the end of it", gitlabtest.Transfer{}, "Range: bytes=-100", 206, 100, true, true},
		{"beyond the end", gitlabtest.Transfer{}, "Range: bytes=300000-", 416, 0, true, false},
		{"if it is still the same", gitlabtest.Transfer{}, "If-Range: \"other\"\nRange: bytes=0-9", 200, archiveSize, true, true},
		{"without parts", gitlabtest.Transfer{NoRanges: true}, "Range: bytes=0-9", 200, archiveSize, true, true},
		{"without a validator", gitlabtest.Transfer{NoETag: true}, "", 200, archiveSize, true, false},
		{"cut", gitlabtest.Transfer{Cuts: []int64{70_000}}, "", 200, 70_000, false, true},
		{"cut in a part", gitlabtest.Transfer{Cuts: []int64{5}}, "Range: bytes=0-9", 206, 5, false, true},
		{"cut without parts", gitlabtest.Transfer{NoRanges: true, Cuts: []int64{70_000}}, "", 200, 70_000, false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, body := storing(t, tt.transfer)
			got := ask(t, http.MethodGet, artifacts(s, 3000), "", append(strings.Split(tt.header, "\n"), byJob)...)
			if got.status != tt.status || (got.broken == nil) != tt.whole || (got.header.Get("ETag") != "") != tt.etag {
				t.Errorf("answered %d, %v, ETag %q", got.status, got.broken, got.header.Get("ETag"))
			}
			if tt.status != http.StatusRequestedRangeNotSatisfiable && len(got.body) != tt.bytes {
				t.Errorf("%d bytes, want %d", len(got.body), tt.bytes)
			}
			if tt.status == http.StatusOK && !strings.HasPrefix(body, got.body) {
				t.Error("the bytes differ")
			}
			if again := ask(t, http.MethodGet, artifacts(s, 3000), "", byJob); again.broken != nil || again.body != body {
				t.Errorf("a second time: %v, %d bytes, want all: a cut is one", again.broken, len(again.body))
			}
			seen := s.Requests()
			if first := seen[0]; tt.bytes > 0 && first.Sent != int64(tt.bytes) || first.Status != tt.status {
				t.Errorf("%d bytes were counted, status %d, want %d, %d", first.Sent, first.Status, tt.bytes, tt.status)
			}
		})
	}
}

func TestATransferMayBeSlow(t *testing.T) {
	s, body := storing(t, gitlabtest.Transfer{Pace: 20 * time.Millisecond})
	began := time.Now()
	if got := ask(t, http.MethodGet, artifacts(s, 3000), "", byJob); got.body != body {
		t.Errorf("%d bytes, %v", len(got.body), got.broken)
	}
	if took := time.Since(began); took < 60*time.Millisecond {
		t.Errorf("it took %s, want 20 ms for each 64 kB at least", took)
	}
}

// What shows a token to the storage, or in an address, is found.
func TestLeaksAreFound(t *testing.T) {
	for _, tt := range []struct {
		name    string
		address func(*gitlabtest.Server) string
		header  string
		leaks   int
	}{
		{"a header to GitLab", func(s *gitlabtest.Server) string { return artifacts(s, 1001) }, byJob, 0},
		{"a header to the storage", func(s *gitlabtest.Server) string { return s.Storage + "/bucket/x" }, byJob, 1},
		{"any header to the storage", func(s *gitlabtest.Server) string { return s.Storage + "/bucket/x" }, "X-Other: " + gitlabtest.Token, 1},
		{"an address at GitLab", func(s *gitlabtest.Server) string { return artifacts(s, 1001) + "?job_token=" + gitlabtest.Token }, byJob, 1},
	} {
		s := start(t)
		ask(t, http.MethodGet, tt.address(s), "", tt.header)
		if got := s.Leaks(); len(got) != tt.leaks {
			t.Errorf("%s: found %v, want %d", tt.name, got, tt.leaks)
		}
	}
}

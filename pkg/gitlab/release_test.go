package gitlab_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"gitlab.com/towline/towline/internal/gitlabtest"
	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/gitlab"
	"gitlab.com/towline/towline/pkg/secret"
)

func client(s *gitlabtest.Server) *gitlab.Client {
	return gitlab.New(gitlab.Options{
		API: s.API, Project: gitlabtest.Project, Token: secret.New(gitlabtest.Token), Wait: time.Millisecond,
	})
}

var wanted = gitlab.Release{
	Tag: "url-risk/v1.2.0", Commit: strings.Repeat("a", 40), Message: "url-risk 1.2.0\n\nclaim-1\n",
	Description: "## 1.2.0\n", Claim: "claim-1",
}

func TestAReleaseMakesItsTag(t *testing.T) {
	s := gitlabtest.Start(t, "")
	if err := client(s).CreateRelease(t.Context(), wanted); err != nil {
		t.Fatalf("CreateRelease: %v", err)
	}
	if got := s.Releases()[wanted.Tag]; got != wanted.Description {
		t.Errorf("description = %q, want %q", got, wanted.Description)
	}
	if err := client(s).CreateRelease(t.Context(), wanted); err != nil {
		t.Errorf("CreateRelease again: %v, want it known as done", err)
	}
}

func TestATagOfSomebodyElseIsNotTaken(t *testing.T) {
	foreign := gitlabtest.Tag{Name: wanted.Tag, Message: "theirs", Target: wanted.Commit}
	for _, tt := range []struct {
		name    string
		prepare func(s *gitlabtest.Server)
	}{
		{"made before", func(s *gitlabtest.Server) { s.PutTag(foreign) }},
		{"made in between", func(s *gitlabtest.Server) { s.BeforeRelease(func(string) { s.PutTag(foreign) }) }},
		{"made in between, with its release", func(s *gitlabtest.Server) {
			s.BeforeRelease(func(string) { s.PutTag(foreign) })
			s.Fail(gitlabtest.Failure{Method: http.MethodPost, Status: http.StatusConflict, Done: true, Body: `{"message":"Release already exists"}`})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := gitlabtest.Start(t, "")
			tt.prepare(s)
			err := client(s).CreateRelease(t.Context(), wanted)
			if !errors.Is(err, gitlab.ErrTaken) {
				t.Errorf("CreateRelease = %v, want ErrTaken", err)
			}
			if tt.name != "made in between, with its release" && len(s.Releases()) > 0 {
				t.Errorf("releases = %v, want none on a tag of somebody else", s.Releases())
			}
		})
	}
}

func TestAnAnswerThatGotLost(t *testing.T) {
	s := gitlabtest.Start(t, "")
	s.Fail(gitlabtest.Failure{Method: http.MethodPost, Status: http.StatusBadGateway, Done: true})
	if err := client(s).CreateRelease(t.Context(), wanted); err != nil {
		t.Errorf("CreateRelease = %v, want the tag found", err)
	}
}

func TestALimitIsWaitedFor(t *testing.T) {
	s := gitlabtest.Start(t, "")
	s.Fail(
		gitlabtest.Failure{Method: http.MethodGet, Status: http.StatusTooManyRequests, RetryAfter: "0", Body: "Retry later"},
		gitlabtest.Failure{Method: http.MethodPost, Status: http.StatusTooManyRequests, RetryAfter: "0", Body: "Retry later"},
	)
	if err := client(s).CreateRelease(t.Context(), wanted); err != nil {
		t.Errorf("CreateRelease = %v, want it to wait and succeed", err)
	}
}

func TestRefusalsNameTheSettingToChange(t *testing.T) {
	for _, tt := range []struct {
		name    string
		failure gitlabtest.Failure
		kind    fault.Kind
		hint    string
	}{
		{"an expired token", gitlabtest.Failure{Status: 401}, fault.Denied, "job token lives"},
		{"a guest", gitlabtest.Failure{Status: 403, Body: `{"message":"403 Forbidden"}`}, fault.Denied, "Developer"},
		{"a protected tag", gitlabtest.Failure{Status: 400, Body: `{"message":"You are not allowed to create this tag as it is protected."}`}, fault.Denied, "Protected tags"},
		{"a project that is not seen", gitlabtest.Failure{Status: 404, Body: `{"message":"404 Project Not Found"}`}, fault.Denied, "Job token permissions"},
		{"a commit that there is not", gitlabtest.Failure{Status: 400, Body: `{"message":"Target is invalid"}`}, fault.Remote, "run the job again"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := gitlabtest.Start(t, "")
			tt.failure.Method = http.MethodPost
			s.Fail(tt.failure)
			err := client(s).CreateRelease(t.Context(), wanted)
			if fault.KindOf(err) != tt.kind || !strings.Contains(fault.HintOf(err), tt.hint) {
				t.Errorf("CreateRelease = %v (exit %d, hint %q), want exit %d and %q", err, fault.KindOf(err), fault.HintOf(err), tt.kind, tt.hint)
			}
			if strings.Contains(err.Error(), gitlabtest.Token) {
				t.Errorf("the error tells the token: %v", err)
			}
		})
	}
}

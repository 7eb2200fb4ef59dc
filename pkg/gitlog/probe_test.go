package gitlog_test

import (
	"path/filepath"
	"strings"
	"testing"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/gitlog"
	"gitlab.com/towline/towline/pkg/internal/gittest"
	"gitlab.com/towline/towline/pkg/secret"
)

// probed is a checkout of a served repository of three commits.
func probed(t *testing.T, depth string, word string) (*gitlog.Repo, *gittest.Server, string) {
	t.Helper()
	root := t.TempDir()
	origin := filepath.Join(root, "model.git")
	work := filepath.Join(t.TempDir(), "work")
	gittest.Git(t, root, "init", "-q", "--bare", "-b", "main", origin)
	gittest.Git(t, root, "init", "-q", "-b", "main", work)
	for _, subject := range []string{"feat: a", "fix: b", "fix: c"} {
		gittest.Git(t, work, "commit", "-q", "--allow-empty", "-m", subject)
	}
	gittest.Git(t, work, "push", "-q", origin, "main")
	gittest.Git(t, origin, "config", "http.receivepack", "true")
	server := gittest.Serve(t, root, "gitlab-ci-token", "right")
	clone := filepath.Join(t.TempDir(), "clone")
	gittest.Git(t, root, append(strings.Fields("clone -q "+depth), "file://"+origin, clone)...)
	gittest.Git(t, clone, "remote", "set-url", "origin", server.URL+"/model.git")
	repo, ok, err := gitlog.Open(t.Context(), clone, gitlog.Options{
		Environ: append(gittest.Environ(), "GIT_SSL_CAINFO="+server.CA), Token: secret.New(word),
	})
	if err != nil || !ok {
		t.Fatalf("Open = %v, %v", ok, err)
	}
	return repo, server, origin
}

func TestDepth(t *testing.T) {
	for depth, want := range map[string]int{"": 3, "--depth 2": 2} {
		repo, _, _ := probed(t, depth, "right")
		commits, shallow, err := repo.Depth(t.Context())
		if commits != want || shallow != (depth != "") || err != nil {
			t.Errorf("Depth() of a clone with %q = %d, %v, %v, want %d", depth, commits, shallow, err, want)
		}
	}
}

func TestProbesAskAndChangeNothing(t *testing.T) {
	for _, depth := range []string{"", "--depth 1"} {
		repo, _, origin := probed(t, depth, "right")
		if err := repo.Reach(t.Context()); err != nil {
			t.Errorf("Reach() = %v", err)
		}
		if err := repo.MayPush(t.Context()); err != nil {
			t.Errorf("MayPush() = %v", err)
		}
		if refs := gittest.Git(t, origin, "for-each-ref", "--format=%(refname)"); refs != "refs/heads/main" {
			t.Errorf("the remote has %s, wanted what it had", refs)
		}
	}
}

func TestProbesThatAreRefused(t *testing.T) {
	repo, server, origin := probed(t, "", "right")
	gittest.Git(t, origin, "config", "http.receivepack", "false")
	if err := repo.MayPush(t.Context()); fault.KindOf(err) != fault.Denied || !strings.Contains(err.Error(), "push to "+server.URL) {
		t.Errorf("MayPush() where pushes are off = %v", err)
	}
	if err := repo.Reach(t.Context()); err != nil {
		t.Errorf("Reach() where pushes are off = %v", err)
	}
	wrong, _, _ := probed(t, "--depth 1", "wrong-password")
	for name, probe := range map[string]func() error{
		"Reach": func() error { return wrong.Reach(t.Context()) }, "MayPush": func() error { return wrong.MayPush(t.Context()) },
	} {
		err := probe()
		if fault.KindOf(err) != fault.Denied || strings.Contains(err.Error(), "wrong-password") {
			t.Errorf("%s() with a wrong token = %v", name, err)
		}
	}
}

func TestProbesOfACloneWithoutRemote(t *testing.T) {
	dir := t.TempDir()
	gittest.Git(t, dir, "init", "-q", "-b", "main")
	gittest.Git(t, dir, "commit", "-q", "--allow-empty", "-m", "feat: a")
	repo, _, err := gitlog.Open(t.Context(), dir, gitlog.Options{Environ: gittest.Environ()})
	if err != nil {
		t.Fatal(err)
	}
	if err := repo.Reach(t.Context()); fault.KindOf(err) != fault.Missing {
		t.Errorf("Reach() = %v", err)
	}
}

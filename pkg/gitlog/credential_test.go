package gitlog_test

import (
	"bytes"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/gitlog"
	"gitlab.com/towline/towline/pkg/internal/gittest"
	"gitlab.com/towline/towline/pkg/release"
	"gitlab.com/towline/towline/pkg/secret"
)

const token = `glcbt-64_s3cr3t\t%s"'$HOME`

// served is a shallow clone whose remote is an HTTPS server that wants the token.
func served(t *testing.T) (bare, clone string, server *gittest.Server) {
	t.Helper()
	bare, _ = gittest.Bare(t, line(5))
	server = gittest.Serve(t, filepath.Dir(bare), "gitlab-ci-token", token)
	clone = gittest.CloneOf(t, bare, "--depth=1", "--no-tags")
	gittest.Git(t, clone, "remote", "set-url", "origin", server.URL+"/repo.git")
	return bare, clone, server
}

func environ(server *gittest.Server) []string {
	return append(gittest.Environ(), "GIT_SSL_CAINFO="+server.CA)
}

func TestATokenReachesTheRemote(t *testing.T) {
	_, clone, server := served(t)
	wantVersion(t, open(t, clone, gitlog.Options{Environ: environ(server), Token: secret.New(token)}), "1.0.1")
	paths := release.Component{Name: "f", Prefix: "v", Paths: []string{"f"}}
	repo := open(t, clone, gitlog.Options{Environ: environ(server), Token: secret.New(token), Cache: t.TempDir()})
	if got := compute(t, repo, paths); got.Version != "1.0.1" {
		t.Errorf("version of a path = %s, want 1.0.1", got.Version)
	}
	if server.Wrong() > 0 {
		t.Errorf("%d requests had wrong credentials", server.Wrong())
	}
}

func TestATokenInTheRemotesAddressIsUsed(t *testing.T) {
	_, clone, server := served(t)
	address := strings.Replace(server.URL, "https://", "https://gitlab-ci-token:glcbt-64_s3cr3t%5Ct%25s%22%27$HOME@", 1) + "/repo.git"
	gittest.Git(t, clone, "remote", "set-url", "origin", address)
	repo := open(t, clone, gitlog.Options{Environ: environ(server)})
	wantVersion(t, repo, "1.0.1")
	if got, err := repo.RemoteURL(t.Context()); err != nil || got != server.URL+"/repo.git" {
		t.Errorf("RemoteURL = %q, %v, want it without credentials", got, err)
	}
}

func TestAWrongTokenIsSaidToBeOne(t *testing.T) {
	_, clone, server := served(t)
	_, err := open(t, clone, gitlog.Options{Environ: environ(server), Token: secret.New("stale")}).History(t.Context(), single)
	if fault.KindOf(err) != fault.Missing || !strings.Contains(fault.HintOf(err), "token") {
		t.Errorf("History = %v, hint %q, want exit 5 and a hint about the token", err, fault.HintOf(err))
	}
	if strings.Contains(err.Error(), "stale") {
		t.Errorf("the error shows the token: %v", err)
	}
}

func TestARedirectToAnotherHostGetsNoToken(t *testing.T) {
	bare, clone, other := served(t)
	gittest.Git(t, bare, "config", "http.receivepack", "true")
	redirecting := gittest.Redirect(t, other.URL)
	gittest.Git(t, clone, "remote", "set-url", "origin", redirecting.URL+"/repo.git")
	both := filepath.Join(t.TempDir(), "both.pem")
	a, errA := os.ReadFile(other.CA)
	b, errB := os.ReadFile(redirecting.CA)
	if errA != nil || errB != nil || os.WriteFile(both, append(a, b...), 0o644) != nil {
		t.Fatal(errA, errB)
	}
	repo := open(t, clone, gitlog.Options{Environ: append(gittest.Environ(), "GIT_SSL_CAINFO="+both), Token: secret.New(token)})
	_, err := repo.History(t.Context(), single)
	if fault.KindOf(err) != fault.Missing || !strings.Contains(fault.HintOf(err), "address it leads to") {
		t.Errorf("History = %v, hint %q, want exit 5 and a hint about the address", err, fault.HintOf(err))
	}
	if seen := other.Seen(); len(seen) > 0 {
		t.Errorf("the other host was asked: %v", seen)
	}
}

// A git that writes down its arguments and environment stands in for anybody
// who can look at them.
func TestATokenIsNowhereToBeSeen(t *testing.T) {
	bare, clone, server := served(t)
	spied := filepath.Join(t.TempDir(), "spied")
	shim(t, "{ echo \"$0 $*\"; env; } >>"+spied)
	var log bytes.Buffer
	env := append(environ(server), "CI_JOB_TOKEN="+token, "GIT_TRACE_CURL=1", "GIT_CURL_VERBOSE=1", "GIT_TRACE_REDACT=0")
	cache := t.TempDir()
	repo := open(t, clone, gitlog.Options{
		Environ: env, Token: secret.New(token), Cache: cache, Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	wantVersion(t, repo, "1.0.1")
	results, err := repo.Allocate(t.Context(), allocation(single))
	if err != nil || results[0].Version != "1.0.1" {
		t.Fatalf("Allocate = %+v, %v, want 1.0.1", results, err)
	}
	seen, err := os.ReadFile(spied)
	if err != nil || !bytes.Contains(seen, []byte("push")) {
		t.Fatalf("the push was not seen: %v", err)
	}
	for where, text := range map[string][]byte{"arguments and environment": seen, "log": log.Bytes()} {
		if bytes.Contains(text, []byte("s3cr3t")) {
			t.Errorf("the token is in the %s", where)
		}
	}
	for _, dir := range []string{cache, clone} {
		noFileHas(t, dir, "s3cr3t")
	}
	if got := gittest.Git(t, bare, "tag", "--list"); !slices.Contains(strings.Fields(got), "v1.0.1") {
		t.Errorf("tags = %s, want v1.0.1 among them", got)
	}
}

func noFileHas(t *testing.T, dir, text string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if bytes.Contains(content, []byte(text)) {
			t.Errorf("%s has %q in it", path, text)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// In a job that looks at a repository of another server, that server must not
// learn the job's token.
func TestATokenIsForItsOwnServer(t *testing.T) {
	_, clone, server := served(t)
	o := gitlog.Options{Environ: environ(server), Token: secret.New(token), Host: "gitlab.example"}
	if _, err := open(t, clone, o).History(t.Context(), single); fault.KindOf(err) != fault.Missing {
		t.Errorf("History = %v, want exit 5", err)
	}
	for _, request := range server.Seen() {
		if strings.Contains(request, "gitlab-ci-token") {
			t.Errorf("the server got the token: %s", request)
		}
	}
	o.Host = "127.0.0.1"
	wantVersion(t, open(t, clone, o), "1.0.1")
}

// Without a token of ours the user's own credential helpers are asked.
func TestTheUsersCredentialHelper(t *testing.T) {
	_, clone, server := served(t)
	home := t.TempDir()
	config := "[credential]\n\thelper = store --file=" + filepath.Join(home, "credentials") + "\n"
	stored := strings.Replace(server.URL, "https://", "https://gitlab-ci-token:glcbt-64_s3cr3t%5ct%25s%22%27$HOME@", 1) + "\n"
	for name, text := range map[string]string{".gitconfig": config, "credentials": stored} {
		if err := os.WriteFile(filepath.Join(home, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "GIT_CONFIG_NOSYSTEM=1", "GIT_SSL_CAINFO=" + server.CA}
	wantVersion(t, open(t, clone, gitlog.Options{Environ: env}), "1.0.1")
}

func TestATokenWithALineBreakIsRefused(t *testing.T) {
	_, clone, server := served(t)
	_, err := open(t, clone, gitlog.Options{Environ: environ(server), Token: secret.New("a\nhost=evil")}).History(t.Context(), single)
	if fault.KindOf(err) != fault.Usage {
		t.Errorf("History = %v, want a usage error", err)
	}
}

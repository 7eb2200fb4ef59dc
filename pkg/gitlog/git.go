package gitlog

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/proc"
)

// git is the git command in one repository, with all that could change its
// answers held still.
type git struct {
	dir     string
	env     []string
	userEnv []string   // env with the user's and the system's configuration
	config  []string   // NAME=value, each given with -c
	files   []*os.File // inherited
}

// handedOn are the variables of this process that git may see. Tokens, traces
// and whatever points git at another repository are not among them.
var handedOn = []string{
	"PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TEMP", "TMP", "SystemRoot", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR",
	"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY",
	"SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", "SSH_AUTH_SOCK", "SSH_AGENT_PID",
	"GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "GIT_SSL_NO_VERIFY", "GIT_SSL_CERT", "GIT_SSL_KEY", "GIT_SSL_VERSION",
	"GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT", "GIT_PROXY_COMMAND", "GIT_HTTP_PROXY_AUTHMETHOD",
	"GIT_EXEC_PATH", "GIT_CEILING_DIRECTORIES", "GIT_DISCOVERY_ACROSS_FILESYSTEM",
}

// fixed are the variables that make every answer the same everywhere: no
// locale, no questions, no replaced or grafted commits.
var fixed = []string{
	"LC_ALL=C", "LANGUAGE=", "GIT_TERMINAL_PROMPT=0", "GCM_INTERACTIVE=never", "GIT_OPTIONAL_LOCKS=0",
	"GIT_NO_REPLACE_OBJECTS=1", "GIT_GRAFT_FILE=" + os.DevNull, "GIT_PAGER=cat",
}

// newGit is git for reading: it does not see the user's or the system's configuration.
func newGit(dir, root string, environ []string) git {
	env := append(only(environ, handedOn), fixed...)
	return git{
		dir:     dir,
		env:     append(slices.Clone(env), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull),
		userEnv: append(env, ofUser(environ)...),
		config:  []string{"log.showSignature=false", "core.quotePath=false", "core.fsmonitor=false", "safe.directory=" + root},
	}
}

// ofUser are the variables by which a user configures git for one process.
func ofUser(environ []string) []string {
	var kept []string
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		switch {
		case name == "GIT_CONFIG_GLOBAL", name == "GIT_CONFIG_SYSTEM", name == "GIT_CONFIG_NOSYSTEM", name == "GIT_CONFIG_COUNT",
			strings.HasPrefix(name, "GIT_CONFIG_KEY_"), strings.HasPrefix(name, "GIT_CONFIG_VALUE_"):
			kept = append(kept, entry)
		}
	}
	return kept
}

// withUserConfig is the same git with the user's and the system's
// configuration: for the network, where it names proxies and credential helpers.
func (g git) withUserConfig() git {
	g.env = g.userEnv
	return g
}

// with is the same git with further configuration.
func (g git) with(config ...string) git {
	g.config = append(slices.Clone(g.config), config...)
	return g
}

// output runs git and returns what it wrote to stdout, also next to an error.
func (g git) output(ctx context.Context, args ...string) ([]byte, error) {
	return g.pipe(ctx, nil, args...)
}

// pipe is output with something to read from stdin.
func (g git) pipe(ctx context.Context, stdin io.Reader, args ...string) ([]byte, error) {
	var all []string
	for _, setting := range g.config {
		all = append(all, "-c", setting)
	}
	return proc.Command{Name: "git", Args: append(all, args...), Dir: g.dir, Env: g.env, Stdin: stdin, Files: g.files}.Output(ctx)
}

// only keeps the named variables of an environment.
func only(environ, names []string) []string {
	var kept []string
	for _, name := range names {
		if value, ok := lookup(environ, name); ok {
			kept = append(kept, name+"="+value)
		}
	}
	return kept
}

// lookup finds a variable; of several with one name the last counts.
func lookup(environ []string, name string) (string, bool) {
	for _, entry := range slices.Backward(environ) {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value, true
		}
	}
	return "", false
}

// exitCode is that of a git that ran and failed, else 0.
func exitCode(err error) int {
	if exit := (*proc.ExitError)(nil); errors.As(err, &exit) {
		return exit.Code
	}
	return 0
}

// gitStderr is what git complained of.
func gitStderr(err error) string {
	if exit := (*proc.ExitError)(nil); errors.As(err, &exit) {
		return exit.Stderr
	}
	return ""
}

// readFault classifies an error of a git that only read the local repository.
func readFault(operation string, err error) error {
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return fault.Newf(fault.Missing, "%s: no git command on the PATH: %w", operation, err).
			Hintf("install git 2.30 or newer")
	case exitCode(err) != 0:
		return fault.Newf(fault.Repository, "%s: %w", operation, err).Hintf("check the repository with: git fsck")
	}
	return err
}

package gitlog

import (
	"errors"
	"os/exec"
	"strings"

	"gitlab.com/towline/towline/pkg/fault"
)

// wholeHistory is the hint for a history that cannot be completed.
const wholeHistory = "let the job clone the whole history (GIT_DEPTH: 0), or run: git fetch --unshallow --tags"

func complains(err error, words ...string) bool {
	text := gitStderr(err)
	for _, word := range words {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}

// denied says whether the remote refused the credentials or their rights.
func denied(err error) bool {
	return complains(err, "Authentication failed", "could not read Username", "could not read Password",
		"returned error: 401", "returned error: 403", "Permission denied", "not allowed to", "HTTP Basic: Access denied")
}

// redirected says whether the remote's address leads to another one.
func redirected(err error) bool {
	return complains(err, "returned error: 301", "returned error: 302", "returned error: 303",
		"returned error: 307", "returned error: 308", "unable to update url base from redirection")
}

func unreachable(err error) bool {
	return complains(err, "Could not resolve", "Failed to connect", "Connection refused", "Connection reset",
		"Connection timed out", "Operation timed out", "does not appear to be a git repository", "returned error: 5",
		"SSL certificate", "early EOF", "the remote end hung up", "Could not read from remote repository")
}

// incomplete is the fault of a history that could not be fetched. Whatever the
// cause, the history is what is missing.
func incomplete(from remote, err error) error {
	if errors.Is(err, exec.ErrNotFound) || exitCode(err) == 0 {
		return readFault("complete the history", err)
	}
	f := fault.Newf(fault.Missing, "complete the history from %s: %w", from.url, err)
	switch {
	case redirected(err):
		return f.Hintf("set the remote to the address it leads to now: the token is sent to no other; or %s", wholeHistory)
	case denied(err):
		return f.Hintf("give a token that may read the repository; or %s", wholeHistory)
	}
	return f.Hintf("%s", wholeHistory)
}

func missingHistory(operation string, err error) error {
	if exitCode(err) == 0 {
		return readFault(operation, err)
	}
	return fault.Newf(fault.Missing, "%s: %w", operation, err).Hintf("%s", wholeHistory)
}

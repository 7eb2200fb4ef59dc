package gitlog

import (
	"fmt"
	"net/url"
	"os"
	"strings"

	"gitlab.com/towline/towline/pkg/fault"
)

// helper is the credential helper that git runs for the remote's own host and
// no other. It is fixed text: the credentials come line by line from the pipe
// that git inherits as descriptor 3.
const helper = `!f() { test "$1" = get || exit 0; IFS= read -r user <&3 && IFS= read -r word <&3 || exit 0; ` +
	`printf 'username=%s\npassword=%s\n' "$user" "$word"; }; f`

// asked is how often one git may ask for the credentials.
const asked = 16

// withRemote is git as it talks to the remote: with the user's configuration,
// without hooks, and, where there is a token, with that and nothing else. The
// function it returns ends the handing out of the token.
func (g git) withRemote(to remote) (git, func(), error) {
	g = g.withUserConfig().with("core.hooksPath="+os.DevNull, "core.askPass=", "fetch.recurseSubmodules=false",
		"push.recurseSubmodules=no", "push.followTags=false", "push.gpgSign=false", "push.negotiate=true",
		"fetch.writeCommitGraph=false", "gc.auto=0", "maintenance.auto=false", "protocol.version=2")
	if to.token.Empty() || !to.web() {
		return g, func() {}, nil
	}
	if strings.ContainsAny(to.user+to.token.Reveal(), "\r\n\x00") {
		return g, nil, fault.Newf(fault.Usage, "log in to %s: the token has a line break in it", to.url)
	}
	read, write, err := os.Pipe()
	if err != nil {
		return g, nil, err
	}
	go feed(write, to)
	g.files = []*os.File{read}
	g = g.with("credential.helper=", "credential."+to.host()+".helper="+helper,
		"http.followRedirects=false")
	return g, func() { _ = read.Close() }, nil
}

// feed writes the credentials to the pipe, as often as git may ask, until the
// other end is closed.
func feed(pipe *os.File, to remote) {
	defer func() { _ = pipe.Close() }()
	for range asked {
		if _, err := fmt.Fprintf(pipe, "%s\n%s\n", to.user, to.token.Reveal()); err != nil {
			return
		}
	}
}

// web says whether the remote speaks HTTP.
func (to remote) web() bool {
	return strings.HasPrefix(to.url, "http://") || strings.HasPrefix(to.url, "https://")
}

// host is scheme, host and port of a web address.
func (to remote) host() string {
	u, err := url.Parse(to.url)
	if err != nil {
		return "https://invalid.invalid"
	}
	return u.Scheme + "://" + u.Host
}

// hostname is the server's name alone.
func (to remote) hostname() string {
	u, err := url.Parse(to.url)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

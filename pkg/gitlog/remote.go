package gitlog

import (
	"context"
	"net/url"
	"path/filepath"
	"strings"
	"sync"

	"gitlab.com/towline/towline/pkg/secret"
)

// remote is where the repository was cloned from.
type remote struct {
	url    string // without credentials; "" where there is none
	user   string
	token  secret.Value
	partly bool // it is set up to be fetched without tags, or without lists of files
}

// origin is the remote once it has been read.
type origin struct {
	sync.Mutex
	found *remote
}

// remote is the remote as it is configured, read once.
func (r *Repo) remote(ctx context.Context) (remote, error) {
	r.origin.Lock()
	defer r.origin.Unlock()
	if r.origin.found == nil {
		found, err := r.readRemote(ctx)
		if err != nil {
			return remote{}, err
		}
		r.origin.found = &found
	}
	return *r.origin.found, nil
}

// readRemote reads the remote's configuration. Credentials that stand in its
// address are taken out of it.
func (r *Repo) readRemote(ctx context.Context) (remote, error) {
	out, err := r.git.output(ctx, "config", "-z", "--get-regexp", `^remote\..*\.(url|tagopt|partialclonefilter)$`)
	if err != nil && exitCode(err) != 1 {
		return remote{}, readFault("read the remotes of "+r.root, err)
	}
	var found remote
	address := ""
	for entry := range strings.SplitSeq(string(out), "\x00") {
		key, value, _ := strings.Cut(entry, "\n")
		switch key {
		case "remote." + r.o.Remote + ".url":
			if address == "" {
				address = value
			}
		case "remote." + r.o.Remote + ".tagopt":
			found.partly = found.partly || value == "--no-tags"
		case "remote." + r.o.Remote + ".partialclonefilter":
			found.partly = found.partly || strings.HasPrefix(value, "tree:")
		}
	}
	if r.o.URL != "" {
		address = r.o.URL
	}
	found.url, found.user, found.token = splitCredentials(r.absolute(address))
	if !r.o.Token.Empty() && (r.o.Host == "" || strings.EqualFold(r.o.Host, found.hostname())) {
		found.user, found.token = r.o.User, r.o.Token
	}
	if found.user == "" {
		found.user = "gitlab-ci-token"
	}
	return found, nil
}

// absolute turns a remote that is a relative path into an absolute one.
func (r *Repo) absolute(address string) string {
	if address == "" || strings.Contains(address, ":") || filepath.IsAbs(address) {
		return address
	}
	return filepath.Join(r.root, address)
}

// splitCredentials takes user and password out of a web address. An address
// of another kind stays as it is: a user there is part of it.
func splitCredentials(address string) (string, string, secret.Value) {
	u, err := url.Parse(address)
	if err != nil || u.User == nil || u.Scheme != "http" && u.Scheme != "https" {
		return address, "", secret.Value{}
	}
	password, _ := u.User.Password()
	user := u.User.Username()
	u.User = nil
	return u.String(), user, secret.New(password)
}

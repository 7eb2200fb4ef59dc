package bundle

import (
	"context"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"gitlab.com/towline/towline/pkg/fault"
)

// farewell is how long the cancelling of an upload may take.
const farewell = 10 * time.Second

// probeTag is a tag that no image has.
const probeTag = "towline-doctor"

// MayPull asks a repository, named host/path, for a tag that need not be there.
func (b *Bundler) MayPull(ctx context.Context, repository string) error {
	doing := "pull from " + repository
	to, err := b.repository(repository)
	if err != nil {
		return err
	}
	client, err := b.login(ctx, to, transport.PullScope)
	if err != nil {
		return ended(ctx, doing, registryFault(doing, err))
	}
	resp, err := send(ctx, client, http.MethodGet, address(to, "/manifests/"+probeTag))
	if err != nil {
		return ended(ctx, doing, registryFault(doing, err))
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusNotFound {
		return nil
	}
	return registryFault(doing, transport.CheckError(resp, http.StatusOK))
}

// MayPush begins an upload to a repository, named host/path, and cancels it,
// also after ctx has ended. It is left where the registry does not cancel any:
// those forget uploads that nobody goes on with.
func (b *Bundler) MayPush(ctx context.Context, repository string) (left bool, err error) {
	doing := "push to " + repository
	to, err := b.repository(repository)
	if err != nil {
		return false, err
	}
	client, err := b.login(ctx, to, transport.PushScope)
	if err != nil {
		return false, ended(ctx, doing, registryFault(doing, err))
	}
	resp, err := send(ctx, client, http.MethodPost, address(to, "/blobs/uploads/"))
	if err != nil {
		return false, ended(ctx, doing, registryFault(doing, err))
	}
	defer func() { _ = resp.Body.Close() }()
	if err := transport.CheckError(resp, http.StatusAccepted); err != nil {
		return false, registryFault(doing, err)
	}
	upload, err := resp.Location()
	if err != nil {
		return true, fault.Newf(fault.Remote, "%s: the registry does not say where the upload goes on: %w", doing, err)
	}
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	cancelled, err := send(after, client, http.MethodDelete, upload.String())
	if err != nil {
		return true, nil //nolint:nilerr // the upload could be begun, which was the question
	}
	defer func() { _ = cancelled.Body.Close() }()
	return cancelled.StatusCode/100 != 2, nil
}

// login is a client whose token is good for a repository.
func (b *Bundler) login(ctx context.Context, to name.Repository, scope string) (*http.Client, error) {
	auth, err := authn.Resolve(ctx, keychain{b.o.Credentials}, to)
	if err != nil {
		return nil, err
	}
	t, err := transport.NewWithContext(ctx, to.Registry, auth, b.transport, []string{to.Scope(scope)})
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: t}, nil
}

func address(to name.Repository, path string) string {
	return to.Scheme() + "://" + to.RegistryStr() + "/v2/" + to.RepositoryStr() + path
}

func send(ctx context.Context, client *http.Client, method, address string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "*/*")
	return client.Do(req)
}

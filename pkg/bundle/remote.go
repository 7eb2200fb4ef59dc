package bundle

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/wire"
)

// A request is sent so often at most, and a blob is begun so often.
const (
	retries      = 4
	blobAttempts = 4
)

// patience is the longest wait that a registry may ask for.
const patience = 2 * time.Minute

// remote are the options of every conversation with a registry.
func (b *Bundler) remote(ctx context.Context) []remote.Option {
	return []remote.Option{
		remote.WithContext(ctx),
		remote.WithTransport(b.transport),
		remote.WithAuthFromKeychain(keychain{b.o.Credentials}),
		remote.WithUserAgent("towline"),
		remote.WithRetryBackoff(remote.Backoff{Duration: b.o.Backoff, Factor: 3, Jitter: 0.1, Steps: blobAttempts}),
		remote.WithRetryPredicate(passing),
		remote.WithRetryStatusCodes(), // the transport sends requests again; the library begins blobs again
	}
}

// passing says whether an upload that broke off is begun again. A refused token
// is among the reasons: uploads share one, which may expire for all of them at
// once. Whoever has no login at all is turned away before the first upload.
func passing(err error) bool {
	var answer *transport.Error
	if errors.As(err, &answer) && answer.StatusCode == http.StatusUnauthorized {
		return true
	}
	var temporary interface{ Temporary() bool }
	if errors.As(err, &temporary) && temporary.Temporary() && !errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	for _, broken := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.EPIPE, syscall.ECONNRESET, net.ErrClosed} {
		if errors.Is(err, broken) {
			return true
		}
	}
	return false
}

// newTransport speaks HTTP/1.1: uploads over one HTTP/2 connection block each other.
func (b *Bundler) newTransport() http.RoundTripper {
	dialer := &net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}
	inner := &http.Transport{
		Proxy: func(r *http.Request) (*url.URL, error) {
			if b.plain(r.URL.Hostname()) {
				return nil, nil
			}
			return http.ProxyFromEnvironment(r)
		},
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, b.address(address))
		},
		TLSHandshakeTimeout:   15 * time.Second,
		ExpectContinueTimeout: time.Second,
		MaxIdleConnsPerHost:   8,
		WriteBufferSize:       256 << 10, // uploads are what there is most of
		IdleConnTimeout:       90 * time.Second,
	}
	patient := wire.Transport(wire.Options{
		Base: inner, Attempts: retries, MinWait: b.o.Backoff, MaxWait: 30 * b.o.Backoff, RetryAfter: patience,
	})
	return plainTransport{inner: patient, plain: b.plain}
}

// mapped says whether a registry's host, with or without port, has an address of its own in Dial.
func (b *Bundler) mapped(registry string) bool {
	host, _, err := net.SplitHostPort(registry)
	if err != nil {
		host = registry
	}
	return b.o.Dial[registry] != "" || b.o.Dial[host] != ""
}

// plain says whether a host is spoken to without TLS.
func (b *Bundler) plain(host string) bool {
	ip := net.ParseIP(host)
	return b.o.Dial[host] != "" || host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}

// address is what is dialled for host:port. Names below localhost need no resolver.
func (b *Bundler) address(hostPort string) string {
	host, port, err := net.SplitHostPort(hostPort)
	switch {
	case err != nil:
		return hostPort
	case b.o.Dial[hostPort] != "":
		return b.o.Dial[hostPort]
	case b.o.Dial[host] != "":
		return b.o.Dial[host]
	case strings.HasSuffix(host, ".localhost"):
		return net.JoinHostPort("localhost", port)
	}
	return hostPort
}

// plainTransport answers at once when the library tries TLS first on a host that has none.
type plainTransport struct {
	inner http.RoundTripper
	plain func(host string) bool
}

func (t plainTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme == "https" && t.plain(r.URL.Hostname()) {
		return nil, errors.New(r.URL.Host + " " + notTLS)
	}
	return t.inner.RoundTrip(r)
}

// keychain asks the hall first, and then the files of Docker and Podman.
type keychain struct {
	ask func(context.Context, string) (Login, error)
}

func (k keychain) Resolve(to authn.Resource) (authn.Authenticator, error) {
	return authn.DefaultKeychain.Resolve(to)
}

func (k keychain) ResolveContext(ctx context.Context, to authn.Resource) (authn.Authenticator, error) {
	if k.ask != nil {
		host := to.RegistryStr()
		first, err := k.ask(ctx, host)
		if err != nil {
			return nil, err
		}
		if first != (Login{}) {
			return renewing{ask: k.ask, host: host, ctx: ctx}, nil
		}
	}
	return authn.Resolve(ctx, authn.DefaultKeychain, to)
}

// renewing asks for the login at every request, since one may expire during a long push.
type renewing struct {
	ask  func(context.Context, string) (Login, error)
	host string
	ctx  context.Context //nolint:containedctx // the library's older method has none
}

func (r renewing) Authorization() (*authn.AuthConfig, error) { return r.AuthorizationContext(r.ctx) }

func (r renewing) AuthorizationContext(ctx context.Context) (*authn.AuthConfig, error) {
	login, err := r.ask(ctx, r.host)
	if err != nil {
		return nil, err
	}
	return &authn.AuthConfig{Username: login.User, Password: login.Password.Reveal()}, nil
}

// registryFault classifies an error of a conversation with a registry.
func registryFault(op string, err error) error {
	var known *fault.Error
	var answer *transport.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.As(err, &answer):
		return answerFault(op, err, answer)
	}
	return fault.Newf(fault.Remote, "%s: %w", op, inPlain{err}).
		Hintf("check the registry's name, and that it is up and can be reached; then try again")
}

// inPlain is an error without what the library says of a TLS that it was not to try.
type inPlain struct{ error }

func (e inPlain) Unwrap() error { return e.error }
func (e inPlain) Error() string {
	text := e.error.Error()
	if _, rest, found := strings.Cut(text, notTLS+"; "); found {
		return rest
	}
	return text
}

// notTLS ends the answer of plainTransport.
const notTLS = "is spoken to in plain HTTP"

func answerFault(op string, err error, answer *transport.Error) error {
	switch {
	case refusesTag(answer):
		return fault.Newf(fault.Conflict, "%s: %w", op, err).
			Hintf("the tag belongs to another image and cannot be moved: choose another version")
	case has(answer, transport.NameUnknownErrorCode):
		return fault.Newf(fault.Missing, "%s: %w", op, err).Hintf("create the repository in the registry first")
	case has(answer, transport.DigestInvalidErrorCode):
		return fault.Newf(fault.Conflict, "%s: %w", op, err).
			Hintf("a file was changed after it was packaged: run towline package again")
	case answer.StatusCode == http.StatusUnauthorized, answer.StatusCode == http.StatusForbidden,
		has(answer, transport.UnauthorizedErrorCode), has(answer, transport.DeniedErrorCode):
		return fault.Newf(fault.Denied, "%s: %w", op, err).
			Hintf("log in to the registry, and check that the account may read and write the repository")
	case has(answer, transport.ManifestBlobUnknownErrorCode), has(answer, transport.BlobUnknownErrorCode):
		return fault.Newf(fault.Remote, "%s: %w", op, err).Hintf("the registry has lost what it was sent: try again")
	case answer.StatusCode == http.StatusNotFound:
		return fault.Newf(fault.Missing, "%s: %w", op, err).Hintf("check the image's name; create its repository first if there is none")
	case answer.StatusCode == http.StatusTooManyRequests:
		return fault.Newf(fault.Remote, "%s: %w", op, err).Hintf("the registry limits its clients: try again in a minute")
	}
	return fault.Newf(fault.Remote, "%s: %w", op, err).Hintf("try again; what has arrived is not sent twice")
}

func has(answer *transport.Error, code transport.ErrorCode) bool {
	for _, d := range answer.Errors {
		if d.Code == code {
			return true
		}
	}
	return false
}

// refusesTag knows the two ways in which ECR says that a tag is immutable.
func refusesTag(answer *transport.Error) bool {
	for _, d := range answer.Errors {
		if d.Code == transport.TagInvalidErrorCode || strings.Contains(d.Message, "immutable") {
			return true
		}
	}
	return false
}

// maxDocument is the most that is read of a manifest or configuration, in bytes.
const maxDocument = 8 << 20

// readLayer reads a small blob whole.
func readLayer(layer v1.Layer) ([]byte, error) {
	content, err := layer.Compressed()
	if err != nil {
		return nil, err
	}
	defer func() { _ = content.Close() }()
	return io.ReadAll(io.LimitReader(content, maxDocument))
}

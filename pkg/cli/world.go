package cli

import (
	"context"
	"net/url"
	"runtime/debug"
	"sync"
	"time"

	"gitlab.com/towline/towline/pkg/bundle"
	"gitlab.com/towline/towline/pkg/cloud"
	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/localcloud"
	"gitlab.com/towline/towline/pkg/localcloud/runtime"
	"gitlab.com/towline/towline/pkg/secret"
	"gitlab.com/towline/towline/pkg/workspace"
)

// world is the target that a command talks to.
type world struct {
	cloud   *cloud.Cloud
	bundler *bundle.Bundler
	signer  bundle.Signer // signs evidence; nil for no signature
	started bool          // a local cloud lives in this process, and ends with it
	close   func()
}

// connect reaches the target: AWS, the local cloud that runs already, or one
// that is started in this process and stopped by close.
func (a *app) connect(ctx context.Context, d destination, ws *workspace.Workspace, t *teller) (*world, error) {
	debug.SetGCPercent(gcAtWork)
	if !d.local {
		return a.connectAWS(ctx, d, t)
	}
	if w, err := a.joinLocal(ctx, ws, t); w != nil || err != nil {
		return w, err
	}
	lc, err := a.startLocal(ctx, ws, "127.0.0.1:0")
	if fault.KindOf(err) == fault.Conflict {
		if w, err := a.joinLocal(ctx, ws, t); w != nil || err != nil {
			return w, err // another command was faster
		}
	}
	if err != nil {
		return nil, err
	}
	stop := func() { closeLocal(ctx, lc) }
	w, err := a.connectLocal(ctx, lc.URL(), t, stop)
	if err != nil {
		stop()
		return nil, err
	}
	w.started = true
	return w, nil
}

// closeLocal stops a local cloud, also after the command was interrupted.
func closeLocal(ctx context.Context, lc *localcloud.Cloud) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	_ = lc.Close(ctx)
}

// startLocal starts the embedded cloud in this process.
func (a *app) startLocal(ctx context.Context, ws *workspace.Workspace, listen string) (*localcloud.Cloud, error) {
	if err := ws.Create(); err != nil {
		return nil, err
	}
	cache, err := a.cache()
	if err != nil {
		return nil, err
	}
	kind := or(a.getenv(localRuntime), runtime.KindProcess)
	programs, err := runtime.Open(ctx, kind, a.runtimeOptions(cache))
	if err != nil {
		return nil, err
	}
	puller, err := a.newBundler(a.teller(), nil)
	if err != nil {
		return nil, err
	}
	return localcloud.Start(context.WithoutCancel(ctx), localcloud.Options{
		Dir: ws.Local(), Listen: listen, Runtime: programs, RuntimeKind: kind, Pull: puller.Open,
		Trust: a.getenv(localTrust), Log: a.log(), Now: a.now, Version: a.version,
	})
}

// localTrust names the variable that says whom the roles of the local cloud trust.
const localTrust = "TOWLINE_LOCAL_TRUST"

// localRuntime names the variable that says what the local cloud runs images with.
const localRuntime = "TOWLINE_LOCAL_RUNTIME"

func (a *app) runtimeOptions(cache string) runtime.ProcessOptions {
	return runtime.ProcessOptions{Cache: cache, Environ: a.environ, Sandbox: a.sandbox(), Log: a.log()}
}

// containable refuses to build an image without a base for a local cloud that
// runs containers: there would be no Python in them.
func (a *app) containable(d destination, ws *workspace.Workspace) error {
	kind := a.getenv(localRuntime)
	if running, ok := localcloud.Find(ws.Local()); ok {
		kind = running.Runtime
	}
	if !d.local || d.localBase != "" || kind == "" || kind == runtime.KindProcess {
		return nil
	}
	return fault.Newf(fault.Usage, "target local: its runtime is %s, and in a container there is only what the image holds: without a base image, no Python", kind).
		Hintf("pass --base or set TOWLINE_LOCAL_BASE to an image that holds Python, or use the runtime process")
}

// sandbox is how the local cloud keeps a model's code apart: auto, bwrap or none.
func (a *app) sandbox() string {
	if s := a.getenv("TOWLINE_SANDBOX"); s != "" {
		return s
	}
	return "auto"
}

func (a *app) connectLocal(ctx context.Context, address string, t *teller, stop func()) (*world, error) {
	c, err := cloud.New(ctx, cloud.Config{
		Region: localcloud.Region, Endpoint: address,
		AccessKey: "towline", Secret: secret.New("local"),
		Log: t.line, Poll: 100 * time.Millisecond, Now: a.now,
	})
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, fault.Newf(fault.Bug, "address of the local cloud: %w", err)
	}
	b, err := a.newBundler(t, map[string]string{localcloud.Registry: u.Host})
	if err != nil {
		return nil, err
	}
	return &world{cloud: c, bundler: b, close: stop}, nil
}

func (a *app) connectAWS(ctx context.Context, d destination, t *teller) (*world, error) {
	poll, err := a.poll()
	if err != nil {
		return nil, err
	}
	c, err := cloud.New(ctx, a.signIn(d, cloud.Config{
		Region: d.Region, S3Endpoint: d.Endpoint, Log: t.line, Poll: poll, Now: a.now,
	}))
	if err != nil {
		return nil, err
	}
	o, err := a.bundlerOptions(t, nil, registryLogin(c, a.now))
	if err != nil {
		return nil, err
	}
	o.Create = c.CreateRepository
	return &world{cloud: c, bundler: bundle.New(o), close: func() {}}, nil
}

// pollName names the variable that says how often AWS is asked for news.
const pollName = "TOWLINE_POLL"

// shortestPoll is what the local cloud bears; AWS throttles earlier.
const shortestPoll = 100 * time.Millisecond

// poll is the time between two looks at a training or an endpoint; 0 for the usual one.
func (a *app) poll() (time.Duration, error) {
	text := a.getenv(pollName)
	if text == "" {
		return 0, nil
	}
	poll, err := time.ParseDuration(text)
	if err != nil || poll < shortestPoll {
		return 0, fault.Newf(fault.Usage, "%s=%s: wanted a duration of at least %s", pollName, text, shortestPoll).
			Hintf("set it to 30s or 1m, or leave it out for 20s")
	}
	return poll, nil
}

func (a *app) newBundler(t *teller, dial map[string]string) (*bundle.Bundler, error) {
	o, err := a.bundlerOptions(t, dial, nil)
	if err != nil {
		return nil, err
	}
	return bundle.New(o), nil
}

func (a *app) bundlerOptions(t *teller, dial map[string]string, login credentials) (bundle.Options, error) {
	cache, err := a.cache()
	if err != nil {
		return bundle.Options{}, err
	}
	size, err := a.cacheSize()
	return bundle.Options{
		Cache: cache, CacheSize: size, Environ: a.environ, Dial: dial, Credentials: a.jobLogin(login),
		Log: t.detailLine, Progress: t.progress, Version: a.version,
	}, err
}

// credentials give a fresh login for a registry.
type credentials = func(ctx context.Context, host string) (bundle.Login, error)

// loginLife is how long a login of ECR is used: half of what it is good for.
const loginLife = 6 * time.Hour

// registryLogin asks AWS for logins of its own registries, and again when one
// grows old; for others it leaves the question open.
func registryLogin(c *cloud.Cloud, now func() time.Time) credentials {
	type given struct {
		bundle.Login
		at time.Time
	}
	var mu sync.Mutex
	logins := map[string]given{}
	return func(ctx context.Context, host string) (bundle.Login, error) {
		if !cloud.IsECR(host) {
			return bundle.Login{}, nil
		}
		mu.Lock()
		defer mu.Unlock()
		if known, ok := logins[host]; ok && now().Sub(known.at) < loginLife {
			return known.Login, nil
		}
		user, password, err := c.RegistryToken(ctx, host)
		if err != nil {
			return bundle.Login{}, err
		}
		login := bundle.Login{User: user, Password: password}
		logins[host] = given{login, now()}
		return login, nil
	}
}

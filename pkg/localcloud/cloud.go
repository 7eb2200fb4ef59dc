// Package localcloud is a cloud on one machine: S3, an image registry, STS,
// CloudWatch Logs and SageMaker as HTTP on one loopback port.
//
// In come requests of any AWS client and of any registry client; out go their
// answers, jobs that really train and endpoints that really serve. Its state
// lies in one folder and survives a restart, a killed process too. It listens
// on loopback only, reads no environment, and knows nothing of Towline.
package localcloud

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/gofrs/flock"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/localcloud/logs"
	"gitlab.com/towline/towline/pkg/localcloud/objects"
	"gitlab.com/towline/towline/pkg/localcloud/registry"
	"gitlab.com/towline/towline/pkg/localcloud/runtime"
	"gitlab.com/towline/towline/pkg/localcloud/sagemaker"
	"gitlab.com/towline/towline/pkg/localcloud/store"
	"gitlab.com/towline/towline/pkg/localcloud/sts"
)

// What every local cloud is called.
const (
	Registry = "registry.towline.localhost" // the registry's host name, whatever its port
	Bucket   = "towline-local"              // made with the cloud
	Account  = "000000000000"
	Region   = "us-east-1"
	Role     = "arn:aws:iam::" + Account + ":role/towline-local"
)

// Options say where a cloud lives and what it runs images with.
type Options struct {
	Dir     string // of the state: .towline/local
	Listen  string // host:port of this machine; 127.0.0.1 and any port if empty
	Runtime runtime.Runtime
	// RuntimeKind is what Runtime is called, for those who find the cloud.
	RuntimeKind string
	// Trust is a file that says which roles there are and whom they trust; with
	// "" there are none to assume.
	Trust string
	// Pull asks another registry of this machine for an image; with nil there is
	// only the cloud's own.
	Pull      func(ctx context.Context, ref, platform string) (v1.Image, error)
	Log       *slog.Logger
	Now       func() time.Time
	Version   string
	StopGrace time.Duration // between SIGTERM and SIGKILL of a training job; 120 s if zero
	Startup   time.Duration // shortens the time in which a server must answer /ping, if not zero
}

// Cloud is a cloud that runs in this process.
type Cloud struct {
	dir       string
	url       string
	log       *slog.Logger
	lock      *flock.Flock
	server    *http.Server
	objects   *objects.Store
	sagemaker *sagemaker.Service
	sts       *sts.Service
	end       context.CancelFunc // of what is still being pulled
	closed    sync.Once
}

// The files of the folder that say who has it.
const (
	lockFile  = "lock"
	stateFile = "cloud.json"
)

// closingTime is how long requests in flight may take when the cloud is
// stopped. Clients keep connections that they never use.
const closingTime = time.Second

// Start takes the folder, reads its state, and listens. A cloud that has the
// folder already, or a port that is in use, is a fault.Conflict. The context
// ends only the start: the cloud runs until Close.
func Start(ctx context.Context, o Options) (*Cloud, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	c := &Cloud{dir: o.Dir, log: o.Log}
	if err := c.takeLock(ctx); err != nil {
		return nil, err
	}
	if err := c.open(ctx, o); err != nil {
		return nil, errors.Join(err, c.release(context.WithoutCancel(ctx)))
	}
	return c, nil
}

func (o Options) complete() (Options, error) {
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	host, _, err := net.SplitHostPort(o.Listen)
	if err != nil {
		return o, fault.Newf(fault.Usage, "local cloud: listen address %q: %w", o.Listen, err).Hintf("give it as 127.0.0.1:PORT")
	}
	if !loopback(host) {
		return o, fault.Newf(fault.Usage, "local cloud: listen address %q is not of this machine alone", o.Listen).
			Hintf("listen on 127.0.0.1: whoever reaches the local cloud can run programs")
	}
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return o, fault.Newf(fault.Usage, "local cloud: folder %s: %w", o.Dir, err)
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return o, diskFault("make its folder", err)
	}
	return o, nil
}

// lockPatience is how long a cloud that is starting or stopping may hold the
// folder before another one gives up.
const lockPatience = 10 * time.Second

func (c *Cloud) takeLock(ctx context.Context) error {
	lock := flock.New(filepath.Join(c.dir, lockFile))
	for deadline := time.Now().Add(lockPatience); ; {
		taken, err := lock.TryLock()
		if err != nil {
			return diskFault("lock its folder", err)
		}
		if taken {
			c.lock = lock
			return nil
		}
		if _, running := Find(c.dir); running || time.Now().After(deadline) {
			return fault.Newf(fault.Conflict, "local cloud: one runs already in %s", c.dir).Hintf("stop it with: towline local down")
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// open brings up the services, and the port last: who reaches the cloud
// reaches all of it.
func (c *Cloud) open(ctx context.Context, o Options) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.Listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fault.Newf(fault.Conflict, "local cloud: listen on %s: the port is in use", o.Listen).
			Hintf("choose another port with --port, or stop the program that listens on it")
	}
	if err != nil {
		return fault.Newf(fault.Usage, "local cloud: listen on %s: %w", o.Listen, err).Hintf("choose another port with --port")
	}
	c.url = "http://" + listener.Addr().String()
	handler, err := c.services(ctx, o)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	c.server = &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug)}
	go func() { _ = c.server.Serve(listener) }() // it ends with the server
	running := Running{URL: c.url, PID: os.Getpid(), Address: listener.Addr().String(), Started: o.Now().UTC(), Version: o.Version, Runtime: o.RuntimeKind}
	if err := store.Write(filepath.Join(c.dir, stateFile), running); err != nil {
		return diskFault("write "+stateFile, err)
	}
	return nil
}

func (c *Cloud) services(ctx context.Context, o Options) (http.Handler, error) {
	var err error
	if c.objects, err = objects.Open(filepath.Join(o.Dir, "s3"), o.Now); err != nil {
		return nil, diskFault("read its buckets", err)
	}
	if err := c.objects.MakeBucket(Bucket); err != nil {
		return nil, diskFault("make bucket "+Bucket, err)
	}
	images, err := registry.Open(filepath.Join(o.Dir, "registry"))
	if err != nil {
		return nil, diskFault("read its images", err)
	}
	trust, err := sts.LoadTrust(o.Trust, Account)
	if err != nil {
		return nil, err
	}
	if c.sts, err = sts.New(sts.Options{Dir: filepath.Join(o.Dir, "sts"), Account: Account, Trust: trust, Now: o.Now}); err != nil {
		return nil, diskFault("read its sessions", err)
	}
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	c.end = end
	found := resolver{images, o.Pull}
	streams := logs.New(filepath.Join(o.Dir, "logs"), o.Now)
	c.sagemaker, err = sagemaker.New(ctx, sagemaker.Options{
		Dir: filepath.Join(o.Dir, "sagemaker"), Region: Region, Account: Account,
		Objects: c.objects, Logs: streams, Image: func(ref string) (v1.Image, error) { return found.image(life, ref) }, Runtime: o.Runtime, Log: o.Log, Now: o.Now,
		StopGrace: o.StopGrace, Startup: o.Startup,
	})
	if err != nil {
		return nil, diskFault("read its jobs and endpoints", err)
	}
	return c.mux(images, streams), nil
}

// URL is where the cloud listens: http://127.0.0.1:PORT.
func (c *Cloud) URL() string { return c.url }

// Close stops the servers, the jobs and the port, and keeps the state. Jobs
// fail; endpoints come back with the next start. ctx limits how long it waits.
// Closing again does nothing: the folder may be another cloud's by then.
func (c *Cloud) Close(ctx context.Context) (err error) {
	c.closed.Do(func() { err = c.release(ctx) })
	return err
}

// release gives back what was taken so far, in reverse. The cloud can be found
// until its jobs and servers have ended: whoever finds none finds nothing of it running.
func (c *Cloud) release(ctx context.Context) error {
	var errs []error
	if c.sagemaker != nil {
		errs = append(errs, c.sagemaker.Close(ctx))
	}
	if c.end != nil {
		c.end()
	}
	if c.server != nil {
		ctx, cancel := context.WithTimeout(ctx, closingTime)
		if err := c.server.Shutdown(ctx); err != nil {
			errs = append(errs, c.server.Close())
		}
		cancel()
	}
	if c.objects != nil {
		errs = append(errs, c.objects.Close())
	}
	if err := os.Remove(filepath.Join(c.dir, stateFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		errs = append(errs, err)
	}
	errs = append(errs, c.lock.Unlock())
	if err := errors.Join(errs...); err != nil {
		return fault.Newf(fault.Remote, "stop the local cloud: %w", err)
	}
	return nil
}

// Running is a cloud that was found, or that says so of itself.
type Running struct {
	URL     string    `json:"url"`
	PID     int       `json:"pid"`
	Address string    `json:"address"` // host:port
	Started time.Time `json:"started"`
	Version string    `json:"version"`
	Runtime string    `json:"runtime,omitempty"` // kind of what runs its images
}

// health is what a cloud answers when it is asked who it is.
type health struct {
	PID int    `json:"pid"`
	Dir string `json:"dir"`
}

// findTimeout is how long a cloud may take to say that it is there.
const findTimeout = 2 * time.Second

// Find gives the cloud that runs in a folder, if one does: a file that a
// killed process left behind is ignored.
func Find(dir string) (Running, bool) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Running{}, false
	}
	var running Running
	if err := store.Read(filepath.Join(dir, stateFile), &running); err != nil {
		return Running{}, false
	}
	client := &http.Client{Timeout: findTimeout, Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}}
	resp, err := client.Get(running.URL + healthPath)
	if err != nil {
		return Running{}, false
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	var h health
	if err := json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&h); err != nil {
		return Running{}, false
	}
	return running, h.PID == running.PID && sameFolder(h.Dir, dir)
}

func sameFolder(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}

// diskFault says whose move it is when the folder cannot be used.
func diskFault(what string, err error) error {
	f := fault.Newf(fault.Remote, "local cloud: %s: %w", what, err)
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return fault.Newf(fault.Remote, "local cloud: %s: %w", what, syscall.ENOSPC).
			Hintf("the disk is full: make room, then run the command again")
	case errors.Is(err, os.ErrPermission):
		return fault.Newf(fault.Denied, "local cloud: %s: %w", what, err).Hintf("make the folder writable")
	}
	return f.Hintf("look at the file it names; without the folder the local cloud starts empty")
}

// Package bundle packs a Python model repository as an image, and publishes it.
//
// In come typed actions: which folders, which base, which platform, where to.
// Out go an OCI layout on disk that holds one image (a Docker schema 2 manifest
// with gzip layers, which is what SageMaker's endpoints accept), and that image
// in a registry. It is the only room that knows images.
//
// It needs no daemon and no root, never unpacks or downloads a base image, and
// never lets a time, a user, a umask or the order of a folder into a layer: the
// same files give the same bytes.
//
// Inside the image:
//
//	/opt/program          the model's folder, and the shared folders under their own paths
//	/opt/towline/lib      the dependencies, a site-packages folder; console scripts in its bin/
//	/opt/towline/bin      the entries train and serve, of a model that is trained
//	/opt/towline/entry.json  what the entries run
//	/opt/towline/home     the home of the image's user, if it has one
//
// The repository's `models/a` becomes /opt/program itself, and its shared
// folder `libs/features` becomes /opt/program/libs/features.
package bundle

import (
	"context"
	"net/http"
	"runtime"
	"sync"
	"time"

	"gitlab.com/towline/towline/pkg/plan"
	"gitlab.com/towline/towline/pkg/secret"
)

// LayoutVersion names the arrangement of files inside the image. It is part of
// a model's identity and of the key of its dependency layers.
const LayoutVersion = "3"

// Options are what a Bundler is given by the hall. The zero value of each but
// Cache and Environ is useful.
type Options struct {
	Cache     string   // folder of dependency layers, kept from run to run
	CacheSize int64    // most bytes of dependency layers in it; 0 for no limit
	Environ   []string // NAME=value: the environment of uv, pip and Python, and where they are looked for
	Host      string   // system/processor of this machine; that of the program if ""
	// Dial maps a registry's host name to the address that is dialled instead,
	// over plain HTTP: "registry.towline.localhost" → "127.0.0.1:4566".
	Dial map[string]string
	// Credentials gives a fresh login for a registry's host. Without it, or
	// where it returns a zero Login, Docker's and Podman's files are asked.
	Credentials func(ctx context.Context, host string) (Login, error)
	// Create makes a repository that a push did not find. Without it the push fails.
	Create   func(ctx context.Context, repository string, settings plan.NewRepository) error
	Version  string                  // Towline's, named in evidence
	Log      func(line string)       // what installers say; one line at a time
	Progress func(done, total int64) // bytes of a push; may be called from several goroutines, one at a time
	Backoff  time.Duration           // pause before the first retry of a request; 1 s if zero
}

// Login is a user name and a password for a registry.
type Login struct {
	User     string
	Password secret.Value
}

// Bundler packages and pushes.
type Bundler struct {
	o         Options
	transport http.RoundTripper

	mu       sync.Mutex
	underway map[string]*ahead // by repository
	used     map[string]bool   // keys of cached layers that this run has to do with
	chores   chores
}

// New makes a Bundler.
func New(o Options) *Bundler {
	if o.Log == nil {
		o.Log = func(string) {}
	}
	if o.Progress == nil {
		o.Progress = func(int64, int64) {}
	}
	if o.Backoff == 0 {
		o.Backoff = time.Second
	}
	if o.Host == "" {
		o.Host = runtime.GOOS + "/" + runtime.GOARCH
	}
	var mu sync.Mutex
	log := o.Log
	o.Log = func(line string) {
		mu.Lock()
		defer mu.Unlock()
		log(line)
	}
	b := &Bundler{o: o, underway: map[string]*ahead{}, used: map[string]bool{}}
	b.transport = b.newTransport()
	return b
}

// Package runtime runs images for the local cloud.
//
// In come an image, the program of it to run, the folder that stands for
// /opt/ml, and variables; out come a task to wait for or to stop, and its log.
// The interface Runtime is the seam: Process runs programs as processes of this
// host, Runc in containers that it makes itself, Engine in those of Docker or Podman.
// It never pulls an image, never reads the environment, and never makes
// anything of what a program wrote.
package runtime

import (
	"context"
	"io"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Runtime runs the programs of an image: as processes of this host, or in
// containers of one kind or another.
type Runtime interface {
	// Run starts a program of the image and returns as soon as it runs.
	Run(context.Context, Spec) (Task, error)
}

// Spec is a program of an image with the container contract of SageMaker.
type Spec struct {
	Name  string            // of the job or server, for messages
	Image v1.Image          // its layers are unpacked once per digest
	Args  []string          // what follows `docker run IMAGE`: train, or serve
	Entry []string          // the entrypoint, in place of the image's own; nil: that of the image
	OptML string            // host folder that the program sees as /opt/ml
	Env   map[string]string // what the service sets; the image's own variables lie below it
	Log   io.Writer         // stdout and stderr
}

// Task is a program that was started.
type Task interface {
	PID() int // process group on this host, so that a later cloud can find what an earlier one left; 0 if there is none
	Done() <-chan struct{}
	// Wait waits for the end. The code is what the program returned (128 plus
	// the signal's number if one ended it); err is a failure of the runtime's own.
	Wait() (code int, err error)
	// Stop sends SIGTERM, waits for at most grace, and sends SIGKILL.
	Stop(grace time.Duration)
}

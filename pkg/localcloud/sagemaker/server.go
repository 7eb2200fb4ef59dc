package sagemaker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"gitlab.com/towline/towline/pkg/localcloud/runtime"
)

// server is the program that serves one variant. It is started again when it
// ends by itself.
type server struct {
	s        *Service
	endpoint string
	v        variant
	dir      string // what the program sees as /opt/ml

	first chan struct{} // closed when it has answered /ping once
	ended chan struct{} // closed when it will not run again

	mu      sync.Mutex
	port    int           // 0 while it does not answer
	changed chan struct{} // closed and replaced when port changes
	reason  string
}

func newServer(s *Service, endpoint string, v variant, dir string) *server {
	return &server{
		s: s, endpoint: endpoint, v: v, dir: filepath.Join(dir, v.Name, "ml"),
		first: make(chan struct{}), ended: make(chan struct{}), changed: make(chan struct{}),
	}
}

const (
	defaultStartup = 8 * time.Minute
	pingTimeout    = 2 * time.Second
	pingInterval   = 50 * time.Millisecond
	firstTries     = 3 // of a server that ends before it has ever answered
	shortBackoff   = 200 * time.Millisecond
	longBackoff    = 10 * time.Second
	goodRun        = time.Minute // after which a crash is a new one
)

func (v *server) startup() time.Duration {
	limit := defaultStartup
	if v.v.Startup > 0 {
		limit = time.Duration(v.v.Startup) * time.Second
	}
	if v.s.o.Startup > 0 {
		limit = min(limit, v.s.o.Startup)
	}
	return limit
}

// run keeps the server running until ctx ends, or until it is clear that it
// never answers.
func (v *server) run(ctx context.Context) {
	defer close(v.ended)
	log, err := v.s.o.Logs.Stream("/aws/sagemaker/Endpoints/"+v.endpoint, fmt.Sprintf("%s/i-%d", v.v.Name, v.s.o.Now().UnixMilli()))
	if err != nil {
		v.fail(err)
		return
	}
	defer func() { _ = log.Close() }() // what could be written is written
	if err := v.prepare(ctx); err != nil {
		v.fail(err)
		return
	}
	backoff := shortBackoff
	deadline := time.Now().Add(v.startup())
	for try := 1; ; try++ {
		began := time.Now()
		err := v.once(ctx, log, deadline)
		if ctx.Err() != nil {
			return
		}
		if !v.answered() && (try == firstTries || !errors.As(err, new(exited))) {
			v.fail(err)
			return
		}
		if v.answered() {
			v.s.o.Log.Warn("a server ended and is started again", "endpoint", v.endpoint, "variant", v.v.Name, "cause", err)
			deadline = time.Now().Add(v.startup() + longBackoff)
		}
		if time.Since(began) > goodRun {
			backoff = shortBackoff
		}
		if !sleep(ctx, backoff) {
			return
		}
		backoff = min(2*backoff, longBackoff)
	}
}

// exited is a server that ended by itself.
type exited int

func (e exited) Error() string { return fmt.Sprintf("the server ended with exit code %d", int(e)) }

var errNoPing = errors.New("it did not answer GET /ping with 200 in time")

// once runs the program until it ends, and says why.
func (v *server) once(ctx context.Context, log io.Writer, deadline time.Time) error {
	image, err := v.s.o.Image(v.v.Image)
	if err != nil {
		return err
	}
	port, release, err := v.s.freePort()
	if err != nil {
		return err
	}
	defer release()
	env := map[string]string{}
	for name, value := range v.v.Environment {
		env[name] = value
	}
	env["SAGEMAKER_BIND_TO_PORT"] = strconv.Itoa(port)
	task, forget, err := v.s.start(ctx, runtime.Spec{
		Name: v.endpoint + "/" + v.v.Name, Image: image, Args: []string{"serve"}, OptML: v.dir, Env: env, Log: log,
	})
	if err != nil {
		return err
	}
	defer forget()
	if err := v.await(ctx, task, port, deadline); err != nil {
		task.Stop(v.grace())
		return err
	}
	v.setPort(port)
	defer v.setPort(0)
	select {
	case <-task.Done():
		return endOf(task)
	case <-ctx.Done():
		task.Stop(v.grace())
		return context.Cause(ctx)
	}
}

func (v *server) grace() time.Duration {
	if v.s.ctx.Err() != nil {
		return closingGrace
	}
	return serverGrace
}

func endOf(task runtime.Task) error {
	code, err := task.Wait()
	if err != nil {
		return err
	}
	return exited(code)
}

// await pings the server until it answers with 200.
func (v *server) await(ctx context.Context, task runtime.Task, port int, deadline time.Time) error {
	for {
		if v.ping(ctx, port) {
			return nil
		}
		timer := time.NewTimer(pingInterval)
		select {
		case <-timer.C:
		case <-task.Done():
			timer.Stop()
			return endOf(task)
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
		if time.Now().After(deadline) {
			return errNoPing
		}
	}
}

func (v *server) ping(ctx context.Context, port int) bool {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address(port)+"/ping", nil)
	if err != nil {
		return false
	}
	resp, err := v.s.client.Do(req)
	if err != nil {
		return false
	}
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // so that the connection can be used again
	return resp.Body.Close() == nil && resp.StatusCode == http.StatusOK
}

func address(port int) string { return "http://127.0.0.1:" + strconv.Itoa(port) }

// setPort tells everyone who waits that the server answers, or no longer does.
func (v *server) setPort(port int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.port = port
	close(v.changed)
	v.changed = make(chan struct{})
	if port == 0 {
		return
	}
	select {
	case <-v.first:
	default:
		close(v.first)
	}
}

// wait gives the port when the server answers.
func (v *server) wait(ctx context.Context) (int, error) {
	for {
		v.mu.Lock()
		port, changed := v.port, v.changed
		v.mu.Unlock()
		if port != 0 {
			return port, nil
		}
		select {
		case <-changed:
		case <-v.ended:
			return 0, errors.New("the server has ended")
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}

func (v *server) answered() bool {
	select {
	case <-v.first:
		return true
	default:
		return false
	}
}

func (v *server) fail(err error) {
	reason := fmt.Sprintf("The primary container for production variant %s did not pass the ping health check. "+
		"Please check CloudWatch logs for this endpoint. (%v)", v.v.Name, err)
	var mistake clientError
	switch {
	case errors.Is(err, syscall.ENOSPC):
		reason = fmt.Sprintf("No space left on device while production variant %s was being started: %v", v.v.Name, err)
	case errors.As(err, &mistake):
		reason = fmt.Sprintf("Production variant %s could not be started: %v", v.v.Name, err)
	case isNoImage(err):
		reason = fmt.Sprintf("The image of production variant %s could not be pulled: %v", v.v.Name, err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.reason = reason
}

func (v *server) failure() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.reason
}

// prepare lays out /opt/ml with the model.
func (v *server) prepare(ctx context.Context) error {
	dir := filepath.Join(v.dir, "model")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if v.v.ModelDataURL == "" {
		return nil
	}
	bucket, key, _ := s3URI(v.v.ModelDataURL) // checked when the model was made
	archive, err := v.s.o.Objects.Get(bucket, key)
	if err != nil {
		return clientError{fmt.Sprintf("the model data at %s: %v", v.v.ModelDataURL, err)}
	}
	defer func() { _ = archive.Close() }() // it was only read
	return unpack(ctx, archive, dir)
}

// freePort finds a port that nothing listens on and no other server was given.
func (s *Service) freePort() (int, func(), error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range 100 {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return 0, nil, err
		}
		port := listener.Addr().(*net.TCPAddr).Port
		if err := listener.Close(); err != nil {
			return 0, nil, err
		}
		if s.ports[port] {
			continue
		}
		s.ports[port] = true
		return port, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.ports, port)
		}, nil
	}
	return 0, nil, errors.New("no port of this machine is free")
}

// sleep waits, and says whether it could wait to the end.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

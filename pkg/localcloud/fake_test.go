package localcloud_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/aws-sdk-go-v2/service/sagemakerruntime"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"gitlab.com/towline/towline/pkg/localcloud"
	"gitlab.com/towline/towline/pkg/localcloud/runtime"
)

// fakeRuntime runs Go functions in place of images.
type fakeRuntime struct {
	train func(ctx context.Context, spec runtime.Spec) int // ctx ends with SIGTERM
	serve http.Handler
	pid   int // of every program

	mu    sync.Mutex
	specs []runtime.Spec
	tasks []*fakeTask
}

func (f *fakeRuntime) Run(_ context.Context, spec runtime.Spec) (runtime.Task, error) {
	ctx, cancel := context.WithCancel(context.Background())
	task := &fakeTask{pid: f.pid, cancel: cancel, done: make(chan struct{}), killed: make(chan struct{})}
	f.mu.Lock()
	f.specs, f.tasks = append(f.specs, spec), append(f.tasks, task)
	f.mu.Unlock()
	run := f.train
	if len(spec.Args) > 0 && spec.Args[0] == "serve" {
		run = f.runServer
	}
	if run == nil {
		cancel()
		return nil, errors.New("there is nothing to run")
	}
	go func() {
		code := make(chan int, 1)
		go func() { code <- run(ctx, spec) }()
		select {
		case task.code = <-code:
		case <-task.killed:
			task.code = 137
		}
		close(task.done)
	}()
	return task, nil
}

func (f *fakeRuntime) runServer(ctx context.Context, spec runtime.Spec) int {
	if f.serve == nil {
		_, _ = fmt.Fprintln(spec.Log, "no server here")
		return 3
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+spec.Env["SAGEMAKER_BIND_TO_PORT"])
	if err != nil {
		return 1
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("X-Test-Model", spec.Env["MODEL"])
		f.serve.ServeHTTP(w, r)
	})}
	go func() { _ = server.Serve(listener) }()
	<-ctx.Done()
	_ = server.Close()
	return 143
}

// last gives the program that was started last, with its specification.
func (f *fakeRuntime) last() (runtime.Spec, *fakeTask) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.specs[len(f.specs)-1], f.tasks[len(f.tasks)-1]
}

func (f *fakeRuntime) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.tasks)
}

type fakeTask struct {
	pid    int
	cancel context.CancelFunc
	done   chan struct{}
	killed chan struct{}
	once   sync.Once
	code   int
}

func (t *fakeTask) PID() int              { return t.pid }
func (t *fakeTask) Done() <-chan struct{} { return t.done }

func (t *fakeTask) Wait() (int, error) {
	<-t.done
	return t.code, nil
}

func (t *fakeTask) Stop(grace time.Duration) {
	t.cancel()
	select {
	case <-t.done:
	case <-time.After(grace):
		t.once.Do(func() { close(t.killed) })
		<-t.done
	}
}

// crash ends the program as if by itself.
func (t *fakeTask) crash() {
	t.cancel()
	<-t.done
}

// cloud is a cloud under test, with clients nobody here wrote.
type cloud struct {
	*localcloud.Cloud
	dir      string
	s3       *s3.Client
	train    *sagemaker.Client
	invoke   *sagemakerruntime.Client
	identity *sts.Client
	logs     *cloudwatchlogs.Client
}

func start(t *testing.T, o localcloud.Options) *cloud {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	c, err := localcloud.Start(t.Context(), o)
	if err != nil {
		t.Fatalf("Start = %v", err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	config := aws.Config{
		Region:           localcloud.Region,
		BaseEndpoint:     aws.String(c.URL()),
		Credentials:      credentials.NewStaticCredentialsProvider("towline", "local", ""),
		RetryMaxAttempts: 1,
	}
	return &cloud{
		Cloud: c, dir: o.Dir,
		s3:       s3.NewFromConfig(config, func(o *s3.Options) { o.UsePathStyle = true }),
		train:    sagemaker.NewFromConfig(config),
		invoke:   sagemakerruntime.NewFromConfig(config),
		identity: sts.NewFromConfig(config),
		logs:     cloudwatchlogs.NewFromConfig(config),
	}
}

func (c *cloud) close(t *testing.T) {
	t.Helper()
	if err := c.Close(context.Background()); err != nil {
		t.Fatalf("Close = %v", err)
	}
}

// eventually waits for something to become true.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !is() {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not happen", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func read(t *testing.T, r io.ReadCloser) string {
	t.Helper()
	defer func() { _ = r.Close() }()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	return string(b)
}

// Package sagemaker is the SageMaker of the local cloud: training jobs that
// run images, models, endpoint configurations, endpoints that serve, and their tags.
//
// In come requests of awsjson 1.1 and invocations; out go answers in the words
// of AWS. It is strict about names, limits and required members, refuses
// duplicates, and moves everything through its real states over time. What it
// told anyone survives a restart. It knows nothing of who calls, and sets only
// what SageMaker sets.
package sagemaker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"gitlab.com/towline/towline/pkg/localcloud/logs"
	"gitlab.com/towline/towline/pkg/localcloud/objects"
	"gitlab.com/towline/towline/pkg/localcloud/protocol"
	"gitlab.com/towline/towline/pkg/localcloud/runtime"
	"gitlab.com/towline/towline/pkg/localcloud/store"
)

// Options are what the service rests on.
type Options struct {
	Dir       string // of its state
	Region    string
	Account   string
	Objects   *objects.Store
	Logs      *logs.Store
	Image     func(ref string) (v1.Image, error) // a NoImage if it cannot be had
	Runtime   runtime.Runtime
	Log       *slog.Logger
	Now       func() time.Time
	StopGrace time.Duration // between SIGTERM and SIGKILL of a training job; 120 s if zero
	Startup   time.Duration // shortens the time in which a server must answer /ping, if not zero
}

// NoImage is an error: why an image cannot be pulled.
type NoImage string

func (e NoImage) Error() string { return string(e) }

func isNoImage(err error) bool {
	var e NoImage
	return errors.As(err, &e)
}

const (
	defaultStopGrace = 120 * time.Second
	serverGrace      = 30 * time.Second // between SIGTERM and SIGKILL of a server
	closingGrace     = 5 * time.Second  // of either, when the cloud is stopped
)

// Service is the control plane, its running jobs and its servers.
type Service struct {
	o         Options
	jobs      *store.Table[job]
	models    *store.Table[model]
	configs   *store.Table[endpointConfig]
	endpoints *store.Table[endpoint]
	left      *leftovers
	client    *http.Client // to servers

	ctx    context.Context // ends when the service is closed
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	runs    map[string]*run
	serving map[string]*deployment
	ports   map[int]bool
}

// errClosed is why everything ends when the cloud is stopped.
var errClosed = errors.New("the local cloud was stopped")

// New reads the state, ends what an earlier process left running, and starts
// the endpoints that were serving.
func New(ctx context.Context, o Options) (*Service, error) {
	if o.StopGrace == 0 {
		o.StopGrace = defaultStopGrace
	}
	s := &Service{o: o, runs: map[string]*run{}, serving: map[string]*deployment{}, ports: map[int]bool{}}
	s.ctx, s.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	s.client = &http.Client{
		Transport:     &http.Transport{Proxy: nil, MaxIdleConnsPerHost: 16, IdleConnTimeout: time.Minute, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if err := s.open(); err != nil {
		return nil, err
	}
	s.failLostJobs()
	s.restoreEndpoints()
	return s, nil
}

func (s *Service) open() error {
	for _, dir := range []string{s.work("jobs"), s.work("endpoints")} {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	var errs [5]error
	s.jobs, errs[0] = store.Open[job](filepath.Join(s.o.Dir, "training-jobs"))
	s.models, errs[1] = store.Open[model](filepath.Join(s.o.Dir, "models"))
	s.configs, errs[2] = store.Open[endpointConfig](filepath.Join(s.o.Dir, "endpoint-configs"))
	s.endpoints, errs[3] = store.Open[endpoint](filepath.Join(s.o.Dir, "endpoints"))
	s.left, errs[4] = openLeftovers(filepath.Join(s.o.Dir, "processes.json"))
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	if killed := s.left.kill(); killed > 0 {
		s.o.Log.Warn("processes of an earlier cloud were still running and were killed", "groups", killed)
	}
	return nil
}

// work is where jobs and servers have their files while they run.
func (s *Service) work(elem ...string) string {
	return filepath.Join(append([]string{s.o.Dir, "work"}, elem...)...)
}

// Close stops jobs and servers and waits for them. Jobs fail, endpoints come
// back with the next start.
func (s *Service) Close(ctx context.Context) error {
	s.cancel(errClosed)
	done := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(done)
	}()
	defer s.client.CloseIdleConnections()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop jobs and servers: %w", context.Cause(ctx))
	}
}

// Handler answers the control plane.
func (s *Service) Handler() http.Handler {
	operations := s.operations()
	return protocol.JSON(func(operation string, body []byte) (any, error) {
		run := operations[operation]
		if run == nil {
			return nil, protocol.UnknownOperation("sagemaker", operation)
		}
		if s.ctx.Err() != nil {
			return nil, &protocol.Error{Status: http.StatusServiceUnavailable, Code: "ServiceUnavailable", Message: "The local cloud is being stopped."}
		}
		return run(body)
	})
}

func (s *Service) operations() map[string]func([]byte) (any, error) {
	return map[string]func([]byte) (any, error){
		"CreateTrainingJob":      s.createTrainingJob,
		"DescribeTrainingJob":    as(s.describeTrainingJob),
		"StopTrainingJob":        as(s.stopTrainingJob),
		"ListTrainingJobs":       as(s.listTrainingJobs),
		"CreateModel":            s.createModel,
		"DescribeModel":          as(s.describeModel),
		"DeleteModel":            as(s.deleteModel),
		"ListModels":             as(s.listModels),
		"CreateEndpointConfig":   s.createEndpointConfig,
		"DescribeEndpointConfig": as(s.describeEndpointConfig),
		"DeleteEndpointConfig":   as(s.deleteEndpointConfig),
		"ListEndpointConfigs":    as(s.listEndpointConfigs),
		"CreateEndpoint":         as(s.createEndpoint),
		"DescribeEndpoint":       as(s.describeEndpoint),
		"UpdateEndpoint":         as(s.updateEndpoint),
		"DeleteEndpoint":         as(s.deleteEndpoint),
		"ListEndpoints":          as(s.listEndpoints),
		"AddTags":                as(s.addTags),
		"ListTags":               as(s.listTags),
		"DeleteTags":             as(s.deleteTags),
	}
}

// as reads the request of an operation.
func as[In any](run func(In) (any, error)) func([]byte) (any, error) {
	return func(body []byte) (any, error) {
		var in In
		if err := protocol.Decode(body, &in); err != nil {
			return nil, err
		}
		return run(in)
	}
}

// echo is a request as it came, for the answer of Describe.
type echo map[string]json.RawMessage

func echoOf(body []byte) (echo, error) {
	e := echo{}
	err := protocol.Decode(body, &e)
	delete(e, "Tags")
	return e, err
}

// with adds what the service knows; nil and "" are left out.
func (e echo) with(facts map[string]any) map[string]any {
	out := make(map[string]any, len(e)+len(facts))
	for name, value := range e {
		out[name] = value
	}
	for name, value := range facts {
		if value == nil || value == "" {
			continue
		}
		if t, isTime := value.(protocol.Time); isTime && t.IsZero() {
			continue
		}
		out[name] = value
	}
	return out
}

func (s *Service) now() protocol.Time {
	return protocol.Time{Time: s.o.Now().UTC().Truncate(time.Millisecond)}
}

func (s *Service) arn(kind, name string) string {
	return fmt.Sprintf("arn:aws:sagemaker:%s:%s:%s/%s", s.o.Region, s.o.Account, kind, name)
}

// spawn runs work that Close waits for.
func (s *Service) spawn(work func()) {
	s.wg.Add(1)
	go func() {
		defer s.wg.Done()
		work()
	}()
}

package cloud_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"gitlab.com/towline/towline/pkg/cloud"
	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/localcloud"
	"gitlab.com/towline/towline/pkg/localcloud/runtime"
	"gitlab.com/towline/towline/pkg/manifest"
	"gitlab.com/towline/towline/pkg/plan"
	"gitlab.com/towline/towline/pkg/record"
	"gitlab.com/towline/towline/pkg/secret"
)

// programs is a runtime that runs Go functions in place of images. SIGTERM is
// the end of their context.
type programs struct {
	train func(ctx context.Context, spec runtime.Spec) int
	serve http.HandlerFunc // nil: the server ends at once
}

func (p *programs) Run(_ context.Context, spec runtime.Spec) (runtime.Task, error) {
	ctx, stop := context.WithCancel(context.Background())
	task := &program{stop: stop, done: make(chan struct{})}
	run := p.train
	if len(spec.Args) > 0 && spec.Args[0] == "serve" {
		run = p.server
	}
	go func() {
		task.code = run(ctx, spec)
		close(task.done)
	}()
	return task, nil
}

func (p *programs) server(ctx context.Context, spec runtime.Spec) int {
	if p.serve == nil {
		return 1
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+spec.Env["SAGEMAKER_BIND_TO_PORT"])
	if err != nil {
		return 2
	}
	server := &http.Server{Handler: p.serve}
	go func() { _ = server.Serve(listener) }()
	<-ctx.Done()
	_ = server.Close()
	return 0
}

type program struct {
	stop context.CancelFunc
	done chan struct{}
	code int
}

func (p *program) PID() int              { return 0 }
func (p *program) Done() <-chan struct{} { return p.done }
func (p *program) Stop(time.Duration)    { p.stop(); <-p.done }
func (p *program) Wait() (int, error)    { <-p.done; return p.code, nil }

// good is a training that writes a model and an evaluation.
func good(_ context.Context, spec runtime.Spec) int {
	_, _ = fmt.Fprintln(spec.Log, "epoch 1")
	for file, body := range map[string]string{
		"model/weights": "1", "output/data/evaluation.json": `{"metrics": {"f1": 0.9}}`,
	} {
		path := filepath.Join(spec.OptML, file)
		if os.MkdirAll(filepath.Dir(path), 0o755) != nil || os.WriteFile(path, []byte(body), 0o644) != nil {
			return 1
		}
	}
	return 0
}

// evaluates is a program whose evaluate entry finds its model and its data.
func evaluates(ctx context.Context, spec runtime.Spec) int {
	if !slices.Equal(spec.Entry, []string{plan.EvaluateEntry}) {
		return good(ctx, spec)
	}
	for _, file := range []string{plan.ModelChannel + "/model.tar.gz", "train/a.csv"} {
		if _, err := os.Stat(filepath.Join(spec.OptML, "input", "data", file)); err != nil {
			_ = os.WriteFile(filepath.Join(spec.OptML, "output/failure"), []byte(err.Error()), 0o644)
			return 4
		}
	}
	path := filepath.Join(spec.OptML, "output/data/scores.json")
	if os.WriteFile(path, []byte(`{"metrics": {"f1": 0.7}}`), 0o644) != nil {
		return 1
	}
	return 0
}

func bad(_ context.Context, spec runtime.Spec) int {
	_ = os.WriteFile(filepath.Join(spec.OptML, "output/failure"), []byte("Traceback\nValueError: no"), 0o644)
	return 3
}

func echo(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/ping" {
		_, _ = io.Copy(w, r.Body)
	}
}

// local is the embedded cloud with an image in its registry.
type local struct {
	*visit
	t     *testing.T
	image string
	cloud *localcloud.Cloud
	dir   string
	runs  *programs
}

func startLocal(t *testing.T, runs *programs) *local {
	t.Helper()
	l := &local{t: t, dir: t.TempDir(), runs: runs}
	l.start()
	t.Cleanup(func() { _ = l.cloud.Close(context.Background()) })
	image, err := random.Image(100, 1)
	if err != nil {
		t.Fatal(err)
	}
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.NewTag(strings.TrimPrefix(l.cloud.URL(), "http://")+"/shop/risk:1", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, image); err != nil {
		t.Fatal(err)
	}
	l.image = localcloud.Registry + "/shop/risk@" + digest.String()
	return l
}

func (l *local) start() {
	l.t.Helper()
	running, err := localcloud.Start(context.Background(), localcloud.Options{
		Dir: l.dir, Runtime: l.runs, StopGrace: time.Second, Startup: 2 * time.Second,
	})
	if err != nil {
		l.t.Fatal(err)
	}
	l.cloud, l.visit = running, &visit{}
	l.Cloud, err = cloud.New(context.Background(), cloud.Config{
		Region: localcloud.Region, Endpoint: running.URL(), AccessKey: "towline", Secret: secret.New("local"),
		Poll: 5 * time.Millisecond,
		Log: func(line string) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.lines = append(l.lines, line)
		},
	})
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *local) training() plan.Train {
	a := training()
	a.Image, a.Role, a.Output = plan.Text(l.image), localcloud.Role, "s3://"+localcloud.Bucket+"/training"
	a.Inputs[0].URI = "s3://" + localcloud.Bucket + "/data/d1/"
	return a
}

// data uploads the channel that training reads.
func (l *local) data() plan.Receipt {
	l.t.Helper()
	got, err := l.Upload(context.Background(), plan.Upload{Channel: "train", Dir: folder(l.t, "a.csv", "1\n"),
		Digest: "d1", To: "s3://" + localcloud.Bucket + "/data/d1/"})
	if err != nil {
		l.t.Fatal(err)
	}
	return got
}

// models are what the plan does after the training, for one release.
func (l *local) models(release string, trained plan.Receipt) (plan.CreateModel, plan.Deploy) {
	tags := map[string]string{"towline:project": "shop", "towline:model": "risk", "towline:version": release}
	model := plan.CreateModel{Name: "shop-risk-" + release, Image: plan.Text(l.image), ModelData: plan.Text(trained.Yields["model_data"]),
		Role: localcloud.Role, Identity: ourIdentity, Tags: tags}
	deploy := plan.Deploy{Environment: "local", Endpoint: "shop-risk-local", Config: "shop-risk-config-" + release,
		Model: plan.Text(model.Name), Variant: "main", Instance: "ml.m5.large", Count: 1, Startup: manifest.Duration(time.Minute),
		Identity: ourIdentity, Tags: tags}
	return model, deploy
}

func TestTheLocalCloudFromDataToPrediction(t *testing.T) {
	l := startLocal(t, &programs{train: good, serve: echo})
	ctx := context.Background()
	for round, said := range [][]string{
		{"channel train: 1 files", "is complete", "is known to SageMaker", "was created"},
		{"was uploaded before", "was found", "was found", "serves this model already"},
	} {
		uploaded := l.data()
		trained, err := l.Train(ctx, l.training())
		if err != nil {
			t.Fatal(err)
		}
		evaluated, err := l.Evaluate(ctx, plan.Evaluate{OutputData: plan.Text(trained.Yields["output_data"]), File: "evaluation.json"})
		if err != nil {
			t.Fatal(err)
		}
		if f1 := evaluated.Section.(record.Evaluation).Metrics["f1"]; f1 != 0.9 {
			t.Errorf("f1 = %v", f1)
		}
		model, deploy := l.models("1", trained)
		created, err := l.CreateModel(ctx, model)
		if err != nil {
			t.Fatal(err)
		}
		deployed, err := l.Deploy(ctx, deploy)
		if err != nil {
			t.Fatal(err)
		}
		for i, receipt := range []plan.Receipt{uploaded, trained, created, deployed} {
			if !strings.Contains(receipt.Said, said[i]) {
				t.Errorf("round %d: said %q, want %q", round+1, receipt.Said, said[i])
			}
		}
	}
	l.said(t, "epoch 1")

	predicted, err := l.Smoke(ctx, plan.Smoke{Endpoint: "shop-risk-local", File: filepath.Join(folder(t, "a", "[1]"), "a")})
	if err != nil || predicted.Yields["prediction"] != "[1]" {
		t.Errorf("Smoke = %+v, %v", predicted, err)
	}
	serving, found, err := l.Champion(ctx, "shop-risk-local")
	if err != nil || !found || serving.Identity != ourIdentity || serving.Version != "1" || serving.Image != l.image {
		t.Errorf("Champion = %+v, %v, %v", serving, found, err)
	}
	if who, err := l.Identity(ctx); who.Account != localcloud.Account || err != nil {
		t.Errorf("Identity = %+v, %v", who, err)
	}
	_, err = l.Invoke(ctx, "none", "text/csv", "", strings.NewReader("1"))
	failsWith(t, err, fault.Missing, "there is no such endpoint")
	_, found, err = l.Champion(ctx, "none")
	if found || err != nil {
		t.Errorf("Champion of none: %v, %v", found, err)
	}
	_, found, err = l.LoadRecord(ctx, "s3://"+localcloud.Bucket+"/none.json")
	if found || err != nil {
		t.Errorf("LoadRecord of none: %v, %v", found, err)
	}
}

func (l *local) measuring(trained plan.Receipt) plan.Measure {
	job := l.training()
	job.Job, job.Entrypoint, job.Hyperparameters = "shop-risk-eval-1", []string{plan.EvaluateEntry}, nil
	job.Inputs = append(job.Inputs, plan.Input{Channel: plan.ModelChannel, URI: trained.Yields["model_data"]})
	return plan.Measure{Champion: "1.0.0", Job: job, File: "scores.json", TestData: "d1", Channel: "train"}
}

func TestTheLocalCloudMeasuresAChampionAgain(t *testing.T) {
	l := startLocal(t, &programs{train: evaluates})
	l.data()
	trained, err := l.Train(context.Background(), l.training())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		got, err := l.Measure(context.Background(), l.measuring(trained))
		if err != nil {
			t.Fatal(err)
		}
		want := `{"metrics":{"f1":0.7},"test_data":"d1","test_channel":"train","job":"shop-risk-eval-1"}`
		if got.Yields["evaluation"] != want || got.Section != nil {
			t.Errorf("Measure yields %s and the section %v, want %s and none", got.Yields["evaluation"], got.Section, want)
		}
		if want := "the champion 1.0.0 on this test data, by shop-risk-eval-1: f1 0.7"; got.Said != want {
			t.Errorf("said %q, want %q", got.Said, want)
		}
	}
}

func TestTheLocalCloudWhoseChampionCannotBeMeasured(t *testing.T) {
	l := startLocal(t, &programs{train: evaluates})
	l.data()
	trained, err := l.Train(context.Background(), l.training())
	if err != nil {
		t.Fatal(err)
	}
	silent, broken := l.measuring(trained), l.measuring(trained)
	silent.File = "other.json"
	broken.Job.Job, broken.Job.Inputs = "shop-risk-eval-2", broken.Job.Inputs[:1]
	gone := l.measuring(trained)
	gone.Job.Job, gone.Job.Inputs[1].URI = "shop-risk-eval-3", "s3://"+localcloud.Bucket+"/gone/model.tar.gz"

	_, err = l.Measure(context.Background(), silent)
	failsWith(t, err, fault.Model, "evaluate the champion 1.0.0 again: read other.json")
	_, err = l.Measure(context.Background(), broken)
	failsWith(t, err, fault.Model, "evaluate the champion 1.0.0 again: training job shop-risk-eval-2 failed in the model's own code, exit code 4")
	if hint := fault.HintOf(err); !strings.Contains(hint, "set evaluate.champion: recorded in towline.yaml") {
		t.Errorf("hint %q", hint)
	}
	_, err = l.Measure(context.Background(), gone)
	failsWith(t, err, fault.Missing, "No objects were found under s3://"+localcloud.Bucket+"/gone/model.tar.gz")
}

func TestTheLocalCloudAfterAFailure(t *testing.T) {
	runs := &programs{train: bad}
	l := startLocal(t, runs)
	l.data()
	_, err := l.Train(context.Background(), l.training())
	failsWith(t, err, fault.Model, "failed in the model's own code, exit code 3")
	if got := fault.DetailsOf(err); !slices.Equal(got, []string{"Traceback", "ValueError: no"}) {
		t.Errorf("details %q", got)
	}
	runs.train = good
	got, err := l.Train(context.Background(), l.training())
	if err != nil || got.Yields["job"] != "shop-risk-1-0-0-r2" {
		t.Errorf("Train = %v, %v", got.Yields, err)
	}

	a := l.training()
	a.Identity = theirIdentity
	_, err = l.Train(context.Background(), a)
	failsWith(t, err, fault.Conflict, "it belongs to")
	a = l.training()
	a.Job, a.Inputs[0].URI = "without-data", "s3://"+localcloud.Bucket+"/nothing/"
	_, err = l.Train(context.Background(), a)
	failsWith(t, err, fault.Missing, "training job without-data failed")
	a = l.training()
	a.Job, a.Image = "without-image", plan.Text(localcloud.Registry+"/shop/none@sha256:"+ourIdentity)
	_, err = l.Train(context.Background(), a)
	failsWith(t, err, fault.Missing, "training job without-image failed")
	a = l.training()
	a.Job = "not_a_name"
	_, err = l.Train(context.Background(), a)
	failsWith(t, err, fault.Repository, "not_a_name")
}

func TestTheLocalCloudStopsWhatAnInterruptionLeft(t *testing.T) {
	var ended atomic.Bool
	started := make(chan struct{})
	l := startLocal(t, &programs{train: func(ctx context.Context, _ runtime.Spec) int {
		close(started)
		<-ctx.Done()
		ended.Store(true)
		return 143
	}})
	l.data()
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-started
		cancel()
	}()
	_, err := l.Train(ctx, l.training())
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want the cancellation", err)
	}
	l.said(t, "stopped, because towline was interrupted")
	l.runs.train = good
	got, err := l.Train(context.Background(), l.training())
	if err != nil || got.Yields["job"] != "shop-risk-1-0-0-r2" {
		t.Errorf("Train after the interruption = %v, %v", got.Yields, err)
	}
	if !ended.Load() {
		t.Error("the first training still runs")
	}
}

func TestTheLocalCloudThatWasStoppedDuringATraining(t *testing.T) {
	started := make(chan struct{})
	l := startLocal(t, &programs{train: func(ctx context.Context, _ runtime.Spec) int {
		close(started)
		<-ctx.Done()
		return 143
	}})
	l.data()
	go func() {
		<-started
		_ = l.cloud.Close(context.Background())
	}()
	_, err := l.Train(context.Background(), l.training())
	failsWith(t, err, fault.Remote, "training job shop-risk-1-0-0")
	l.runs.train = good
	l.start()
	got, err := l.Train(context.Background(), l.training())
	if err != nil || got.Yields["job"] != "shop-risk-1-0-0-r2" {
		t.Errorf("Train after the restart = %v, %v", got.Yields, err)
	}
}

func TestTheLocalCloudKeepsTheOldModelWhenTheNewOneDoesNotStart(t *testing.T) {
	runs := &programs{train: good, serve: echo}
	l := startLocal(t, runs)
	ctx := context.Background()
	l.data()
	trained, err := l.Train(ctx, l.training())
	if err != nil {
		t.Fatal(err)
	}
	for _, release := range []string{"1", "2"} {
		model, deploy := l.models(release, trained)
		if _, err := l.CreateModel(ctx, model); err != nil {
			t.Fatal(err)
		}
		_, err := l.Deploy(ctx, deploy)
		if release == "1" {
			runs.serve = nil
			if err != nil {
				t.Fatal(err)
			}
			continue
		}
		failsWith(t, err, fault.Model, "it was rolled back to config shop-risk-config-1")
	}
	answer, err := l.Invoke(ctx, "shop-risk-local", "text/plain", "", strings.NewReader("hello"))
	if err != nil || string(answer.Body) != "hello" {
		t.Errorf("the old model answers %s, %v", answer.Body, err)
	}
	_, deploy := l.models("3", trained)
	deploy.Tags = map[string]string{"towline:project": "bank", "towline:model": "fraud"}
	_, err = l.Deploy(ctx, deploy)
	failsWith(t, err, fault.Conflict, "it belongs to model risk of project shop")
}

func TestTheLocalCloudReplacesAnEndpointThatFailed(t *testing.T) {
	runs := &programs{train: good}
	l := startLocal(t, runs)
	ctx := context.Background()
	l.data()
	trained, err := l.Train(ctx, l.training())
	if err != nil {
		t.Fatal(err)
	}
	model, deploy := l.models("1", trained)
	if _, err := l.CreateModel(ctx, model); err != nil {
		t.Fatal(err)
	}
	_, err = l.Deploy(ctx, deploy)
	failsWith(t, err, fault.Model, "endpoint shop-risk-local: it is failed")
	runs.serve = echo
	got, err := l.Deploy(ctx, deploy)
	if err != nil || !strings.Contains(got.Said, "was created") {
		t.Errorf("Deploy = %+v, %v", got, err)
	}
}

package localcloud_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker/types"
	"github.com/aws/aws-sdk-go-v2/service/sagemakerruntime"
	runtimetypes "github.com/aws/aws-sdk-go-v2/service/sagemakerruntime/types"

	"gitlab.com/towline/towline/pkg/localcloud"
)

// echoServer answers with its model's name and what it was sent.
func echoServer(w http.ResponseWriter, r *http.Request) {
	model := r.Header.Get("X-Test-Model")
	switch {
	case r.URL.Path == "/ping" && model == "deaf":
		http.Error(w, "not yet", http.StatusServiceUnavailable)
	case r.URL.Path == "/ping":
	case r.URL.Path == "/invocations":
		body, _ := io.ReadAll(r.Body)
		switch string(body) {
		case "slow":
			time.Sleep(500 * time.Millisecond)
		case "wrong":
			http.Error(w, "no such column", http.StatusUnprocessableEntity)
			return
		}
		w.Header().Set("Content-Type", r.Header.Get("Accept"))
		w.Header().Set("X-Amzn-SageMaker-Custom-Attributes", r.Header.Get("X-Amzn-SageMaker-Custom-Attributes"))
		_, _ = fmt.Fprintf(w, "%s:%s:%s", model, r.Header.Get("Content-Type"), body)
	default:
		http.NotFound(w, r)
	}
}

func archiveOf(t *testing.T, entries ...*tar.Header) string {
	t.Helper()
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	archive := tar.NewWriter(zipped)
	for _, header := range entries {
		content := []byte("content")
		if header.Typeflag == tar.TypeReg {
			header.Size = int64(len(content))
		}
		header.Mode = 0o644
		if err := archive.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if header.Typeflag == tar.TypeReg {
			if _, err := archive.Write(content); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(archive.Close(), zipped.Close()); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func (c *cloud) model(t *testing.T, name string) {
	t.Helper()
	c.put(t, "model.tar.gz", archiveOf(t, &tar.Header{Name: "./w.bin", Typeflag: tar.TypeReg}))
	_, err := c.train.CreateModel(t.Context(), &sagemaker.CreateModelInput{
		ModelName: aws.String(name), ExecutionRoleArn: aws.String(localcloud.Role),
		PrimaryContainer: &types.ContainerDefinition{
			Image: aws.String(c.push(t, randomImage(t))), ModelDataUrl: aws.String("s3://" + localcloud.Bucket + "/model.tar.gz"),
			Environment: map[string]string{"MODEL": name},
		},
	})
	if err != nil {
		t.Fatalf("CreateModel(%s) = %v", name, err)
	}
}

func variant(name, model string, weight float32) types.ProductionVariant {
	return types.ProductionVariant{
		VariantName: aws.String(name), ModelName: aws.String(model), InstanceType: types.ProductionVariantInstanceTypeMlM5Large,
		InitialInstanceCount: aws.Int32(1), InitialVariantWeight: aws.Float32(weight),
	}
}

// configure makes a model and a configuration of the same name.
func (c *cloud) configure(t *testing.T, name string) {
	t.Helper()
	c.model(t, name)
	c.configureVariants(t, name, variant("main", name, 1))
}

func (c *cloud) configureVariants(t *testing.T, name string, variants ...types.ProductionVariant) {
	t.Helper()
	_, err := c.train.CreateEndpointConfig(t.Context(), &sagemaker.CreateEndpointConfigInput{EndpointConfigName: aws.String(name), ProductionVariants: variants})
	if err != nil {
		t.Fatalf("CreateEndpointConfig(%s) = %v", name, err)
	}
}

func (c *cloud) createEndpoint(t *testing.T, name, config string) {
	t.Helper()
	_, err := c.train.CreateEndpoint(t.Context(), &sagemaker.CreateEndpointInput{EndpointName: aws.String(name), EndpointConfigName: aws.String(config)})
	if err != nil {
		t.Fatalf("CreateEndpoint(%s) = %v", name, err)
	}
}

func (c *cloud) update(name, config string) error {
	_, err := c.train.UpdateEndpoint(context.Background(), &sagemaker.UpdateEndpointInput{EndpointName: aws.String(name), EndpointConfigName: aws.String(config)})
	return err
}

func (c *cloud) endpoint(t *testing.T, name string) *sagemaker.DescribeEndpointOutput {
	t.Helper()
	out, err := c.train.DescribeEndpoint(context.Background(), &sagemaker.DescribeEndpointInput{EndpointName: aws.String(name)})
	if err != nil {
		t.Fatalf("DescribeEndpoint(%s) = %v", name, err)
	}
	return out
}

// settled waits until nothing changes an endpoint any more.
func (c *cloud) settled(t *testing.T, name string) *sagemaker.DescribeEndpointOutput {
	t.Helper()
	var out *sagemaker.DescribeEndpointOutput
	eventually(t, "the end of a change of "+name, func() bool {
		out = c.endpoint(t, name)
		switch out.EndpointStatus {
		case types.EndpointStatusCreating, types.EndpointStatusUpdating, types.EndpointStatusSystemUpdating, types.EndpointStatusDeleting:
			return false
		}
		return true
	})
	return out
}

func (c *cloud) ask(name, question string) (string, error) {
	out, err := c.invoke.InvokeEndpoint(context.Background(), &sagemakerruntime.InvokeEndpointInput{
		EndpointName: aws.String(name), Body: []byte(question), ContentType: aws.String("text/csv"), Accept: aws.String("text/x"),
		CustomAttributes: aws.String("trace=1"),
	})
	if err != nil {
		return "", err
	}
	if aws.ToString(out.ContentType) != "text/x" || aws.ToString(out.CustomAttributes) != "trace=1" || aws.ToString(out.InvokedProductionVariant) == "" {
		return "", fmt.Errorf("headers: %+v", out)
	}
	return string(out.Body), nil
}

func TestAnEndpoint(t *testing.T) {
	fake := &fakeRuntime{serve: http.HandlerFunc(echoServer)}
	c := start(t, localcloud.Options{Runtime: fake})
	c.configure(t, "one")
	if _, err := c.ask("e", "x"); code(err) != "ValidationError" || !strings.Contains(err.Error(), "Endpoint e of account 000000000000 not found.") {
		t.Errorf("InvokeEndpoint of no endpoint = %v", err)
	}
	c.createEndpoint(t, "e", "one")
	out := c.settled(t, "e")
	if out.EndpointStatus != types.EndpointStatusInService || aws.ToString(out.EndpointConfigName) != "one" || len(out.ProductionVariants) != 1 {
		t.Fatalf("DescribeEndpoint = %+v, want it in service", out)
	}
	if got, err := c.ask("e", "1,2"); err != nil || got != "one:text/csv:1,2" {
		t.Errorf("InvokeEndpoint = %q, %v", got, err)
	}
	spec, _ := fake.last()
	if content, err := os.ReadFile(filepath.Join(spec.OptML, "model", "w.bin")); err != nil || string(content) != "content" {
		t.Errorf("the model's file = %q, %v", content, err)
	}
	_, err := c.ask("e", "wrong")
	var broken *runtimetypes.ModelError
	if !errors.As(err, &broken) || aws.ToInt32(broken.OriginalStatusCode) != 422 || !strings.Contains(aws.ToString(broken.OriginalMessage), "no such column") {
		t.Errorf("InvokeEndpoint of a bad question = %v, want a ModelError that tells the answer", err)
	}
	_, err = c.train.CreateEndpoint(t.Context(), &sagemaker.CreateEndpointInput{EndpointName: aws.String("e"), EndpointConfigName: aws.String("one")})
	if code(err) != "ValidationException" || !strings.Contains(err.Error(), "Cannot create already existing endpoint") {
		t.Errorf("CreateEndpoint of an existing one = %v", err)
	}
	c.checkDelete(t, spec.OptML)
}

func (c *cloud) checkDelete(t *testing.T, files string) {
	t.Helper()
	// The SageMaker SDK deletes the configuration before the endpoint.
	if _, err := c.train.DeleteEndpointConfig(t.Context(), &sagemaker.DeleteEndpointConfigInput{EndpointConfigName: aws.String("one")}); err != nil {
		t.Errorf("DeleteEndpointConfig = %v", err)
	}
	if _, err := c.train.DeleteModel(t.Context(), &sagemaker.DeleteModelInput{ModelName: aws.String("one")}); err != nil {
		t.Errorf("DeleteModel = %v", err)
	}
	if got, err := c.ask("e", "still"); err != nil || got != "one:text/csv:still" {
		t.Errorf("InvokeEndpoint without its model = %q, %v", got, err)
	}
	if _, err := c.train.DeleteEndpoint(t.Context(), &sagemaker.DeleteEndpointInput{EndpointName: aws.String("e")}); err != nil {
		t.Errorf("DeleteEndpoint = %v", err)
	}
	eventually(t, "the end of the endpoint", func() bool {
		_, err := c.train.DescribeEndpoint(t.Context(), &sagemaker.DescribeEndpointInput{EndpointName: aws.String("e")})
		return code(err) == "ValidationException" && strings.Contains(err.Error(), `Could not find endpoint "arn:aws:sagemaker:us-east-1:000000000000:endpoint/e"`)
	})
	if _, err := os.Stat(files); err == nil {
		t.Error("the server's files are still there")
	}
}

func TestAnUpdateLosesNoRequest(t *testing.T) {
	c := start(t, localcloud.Options{Runtime: &fakeRuntime{serve: http.HandlerFunc(echoServer)}})
	c.configure(t, "one")
	c.configure(t, "two")
	c.createEndpoint(t, "e", "one")
	c.settled(t, "e")
	var asked atomic.Int64
	var clients sync.WaitGroup
	stop := make(chan struct{})
	end := sync.OnceFunc(func() { close(stop); clients.Wait() })
	defer end()
	for i := range 4 {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				question := "x"
				if i == 0 {
					question = "slow"
				}
				if got, err := c.ask("e", question); err != nil || got != "one:text/csv:"+question && got != "two:text/csv:"+question {
					t.Errorf("InvokeEndpoint during an update = %q, %v", got, err)
				}
				asked.Add(1)
			}
		})
	}
	eventually(t, "requests", func() bool { return asked.Load() > 20 })
	if err := c.update("e", "two"); err != nil {
		t.Fatalf("UpdateEndpoint = %v", err)
	}
	out := c.settled(t, "e")
	if aws.ToString(out.EndpointConfigName) != "two" || aws.ToString(out.FailureReason) != "" {
		t.Errorf("DescribeEndpoint = %s %s, want configuration two", aws.ToString(out.EndpointConfigName), aws.ToString(out.FailureReason))
	}
	eventually(t, "requests after the update", func() bool {
		got, err := c.ask("e", "x")
		return err == nil && got == "two:text/csv:x"
	})
	end()
	if err := c.update("e", "two"); code(err) != "ValidationException" {
		t.Errorf("UpdateEndpoint with the configuration it has = %v, want ValidationException", err)
	}
}

func TestAnUpdateThatFailsIsRolledBack(t *testing.T) {
	c := start(t, localcloud.Options{Runtime: &fakeRuntime{serve: http.HandlerFunc(echoServer)}, Startup: time.Second})
	c.configure(t, "one")
	c.configure(t, "deaf")
	c.createEndpoint(t, "e", "one")
	c.settled(t, "e")
	if err := c.update("e", "deaf"); err != nil {
		t.Fatalf("UpdateEndpoint = %v", err)
	}
	during := c.endpoint(t, "e")
	if during.EndpointStatus != types.EndpointStatusUpdating || aws.ToString(during.EndpointConfigName) != "one" || during.PendingDeploymentSummary == nil || aws.ToString(during.PendingDeploymentSummary.EndpointConfigName) != "deaf" {
		t.Errorf("DescribeEndpoint during the update = %+v", during)
	}
	if err := c.update("e", "one"); code(err) != "ValidationException" || !strings.Contains(err.Error(), "Cannot update in-progress endpoint") {
		t.Errorf("UpdateEndpoint during an update = %v, want ValidationException", err)
	}
	if _, err := c.train.DeleteEndpoint(t.Context(), &sagemaker.DeleteEndpointInput{EndpointName: aws.String("e")}); code(err) != "ValidationException" {
		t.Errorf("DeleteEndpoint during an update = %v, want ValidationException", err)
	}
	out := c.settled(t, "e")
	if out.EndpointStatus != types.EndpointStatusInService || aws.ToString(out.EndpointConfigName) != "one" || !strings.Contains(aws.ToString(out.FailureReason), "The primary container for production variant main did not pass the ping health check.") {
		t.Errorf("DescribeEndpoint = %s, %s: %s, want the old configuration and the reason", out.EndpointStatus, aws.ToString(out.EndpointConfigName), aws.ToString(out.FailureReason))
	}
	if got, err := c.ask("e", "x"); err != nil || got != "one:text/csv:x" {
		t.Errorf("InvokeEndpoint after the rollback = %q, %v", got, err)
	}
}

func TestAnEndpointThatNeverServes(t *testing.T) {
	for _, tt := range []struct {
		name  string
		model string
		serve http.Handler
		want  string
	}{
		{"a server that is never ready", "deaf", http.HandlerFunc(echoServer), "did not pass the ping health check"},
		{"a server that ends", "one", nil, "exit code 3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := start(t, localcloud.Options{Runtime: &fakeRuntime{serve: tt.serve}, Startup: 2 * time.Second})
			c.configure(t, tt.model)
			c.createEndpoint(t, "e", tt.model)
			if _, err := c.ask("e", "x"); code(err) != "ValidationError" {
				t.Errorf("InvokeEndpoint while it is created = %v, want ValidationError", err)
			}
			out := c.settled(t, "e")
			if out.EndpointStatus != types.EndpointStatusFailed || !strings.Contains(aws.ToString(out.FailureReason), tt.want) {
				t.Errorf("DescribeEndpoint = %s: %s, want Failed: …%s", out.EndpointStatus, aws.ToString(out.FailureReason), tt.want)
			}
			if err := c.update("e", tt.model); code(err) != "ValidationException" {
				t.Errorf("UpdateEndpoint of a failed endpoint = %v, want ValidationException", err)
			}
			if _, err := c.train.DeleteEndpoint(t.Context(), &sagemaker.DeleteEndpointInput{EndpointName: aws.String("e")}); err != nil {
				t.Errorf("DeleteEndpoint of a failed endpoint = %v", err)
			}
		})
	}
}

func TestACrashedServerIsStartedAgain(t *testing.T) {
	fake := &fakeRuntime{serve: http.HandlerFunc(echoServer)}
	c := start(t, localcloud.Options{Runtime: fake})
	c.configure(t, "one")
	c.createEndpoint(t, "e", "one")
	c.settled(t, "e")
	for range 2 {
		_, task := fake.last()
		before := fake.count()
		task.crash()
		if got, err := c.ask("e", "x"); err != nil || got != "one:text/csv:x" {
			t.Errorf("InvokeEndpoint after a crash = %q, %v", got, err)
		}
		if fake.count() != before+1 {
			t.Errorf("the server was started %d times more, want once", fake.count()-before)
		}
	}
}

func TestEndpointsComeBack(t *testing.T) {
	fake := &fakeRuntime{serve: http.HandlerFunc(echoServer)}
	c := start(t, localcloud.Options{Runtime: fake})
	c.configure(t, "one")
	c.createEndpoint(t, "e", "one")
	c.settled(t, "e")
	dir := c.dir
	c.close(t)
	_, task := fake.last()
	select {
	case <-task.done:
	default:
		t.Error("Close left the server running")
	}
	c = start(t, localcloud.Options{Dir: dir, Runtime: fake})
	if got, err := c.ask("e", "x"); err != nil || got != "one:text/csv:x" {
		t.Errorf("InvokeEndpoint right after a restart = %q, %v, want that it waits", got, err)
	}
	if out := c.settled(t, "e"); out.EndpointStatus != types.EndpointStatusInService {
		t.Errorf("DescribeEndpoint after a restart = %s", out.EndpointStatus)
	}
	c.close(t)
	c = start(t, localcloud.Options{Dir: dir, Runtime: &fakeRuntime{}, Startup: time.Second})
	if out := c.settled(t, "e"); out.EndpointStatus != types.EndpointStatusOutOfService || aws.ToString(out.FailureReason) == "" {
		t.Errorf("DescribeEndpoint with a server that no longer starts = %s, want OutOfService and a reason", out.EndpointStatus)
	}
	c.close(t)
	c = start(t, localcloud.Options{Dir: dir, Runtime: fake})
	if out := c.settled(t, "e"); out.EndpointStatus != types.EndpointStatusInService {
		t.Errorf("DescribeEndpoint once the server starts again = %s", out.EndpointStatus)
	}
}

func TestVariants(t *testing.T) {
	c := start(t, localcloud.Options{Runtime: &fakeRuntime{serve: http.HandlerFunc(echoServer)}})
	c.model(t, "one")
	c.model(t, "two")
	c.configureVariants(t, "both", variant("a", "one", 3), variant("b", "two", 1))
	c.createEndpoint(t, "e", "both")
	c.settled(t, "e")
	count := map[string]int{}
	for range 200 {
		got, err := c.ask("e", "x")
		if err != nil {
			t.Fatalf("InvokeEndpoint = %v", err)
		}
		count[got[:3]]++
	}
	if count["one"] < 110 || count["two"] < 20 {
		t.Errorf("of 200 requests the variants got %v, want about 150 and 50", count)
	}
	for target, want := range map[string]string{"b": "two:", "none": "ValidationError"} {
		out, err := c.invoke.InvokeEndpoint(t.Context(), &sagemakerruntime.InvokeEndpointInput{EndpointName: aws.String("e"), TargetVariant: aws.String(target), Body: []byte("x")})
		if got := code(err); err != nil && got != want {
			t.Errorf("InvokeEndpoint of variant %s = %v, want %s", target, err, want)
		} else if err == nil && (!strings.HasPrefix(string(out.Body), want) || aws.ToString(out.InvokedProductionVariant) != target) {
			t.Errorf("InvokeEndpoint of variant %s = %s from %s", target, out.Body, aws.ToString(out.InvokedProductionVariant))
		}
	}
}

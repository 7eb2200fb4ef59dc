package e2e_test

import (
	"archive/tar"
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// TestClients lets clients that were written for AWS drive the local cloud.
// The image is a stranger too: it was not packaged by towline.
func TestClients(t *testing.T) {
	cloud := startCloud(t)
	image := pushPrograms(t, cloud)
	t.Run("boto3", func(t *testing.T) {
		cmd := exec.Command(clientTool(t, "python3"), filepath.Join("testdata", "clients.py"), image)
		cmd.Env = clientEnv(cloud)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("clients.py: %v\n%s", err, out)
		}
		for _, step := range []string{"objects", "training", "troubles", "lists", "tags", "serving", "removal", "strangers"} {
			if !bytes.Contains(out, []byte(step)) {
				t.Errorf("clients.py did not reach %s:\n%s", step, out)
			}
		}
	})
	t.Run("awscli", func(t *testing.T) { driveAWSCLI(t, cloud, image) })
}

// driveAWSCLI takes a model from data to answers by the commands of awscli.
func driveAWSCLI(t *testing.T, cloud, image string) {
	t.Helper()
	aws := awscli{t: t, program: clientTool(t, "aws"), env: clientEnv(cloud), dir: t.TempDir()}
	aws.write("data/a.csv", "1,2\n2,4\n")
	aws.run("s3", "mb", "s3://awscli-client")
	aws.run("s3", "sync", "data", "s3://awscli-client/data/")
	aws.run("sagemaker", "create-training-job", "--training-job-name", "cli-fit", "--role-arn", "arn:aws:iam::000000000000:role/training",
		"--algorithm-specification", "TrainingImage="+image+",TrainingInputMode=File",
		"--input-data-config", `[{"ChannelName":"train","DataSource":{"S3DataSource":{"S3DataType":"S3Prefix","S3Uri":"s3://awscli-client/data/"}}}]`,
		"--output-data-config", "S3OutputPath=s3://awscli-client/out",
		"--resource-config", "InstanceType=ml.m5.large,InstanceCount=1,VolumeSizeInGB=5",
		"--stopping-condition", "MaxRuntimeInSeconds=300", "--tags", "Key=team,Value=boats")
	aws.until("Completed", "sagemaker", "describe-training-job", "--training-job-name", "cli-fit", "--query", "TrainingJobStatus")
	described := aws.run("sagemaker", "describe-training-job", "--training-job-name", "cli-fit", "--query", "[ModelArtifacts.S3ModelArtifacts, TrainingJobArn]")
	data, arn, _ := strings.Cut(described, "\t")
	aws.run("s3", "cp", data, "model.tar.gz")
	aws.isArchive("model.tar.gz")

	aws.run("sagemaker", "create-model", "--model-name", "cli", "--execution-role-arn", "arn:aws:iam::000000000000:role/training",
		"--primary-container", "Image="+image+",ModelDataUrl="+data)
	aws.run("sagemaker", "create-endpoint-config", "--endpoint-config-name", "cli", "--production-variants",
		"VariantName=main,ModelName=cli,InstanceType=ml.m5.large,InitialInstanceCount=1")
	aws.run("sagemaker", "create-endpoint", "--endpoint-name", "cli", "--endpoint-config-name", "cli")
	aws.until("InService", "sagemaker", "describe-endpoint", "--endpoint-name", "cli", "--query", "EndpointStatus")
	aws.write("question.txt", "21")
	aws.run("sagemaker-runtime", "invoke-endpoint", "--endpoint-name", "cli", "--content-type", "text/csv", "--body", "fileb://question.txt", "answer.json")
	if answer := aws.read("answer.json"); !strings.Contains(answer, `"y": 42`) {
		t.Errorf("the endpoint answered %s, want y 42", answer)
	}

	if tags := aws.run("sagemaker", "list-tags", "--resource-arn", arn, "--query", "Tags[].Value"); tags != "boats" {
		t.Errorf("list-tags says %q, want boats", tags)
	}
	if refusal := aws.fail("sagemaker", "describe-endpoint", "--endpoint-name", "unknown"); !strings.Contains(refusal, "(ValidationException)") {
		t.Errorf("an unknown endpoint is answered by %s, want a ValidationException", refusal)
	}
	aws.run("sagemaker", "delete-endpoint", "--endpoint-name", "cli")
}

// awscli runs its commands, one process each, in a folder of its own.
type awscli struct {
	t       *testing.T
	program string
	env     []string
	dir     string
}

func (a awscli) command(args []string) *exec.Cmd {
	cmd := exec.Command(a.program, append(args, "--output", "text")...)
	if args[0] == "s3" {
		cmd = exec.Command(a.program, args...)
	}
	cmd.Env, cmd.Dir = a.env, a.dir
	return cmd
}

func (a awscli) run(args ...string) string {
	a.t.Helper()
	cmd := a.command(args)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		a.t.Fatalf("aws %s: %v\n%s", strings.Join(args, " "), err, complaint.Bytes())
	}
	return strings.TrimSpace(string(out))
}

// fail returns what awscli says of a request that the service refused.
func (a awscli) fail(args ...string) string {
	a.t.Helper()
	out, err := a.command(args).CombinedOutput()
	if err == nil {
		a.t.Errorf("aws %s: found no error\n%s", strings.Join(args, " "), out)
	}
	return string(out)
}

func (a awscli) until(want string, args ...string) {
	a.t.Helper()
	got := ""
	for range 60 {
		time.Sleep(2 * time.Second) // a start of awscli costs more than waiting
		if got = a.run(args...); got == want {
			return
		}
		if got == "Failed" {
			break
		}
	}
	a.t.Fatalf("aws %s: found %s, want %s", strings.Join(args, " "), got, want)
}

func (a awscli) write(file, text string) {
	a.t.Helper()
	path := filepath.Join(a.dir, file)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		a.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		a.t.Fatal(err)
	}
}

func (a awscli) read(file string) string {
	a.t.Helper()
	text, err := os.ReadFile(filepath.Join(a.dir, file))
	if err != nil {
		a.t.Fatal(err)
	}
	return string(text)
}

func (a awscli) isArchive(file string) {
	a.t.Helper()
	if text := a.read(file); !strings.HasPrefix(text, "\x1f\x8b") {
		a.t.Errorf("%s is no gzip archive", file)
	}
}

// startCloud runs `towline local up` and returns its address.
func startCloud(t *testing.T) string {
	t.Helper()
	cmd := exec.Command("towline", "local", "up", "--port", "0", "--output", "json", "-C", t.TempDir())
	cmd.Env = append(os.Environ(), "TOWLINE_CACHE="+t.TempDir())
	var log bytes.Buffer
	cmd.Stderr = &log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the local cloud said:\n%s", log.String())
		}
	})
	var up struct{ URL string }
	if err := json.NewDecoder(bufio.NewReader(out)).Decode(&up); err != nil {
		t.Fatalf("towline local up: %v", err)
	}
	return up.URL
}

// pushPrograms pushes an image of two programs as any registry client would,
// and returns its reference by digest.
func pushPrograms(t *testing.T, cloud string) string {
	t.Helper()
	var layer bytes.Buffer
	archive := tar.NewWriter(&layer)
	for _, program := range []string{"train", "serve"} {
		text, err := os.ReadFile(filepath.Join("testdata", "clients", program))
		if err != nil {
			t.Fatal(err)
		}
		header := &tar.Header{Name: "usr/local/bin/" + program, Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(text))}
		if err := archive.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Write(text); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return pushLayer(t, cloud, layer.Bytes())
}

func pushLayer(t *testing.T, cloud string, files []byte) string {
	t.Helper()
	address, err := url.Parse(cloud)
	if err != nil {
		t.Fatal(err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(files)), nil })
	if err != nil {
		t.Fatal(err)
	}
	var image v1.Image
	if image, err = mutate.AppendLayers(empty.Image, layer); err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(address.Host+"/strangers/line:latest", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, image); err != nil {
		t.Fatal(err)
	}
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return ref.Context().Digest(digest.String()).Name()
}

// clientTool finds a program of the virtual environment that `make test`
// prepares, else one on the PATH.
func clientTool(t *testing.T, program string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", ".cache", "venv", "bin", program))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err == nil {
		return path
	}
	if path, err = exec.LookPath(program); err != nil {
		t.Fatalf("no %s in .cache/venv nor on the PATH: make test installs it", program)
	}
	return path
}

// clientEnv is all that an AWS client needs to know of the local cloud.
func clientEnv(cloud string) []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "PYTHONDONTWRITEBYTECODE=1",
		"AWS_ENDPOINT_URL=" + cloud, "AWS_ACCESS_KEY_ID=towline", "AWS_SECRET_ACCESS_KEY=local", "AWS_DEFAULT_REGION=us-east-1",
		"AWS_EC2_METADATA_DISABLED=true", "NO_PROXY=*",
	}
}

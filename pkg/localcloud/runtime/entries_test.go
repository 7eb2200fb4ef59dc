package runtime_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"gitlab.com/towline/towline/pkg/localcloud/runtime"
)

// towlineImage is an image as `towline package` makes it, with the entries
// that it puts in.
func towlineImage(t *testing.T, program string) v1.Image {
	t.Helper()
	entries := []entry{
		folder("opt/program"),
		file("opt/program/program.py", program),
		file("opt/towline/lib/dependency.py", "NAME = 'dependency'\n"),
		file("opt/towline/entry.json", `{"train": ["python", "program.py"], "serve": ["python", "program.py"], "project": "threats", "model": "risk"}`),
	}
	for _, name := range []string{"train", "serve"} {
		source, err := os.ReadFile(filepath.Join("..", "..", "bundle", "entries", name+".py"))
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, file("opt/towline/bin/"+name, "#!/usr/bin/env python3.11\n"+string(source)))
	}
	return imageOf(t, layer(t, entries...))
}

// optML is a folder with hyperparameters and one channel.
func optML(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"input/config/hyperparameters.json": `{"depth": "6"}`,
		"input/data/train/data.csv":         "1,2\n",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestTraining(t *testing.T) {
	inEach(t, func(t *testing.T, p *runtime.Process) {
		ml := optML(t)
		code, said := run(t, p, runtime.Spec{OptML: ml, Env: map[string]string{"TRAINING_JOB_NAME": "job-1"}, Image: towlineImage(t, `
import dependency, os, sys
with open(os.environ["SM_CHANNEL_TRAIN"] + "/data.csv") as data, open(os.environ["SM_MODEL_DIR"] + "/model", "w") as model:
    model.write(data.read())
print(dependency.NAME, *sys.argv[1:])
`)})
		if code != 0 || said != "dependency --depth 6\n" {
			t.Errorf("training ended with %d and said %q", code, said)
		}
		if model, err := os.ReadFile(ml + "/model/model"); err != nil || string(model) != "1,2\n" {
			t.Errorf("the model holds %q, %v", model, err)
		}
		var about map[string]string
		text, err := os.ReadFile(ml + "/model/towline.json")
		if err != nil || json.Unmarshal(text, &about) != nil || about["training_job"] != "job-1" || about["model"] != "risk" {
			t.Errorf("towline.json holds %s, %v", text, err)
		}
	})
}

func TestATrainingThatFails(t *testing.T) {
	inEach(t, func(t *testing.T, p *runtime.Process) {
		ml := optML(t)
		code, said := run(t, p, runtime.Spec{OptML: ml, Image: towlineImage(t, "raise ValueError('no column price')")})
		failure, err := os.ReadFile(ml + "/output/failure")
		if code != 1 || err != nil || !strings.HasSuffix(string(failure), "ValueError: no column price") || !strings.Contains(said, string(failure)) {
			t.Errorf("training ended with %d, %v, said %q and left %q", code, err, said, failure)
		}
	})
}

func TestATrainingThatIsStopped(t *testing.T) {
	inEach(t, func(t *testing.T, p *runtime.Process) {
		var log buffer
		task := begin(t, p, runtime.Spec{OptML: optML(t), Image: towlineImage(t, `
import signal, sys, time
def stop(*_):
    print("told", flush=True); time.sleep(0.2); sys.exit(9)
signal.signal(signal.SIGTERM, stop)
print("ready", flush=True)
time.sleep(60)
`)}, &log)
		waitFor(t, "the training", func() bool { return log.String() == "ready\n" })
		task.Stop(10 * time.Second)
		if code, err := task.Wait(); code != 9 || err != nil || log.String() != "ready\ntold\n" {
			t.Errorf("training ended with %d, %v and said %q, want to be told once", code, err, log.String())
		}
	})
}

func TestServing(t *testing.T) {
	inEach(t, func(t *testing.T, p *runtime.Process) {
		address, port := freePort(t)
		var log buffer
		task := begin(t, p, runtime.Spec{Args: []string{"serve"}, OptML: optML(t), Env: map[string]string{"SAGEMAKER_BIND_TO_PORT": port}, Image: towlineImage(t, `
import dependency, http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if os.path.isfile(os.path.dirname(os.environ["SM_MODEL_DIR"]) + "/input/data/train/data.csv") else 500); self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
`)}, &log)
		waitFor(t, "the server to answer", func() bool { return pings(address) })
		task.Stop(5 * time.Second)
		if code, err := task.Wait(); code != 143 || err != nil || pings(address) {
			t.Errorf("the server ended with %d, %v; it said %q", code, err, log.String())
		}
	})
}

// pings says whether a server answers /ping well.
func pings(address string) bool {
	response, err := http.Get("http://" + address + "/ping")
	if err != nil {
		return false
	}
	return response.Body.Close() == nil && response.StatusCode == http.StatusOK
}

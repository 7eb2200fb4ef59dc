package runtime_test

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"gitlab.com/towline/towline/pkg/localcloud/runtime"
)

func TestPrune(t *testing.T) {
	cache := t.TempDir()
	p := newProcess(t, runtime.ProcessOptions{Cache: cache, Sandbox: "none"})
	shared := layer(t, script("exit 0"), file("opt/shared", "x"))
	var images []v1.Image
	for i := range 3 {
		images = append(images, imageOf(t, shared, layer(t, file("opt/program/own", strconv.Itoa(i)))))
		run(t, p, runtime.Spec{Image: images[i]})
		time.Sleep(10 * time.Millisecond) // the order of use is told by time
	}
	waiting := imageOf(t, layer(t, script("echo ready; exec sleep 60")))
	var log buffer
	task := begin(t, p, runtime.Spec{Image: waiting}, &log)
	waitFor(t, "the task", func() bool { return log.String() == "ready\n" })
	run(t, p, runtime.Spec{Image: images[0]}) // used again
	if err := os.Mkdir(cache+"/runtime/tmp/left-by-a-crash", 0o500); err != nil {
		t.Fatal(err)
	}

	others := cache + "/layers/of-somebody-else.json"
	if err := os.Mkdir(filepath.Dir(others), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(others, nil, 0o644); err != nil {
		t.Fatal(err)
	}

	count := func(kind string) int {
		entries, err := os.ReadDir(filepath.Join(cache, "runtime", kind))
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	if err := p.Prune(1); err != nil {
		t.Errorf("Prune(1) = %v", err)
	}
	// The image that was used last and the one that a task uses stay.
	if roots, layers, tmp := count("roots"), count("layers"), count("tmp"); roots != 2 || layers != 3 || tmp != 0 {
		t.Errorf("Prune(1) left %d roots, %d layers and %d temporary folders, want 2, 3 and 0", roots, layers, tmp)
	}
	id, err := images[0].ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(cache, "runtime", "roots", id.Hex)); err != nil {
		t.Errorf("the image that was used last is gone: %v", err)
	}
	task.Stop(time.Second)
	if err := p.Prune(0); err != nil {
		t.Errorf("Prune(0) = %v", err)
	}
	if roots, layers := count("roots"), count("layers"); roots != 0 || layers != 0 {
		t.Errorf("Prune(0) left %d roots and %d layers, want none", roots, layers)
	}
	if _, err := os.Stat(others); err != nil {
		t.Errorf("Prune(0) took what others keep in the cache: %v", err)
	}
	run(t, p, runtime.Spec{Image: images[1]}) // what is gone is made again
}

package bundle_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/towline/towline/pkg/bundle"
	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/record"
)

func TestAPackagedImage(t *testing.T) {
	root := repository(t)
	withWheel(t, root)
	a := action(t, root)
	receipt := pack(t, warm(t), a)

	desc, manifest, config := readManifest(t, a.Layout)
	size := desc.Size + manifest.Config.Size
	for _, layer := range manifest.Layers {
		size += layer.Size
	}
	section := record.Image{Digest: desc.Digest.String(), Platform: hostPlatform, Python: "3.11", Base: "scratch", Size: size}
	if diff := cmp.Diff(record.Section(section), receipt.Section); diff != "" {
		t.Errorf("section (-want +got):\n%s", diff)
	}
	if receipt.Yields["digest"] != section.Digest {
		t.Errorf("yields %v, want digest %s", receipt.Yields, section.Digest)
	}
	if digest, ok := bundle.LayoutDigest(a.Layout); !ok || digest != section.Digest {
		t.Errorf("LayoutDigest() = %s, %t, want %s", digest, ok, section.Digest)
	}
	for _, tt := range []struct{ name, got, want string }{
		{"manifest", string(manifest.MediaType), "application/vnd.docker.distribution.manifest.v2+json"},
		{"manifest in the index", string(desc.MediaType), "application/vnd.docker.distribution.manifest.v2+json"},
		{"config", string(manifest.Config.MediaType), "application/vnd.docker.container.image.v1+json"},
		{"layer", string(manifest.Layers[0].MediaType), "application/vnd.docker.image.rootfs.diff.tar.gzip"},
		{"ref name", desc.Annotations["org.opencontainers.image.ref.name"], "url-risk"},
		{"platform", config.OS + "/" + config.Architecture, hostPlatform},
		{"created", config.Created.Format(time.RFC3339), "2024-05-06T07:08:09Z"},
		{"working folder", config.Config.WorkingDir, "/opt/program"},
		{"label python", config.Config.Labels["org.towline.python"], "3.11"},
		{"label layout", config.Config.Labels["org.towline.layout"], bundle.LayoutVersion},
		{"label given", config.Config.Labels["org.opencontainers.image.revision"], "abc"},
		{"path", config.Config.Env[0], "PATH=/opt/towline/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/towline/lib/bin"},
		{"python path", config.Config.Env[1], "PYTHONPATH=/opt/program:/opt/towline/lib"},
		{"history", config.History[0].CreatedBy, "towline: dependencies: towdep 1.0"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s is %q, want %q", tt.name, tt.got, tt.want)
		}
	}
	if len(config.Config.Entrypoint)+len(config.Config.Cmd) > 0 || config.Config.User != "" {
		t.Errorf("config runs %v %v as %q, want nothing set", config.Config.Entrypoint, config.Config.Cmd, config.Config.User)
	}
	if len(config.RootFS.DiffIDs) != 3 || len(config.History) != 3 || len(manifest.Layers) != 3 {
		t.Errorf("%d layers, %d diff ids, %d lines of history; want 3 each", len(manifest.Layers), len(config.RootFS.DiffIDs), len(config.History))
	}
}

func TestFilesInTheImage(t *testing.T) {
	root := repository(t)
	withWheel(t, root)
	a := action(t, root)
	pack(t, warm(t), a)
	files := unpack(t, a.Layout)

	var names []string
	for name, file := range files {
		names = append(names, name)
		h := file.header
		if h.Uid != 0 || h.Gid != 0 || h.Uname != "" || !h.ModTime.Equal(time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)) {
			t.Errorf("%s: owner %d:%d %q, time %s", name, h.Uid, h.Gid, h.Uname, h.ModTime)
		}
	}
	slices.Sort(names)
	names = slices.DeleteFunc(names, func(name string) bool {
		return strings.HasSuffix(name, ".pyc") || strings.HasSuffix(name, "__pycache__/")
	})
	want := []string{
		"opt/",
		"opt/program/",
		"opt/program/lib/", "opt/program/lib/rows.py", "opt/program/requirements.txt", "opt/program/serve.py",
		"opt/program/tool.sh", "opt/program/train.py",
		"opt/towline/", "opt/towline/bin/", "opt/towline/bin/serve", "opt/towline/bin/train", "opt/towline/entry.json",
		"opt/towline/lib/", "opt/towline/lib/bin/", "opt/towline/lib/bin/towdep-answer",
		"opt/towline/lib/towdep-1.0.dist-info/", "opt/towline/lib/towdep-1.0.dist-info/METADATA",
		"opt/towline/lib/towdep-1.0.dist-info/RECORD", "opt/towline/lib/towdep-1.0.dist-info/WHEEL",
		"opt/towline/lib/towdep-1.0.dist-info/entry_points.txt",
		"opt/towline/lib/towdep/", "opt/towline/lib/towdep/__init__.py", "opt/towline/lib/towdep/broken.py",
		"opt/towline/lib/towdep/data.txt",
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	for name, mode := range map[string]int64{
		"opt/program/train.py": 0o644, "opt/program/tool.sh": 0o755, "opt/towline/bin/train": 0o755,
		"opt/towline/lib/bin/towdep-answer": 0o755, "opt/program/": 0o755,
	} {
		if got := files[name].header.Mode; got != mode {
			t.Errorf("mode of %s is %o, want %o", name, got, mode)
		}
	}
	for _, name := range []string{"opt/towline/bin/train", "opt/towline/bin/serve", "opt/towline/lib/bin/towdep-answer"} {
		if text := files[name].content; !strings.HasPrefix(text, "#!/usr/bin/env python3.11\n") || strings.Contains(text, "\r") {
			t.Errorf("%s begins with %.40q, want the image's Python and line feeds", name, text)
		}
	}
	entry := `{"project":"shop","model":"url-risk","python":"3.11","train":["python","train.py"],"serve":["python","serve.py"]}` + "\n"
	if got := files["opt/towline/entry.json"].content; got != entry {
		t.Errorf("entry.json is %s, want %s", got, entry)
	}
}

// A model that can be measured again has one more entry, and says so; what
// other models have in their images does not change.
func TestTheEvaluateEntry(t *testing.T) {
	root := repository(t)
	without, with := action(t, root), action(t, root)
	with.Layout = filepath.Join(t.TempDir(), "image")
	with.Evaluate, with.EvaluationFile = []string{"python", "evaluate.py"}, "scores.json"
	b := warm(t)
	if receipt := pack(t, b, without); receipt.Section.(record.Image).Evaluates != "" {
		t.Errorf("the record says %+v of an image without the entry", receipt.Section)
	}
	if receipt := pack(t, b, with); receipt.Section.(record.Image).Evaluates != "scores.json" {
		t.Errorf("the record says %+v, want what the entry writes", receipt.Section)
	}
	files, before := unpack(t, with.Layout), unpack(t, without.Layout)
	if _, ok := before["opt/towline/bin/evaluate"]; ok {
		t.Error("an image without the command has the entry")
	}
	if !strings.HasPrefix(files["opt/towline/bin/evaluate"].content, "#!/usr/bin/env python3.11\n") {
		t.Errorf("the entry begins with %.40q", files["opt/towline/bin/evaluate"].content)
	}
	if entry := files["opt/towline/entry.json"].content; !strings.Contains(entry, `"evaluate":["python","evaluate.py"]`) {
		t.Errorf("entry.json is %s", entry)
	}
}

// The RECORD of a distribution tells of its packed files, with their real hashes and sizes.
func TestTheRecordOfADistributionStaysTrue(t *testing.T) {
	root := repository(t)
	withWheel(t, root)
	a := action(t, root)
	pack(t, warm(t), a)
	files := unpack(t, a.Layout)
	lines := strings.Split(strings.TrimSpace(files["opt/towline/lib/towdep-1.0.dist-info/RECORD"].content), "\n")
	if len(lines) != 8 {
		t.Errorf("RECORD has %d lines, want 8:\n%s", len(lines), strings.Join(lines, "\n"))
	}
	for _, line := range lines {
		name, rest, _ := strings.Cut(line, ",")
		file, ok := files["opt/towline/lib/"+name]
		if !ok {
			t.Errorf("RECORD names %s, which is not packed", name)
			continue
		}
		if want := recordEntry(file.content); rest != want && rest != "," {
			t.Errorf("RECORD says %s of %s, want %s", rest, name, want)
		}
	}
}

func TestTheSameFilesGiveTheSameDigest(t *testing.T) {
	first := repository(t)
	withWheel(t, first)
	want := pack(t, warm(t), action(t, first)).Yields["digest"]

	second := t.TempDir()
	old := syscall.Umask(0o077)
	t.Cleanup(func() { syscall.Umask(old) })
	o := options(t)
	o.Environ = append(o.Environ, "TZ=Asia/Tokyo", "LC_ALL=C", "PYTHONHASHSEED=77")
	copyTree(t, second, first)
	write(t, second, map[string]string{"README.md": "# other words\n", ".gitlab-ci.yml": "x: 1\n", "tests/test_x.py": "", ".towline/x": ""})
	a := action(t, second)
	if got := pack(t, o, a).Yields["digest"]; got != want {
		t.Errorf("digest %s from another folder, umask and time zone, want %s", got, want)
	}
	write(t, second, map[string]string{"train.py": "print('changed')\n"})
	if got := pack(t, o, a).Yields["digest"]; got == want {
		t.Errorf("digest %s after a change of the code, want another one", got)
	}
}

func TestUnchangedRequirementsAreNotInstalledAgain(t *testing.T) {
	root := repository(t)
	withWheel(t, root)
	o, a := options(t), action(t, root)
	first := pack(t, o, a)
	o.Environ = []string{"PATH=" + os.Getenv("PATH"), "TOWLINE_UV=/does/not/exist"}

	again := pack(t, o, a)
	if again.Yields["digest"] != first.Yields["digest"] || !strings.Contains(again.Said, "as before (1 layer from the cache)") {
		t.Errorf("second run: %s, %v; want dependencies from the cache and digest %s", again.Said, again.Yields, first.Yields["digest"])
	}
	write(t, root, map[string]string{"requirements.txt": "--no-index\n--find-links wheels\ntowdep\n"})
	_, err := bundle.New(o).Package(context.Background(), a)
	wantFault(t, err, fault.Missing, "find uv: TOWLINE_UV names /does/not/exist", "correct TOWLINE_UV")
}

func TestADamagedCacheIsMended(t *testing.T) {
	root := repository(t)
	withWheel(t, root)
	o, a := options(t), action(t, root)
	want := pack(t, o, a).Yields["digest"]
	for _, pattern := range []string{"layers/*.json", "blobs/*"} {
		files, err := filepath.Glob(filepath.Join(o.Cache, pattern))
		if err != nil || len(files) != 1 {
			t.Fatalf("%s: %v, %v; want one file", pattern, files, err)
		}
		// The layout shares the file by a hard link: a new one takes its place.
		if err := os.Remove(files[0]); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(files[0], []byte("{"), 0o644); err != nil {
			t.Fatal(err)
		}
		a.Layout = filepath.Join(t.TempDir(), "image") // the former image would lend its layer
		receipt := pack(t, o, a)
		if receipt.Yields["digest"] != want || !strings.Contains(receipt.Said, "installed") {
			t.Errorf("with damaged %s: %s, %v; want them installed again with digest %s", pattern, receipt.Said, receipt.Yields, want)
		}
	}
}

// What is packaged runs: the entry finds the model's code and the dependency.
func TestTheTrainEntryOfAnImageRuns(t *testing.T) {
	root := repository(t)
	withWheel(t, root)
	write(t, root, map[string]string{"train.py": "import os, sys, towdep\nfrom lib import rows\n" +
		"open(os.environ['SM_MODEL_DIR'] + '/m.txt', 'w').write('%d %d' % (towdep.answer(), rows.rows))\n"})
	a := action(t, root)
	pack(t, warm(t), a)
	world := t.TempDir()
	for name, file := range unpack(t, a.Layout) {
		if !strings.HasSuffix(name, "/") {
			name += map[bool]string{true: "*"}[file.header.Mode&0o100 != 0]
			write(t, world, map[string]string{name: file.content})
		}
	}
	train := exec.Command(filepath.Join(world, "opt/towline/bin/train"))
	train.Env = append(os.Environ(), "TOWLINE_ROOT="+world, "TOWLINE_OPT_ML="+world+"/ml",
		"PYTHONPATH="+world+"/opt/program:"+world+"/opt/towline/lib")
	if out, err := train.CombinedOutput(); err != nil {
		t.Fatalf("train: %v\n%s", err, out)
	}
	text, err := os.ReadFile(world + "/ml/model/m.txt")
	if err != nil || string(text) != "42 1" {
		t.Errorf("model is %q, %v, want 42 1", text, err)
	}
}

func TestALayoutIsReplacedAsAWhole(t *testing.T) {
	root := repository(t)
	o, a := options(t), action(t, root)
	before := pack(t, o, a).Yields["digest"]
	write(t, root, map[string]string{"train.py": "changed\n"})

	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(os.ErrDeadlineExceeded)
	if _, err := bundle.New(o).Package(ctx, a); err == nil {
		t.Error("Package in a context that is over: no error")
	}
	if digest, ok := bundle.LayoutDigest(a.Layout); !ok || digest != before {
		t.Errorf("after a stopped run the layout holds %s, %t, want %s", digest, ok, before)
	}
	after := pack(t, o, a).Yields["digest"]
	if digest, ok := bundle.LayoutDigest(a.Layout); !ok || digest != after || after == before {
		t.Errorf("after a full run the layout holds %s, %t, want %s", digest, ok, after)
	}
	left, err := os.ReadDir(filepath.Dir(a.Layout))
	if err != nil || len(left) != 1 {
		t.Errorf("beside the layout lie %v, %v, want nothing", left, err)
	}
}

func TestALayoutThatIsNotWholeHasNoDigest(t *testing.T) {
	root := repository(t)
	o, a := options(t), action(t, root)
	pack(t, o, a)
	_, manifest, _ := readManifest(t, a.Layout)
	if err := os.Truncate(blobName(a.Layout, manifest.Layers[0].Digest), 10); err != nil {
		t.Fatal(err)
	}
	if digest, ok := bundle.LayoutDigest(a.Layout); ok {
		t.Errorf("LayoutDigest() = %s, want none for a layer cut short", digest)
	}
	if digest, ok := bundle.LayoutDigest(t.TempDir()); ok {
		t.Errorf("LayoutDigest() = %s, want none for an empty folder", digest)
	}
}

// A model that is neither trained nor served is an image and no more: programs
// on the PATH, variables and a user of its own, and no entries.
func TestAnImageAndNoMore(t *testing.T) {
	root := repository(t)
	withWheel(t, root)
	a := action(t, root)
	a.Train, a.Serve = nil, nil
	a.Programs, a.User = []string{"tools/bin"}, "1000"
	a.Environment = map[string]string{"PYTHONPATH": "", "PYTHONUNBUFFERED": "", "LANG": "C.UTF-8"}
	pack(t, warm(t), a)
	_, _, config := readManifest(t, a.Layout)
	want := []string{
		"PATH=/opt/program/tools/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/towline/lib/bin",
		"HOME=/opt/towline/home", "LANG=C.UTF-8",
	}
	if diff := cmp.Diff(want, config.Config.Env); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
	if config.Config.User != "1000" || len(config.Config.ExposedPorts) > 0 {
		t.Errorf("the image runs as %q and opens %v, want user 1000 and no port", config.Config.User, config.Config.ExposedPorts)
	}
	files := unpack(t, a.Layout)
	for _, name := range []string{"opt/towline/bin/train", "opt/towline/bin/serve", "opt/towline/entry.json"} {
		if _, there := files[name]; there {
			t.Errorf("there is %s in an image that is not trained", name)
		}
	}
	home := files["opt/towline/home/"].header
	if home.Uid != 1000 || home.Gid != 0 || home.Mode != 0o770 {
		t.Errorf("the home folder is %+v, want one of 1000:0 with mode 770", home)
	}
	script := files["opt/towline/lib/bin/towdep-answer"].content
	if !strings.HasPrefix(script, "#!/usr/bin/env python3.11\nimport sys; sys.path.insert(1, \"/opt/towline/lib\")\n") {
		t.Errorf("the console script begins with %.120q, and does not find its libraries without PYTHONPATH", script)
	}
}

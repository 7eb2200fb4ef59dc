package bundle

import (
	"maps"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"gitlab.com/towline/towline/pkg/plan"
)

// Labels that every image carries.
const (
	labelPython     = "org.towline.python"
	labelLayout     = "org.towline.layout"
	labelEvaluates  = "org.towline.evaluates" // file that the image's evaluate entry writes
	labelBaseName   = "org.opencontainers.image.base.name"
	labelBaseDigest = "org.opencontainers.image.base.digest"

	// labelBind tells SageMaker that the server listens where
	// SAGEMAKER_BIND_TO_PORT says, which an inference pipeline needs.
	labelBind = "com.amazonaws.sagemaker.capabilities.accept-bind-to-port"
)

const (
	basePath   = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	binFolder  = "/opt/towline/bin"
	pythonPath = "/opt/program:/" + libFolder
)

// configFor is the image's configuration. It has neither entrypoint nor
// command: SageMaker runs `train` and `serve`, which are found on the PATH, and
// `evaluate` where a job names it as its entrypoint. It
// has no user either: SageMaker expects its containers to run as root.
func configFor(a plan.Package, from base, layers []blob) *v1.ConfigFile {
	file := from.config.DeepCopy()
	created := a.Created.UTC()
	if a.Created.IsZero() {
		created = layerTime
	}
	file.Created = v1.Time{Time: created.Truncate(time.Second)}
	file.Container, file.DockerVersion, file.Author = "", "", "" //nolint:staticcheck // a base may still have them
	file.OS, file.Architecture, file.Variant = splitPlatform(a.Platform)
	c := &file.Config
	c.Entrypoint, c.Cmd, c.OnBuild, c.User, c.Hostname, c.Healthcheck = nil, nil, nil, "", "", nil
	c.WorkingDir = "/opt/program"
	c.Env = environment(c.Env)
	c.Labels = labels(a, from, c.Labels)
	if len(a.Serve) > 0 {
		c.Labels[labelBind] = "true"
		c.ExposedPorts = map[string]struct{}{"8080/tcp": {}}
	}
	file.RootFS.Type = "layers"
	for _, layer := range layers {
		file.RootFS.DiffIDs = append(file.RootFS.DiffIDs, layer.DiffID)
		file.History = append(file.History, v1.History{
			Created: file.Created, CreatedBy: "towline: " + layer.About, Comment: comment(layer),
		})
	}
	return file
}

// comment lets a later build find a layer by its key.
func comment(layer blob) string {
	if layer.Key == "" {
		return ""
	}
	return keyMarker + layer.Key
}

// environment adds the image's folders to the base's variables. Console scripts
// of the dependencies come last, so that none of them hides a program.
func environment(of []string) []string {
	path, libraries := basePath, ""
	var env []string
	for _, entry := range of {
		switch name, value, _ := strings.Cut(entry, "="); name {
		case "PATH":
			path = value
		case "PYTHONPATH":
			libraries = ":" + value
		case "PYTHONUNBUFFERED":
		default:
			env = append(env, entry)
		}
	}
	return append([]string{
		"PATH=" + binFolder + ":" + path + ":/" + libFolder + "/bin",
		"PYTHONPATH=" + pythonPath + libraries,
		"PYTHONUNBUFFERED=1",
	}, env...)
}

// labels are the base's, without what it says of itself, and the image's own.
func labels(a plan.Package, from base, of map[string]string) map[string]string {
	all := map[string]string{}
	for name, value := range of {
		if !strings.HasPrefix(name, "org.opencontainers.image.") && !strings.HasPrefix(name, "org.towline.") {
			all[name] = value
		}
	}
	if from.digest != "" {
		all[labelBaseDigest] = from.digest
	}
	if from.name != "" {
		all[labelBaseName] = from.name
	}
	maps.Copy(all, a.Labels)
	all[labelPython], all[labelLayout] = a.Python, LayoutVersion
	if len(a.Evaluate) > 0 {
		all[labelEvaluates] = a.EvaluationFile
	}
	return all
}

func splitPlatform(platform string) (system, arch, variant string) {
	parts := append(strings.SplitN(platform, "/", 3), "", "")
	return parts[0], parts[1], parts[2]
}

// knownArchitectures are what an image's platform may name.
var knownArchitectures = []string{"386", "amd64", "arm", "arm64", "ppc64le", "riscv64", "s390x"}

func validPlatform(platform string) bool {
	system, arch, _ := splitPlatform(platform)
	return system != "" && slices.Contains(knownArchitectures, arch)
}

package bundle

import (
	"maps"
	"path"
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
	basePath      = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	binFolder     = "/opt/towline/bin"
	programFolder = "/opt/program"
	pythonPath    = programFolder + ":/" + libFolder
)

// configFor is the image's configuration. It has neither entrypoint nor
// command: SageMaker runs `train` and `serve`, which are found on the PATH, and
// `evaluate` where a job names it as its entrypoint. Nor has it a user, unless
// it is asked for: SageMaker expects its containers to run as root.
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
	c.Entrypoint, c.Cmd, c.OnBuild, c.User, c.Hostname, c.Healthcheck = nil, nil, nil, a.User, "", nil
	c.WorkingDir = programFolder
	c.Env = environment(a, c.Env)
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

// environment adds the image's folders to the base's variables, and its own
// variables over them. Console scripts of the dependencies come last on the
// PATH, so that none of them hides a program.
func environment(a plan.Package, of []string) []string {
	own := ownVariables(a)
	search, libraries := basePath, ""
	var rest []string
	for _, entry := range of {
		name, value, _ := strings.Cut(entry, "=")
		_, replaced := own[name]
		switch {
		case name == "PATH":
			search = value
		case name == "PYTHONPATH":
			libraries = ":" + value
		case !replaced && name != "PYTHONUNBUFFERED":
			rest = append(rest, entry)
		}
	}
	list := []string{"PATH=" + searchPath(a, search)}
	if _, replaced := own["PYTHONPATH"]; !replaced {
		list = append(list, "PYTHONPATH="+pythonPath+libraries)
	}
	if _, replaced := own["PYTHONUNBUFFERED"]; !replaced {
		list = append(list, "PYTHONUNBUFFERED=1")
	}
	for _, name := range slices.Sorted(maps.Keys(own)) {
		if own[name] != "" {
			rest = append(rest, name+"="+own[name])
		}
	}
	return append(list, rest...)
}

// ownVariables are those of the manifest, and the home of a user who has one.
func ownVariables(a plan.Package) map[string]string {
	own := map[string]string{}
	if a.User != "" {
		own["HOME"] = "/" + homeFolder
	}
	maps.Copy(own, a.Environment)
	return own
}

// searchPath is the image's PATH over that of its base.
func searchPath(a plan.Package, base string) string {
	var folders []string
	for _, folder := range a.Programs {
		folders = append(folders, path.Join(programFolder, folder))
	}
	if len(a.Train) > 0 {
		folders = append(folders, binFolder)
	}
	return strings.Join(append(folders, base, "/"+libFolder+"/bin"), ":")
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

// LocalPlatform is what an image of the local environment is for, on a machine
// of this system and processor. Without a base it is run as a process of the
// machine, and its dependencies are the machine's, on a Mac too; a container on
// a base is Linux anywhere.
func LocalPlatform(base, system, processor string) string {
	if base != "" && base != Scratch {
		system = "linux"
	}
	return system + "/" + processor
}

// knownArchitectures are what an image's platform may name.
var knownArchitectures = []string{"386", "amd64", "arm", "arm64", "ppc64le", "riscv64", "s390x"}

func validPlatform(platform string) bool {
	system, arch, _ := splitPlatform(platform)
	return system != "" && slices.Contains(knownArchitectures, arch)
}

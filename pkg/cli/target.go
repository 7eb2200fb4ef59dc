package cli

import (
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"gitlab.com/towline/towline/pkg/bundle"
	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/localcloud"
	"gitlab.com/towline/towline/pkg/manifest"
	"gitlab.com/towline/towline/pkg/plan"
)

// ownBase is --base for the base that the manifest names.
const ownBase = "manifest"

// localName is the built-in environment: the embedded cloud on this machine.
const localName = "local"

// destination is where a command works: an environment of the manifest, or
// the built-in one.
type destination struct {
	name      string
	local     bool
	localBase string // base image of the built-in one; "" for none
	manifest.Environment
}

// destination resolves --target and --env against the manifest.
func (a *app) destination(m manifest.Manifest) (destination, error) {
	target := a.target
	if target == "" {
		if _, inJob := a.job(); inJob {
			return destination{}, fault.Newf(fault.Usage, "no target: in a GitLab job there is no default").
				Hintf("set TOWLINE_TARGET to aws or local in the job's variables, or pass --target")
		}
		target = localName
	}
	if target == localName {
		return a.localDestination()
	}
	return a.cloudDestination(m)
}

func (a *app) localDestination() (destination, error) {
	if a.env != "" && a.env != localName {
		return destination{}, fault.Newf(fault.Usage, "--env %s: the target local has one environment, named local", a.env).
			Hintf("pass --target aws to use an environment of %s", manifest.File)
	}
	base, err := a.localBase()
	if err != nil {
		return destination{}, err
	}
	return destination{name: localName, local: true, localBase: base, Environment: manifest.Environment{
		Region: localcloud.Region, ExecutionRole: localcloud.Role,
		Bucket: localcloud.Bucket, Registry: localcloud.Registry,
	}}, nil
}

// localBase is the base image of the built-in environment. Most need none:
// programs borrow this machine's Python. In a container there is only what the
// image holds. A folder counts from that of the repository.
func (a *app) localBase() (string, error) {
	base := or(a.base, a.getenv("TOWLINE_LOCAL_BASE"))
	if base == bundle.Scratch {
		return "", nil
	}
	folder, layout := strings.CutPrefix(base, "oci:")
	if !layout || filepath.IsAbs(folder) {
		return base, nil
	}
	root, err := a.root()
	return "oci:" + filepath.Join(root, folder), err
}

func (a *app) cloudDestination(m manifest.Manifest) (destination, error) {
	if a.base != "" {
		return destination{}, fault.Newf(fault.Usage, "--base %s: only the target local takes its base from there", a.base).
			Hintf("name the base image as image.base in %s", manifest.File)
	}
	names := slices.Sorted(maps.Keys(m.Environments))
	name := a.env
	if name == "" && len(names) == 1 {
		name = names[0]
	}
	if len(names) == 0 {
		return destination{}, fault.Newf(fault.Repository, "target aws: %s has no environments", manifest.File).
			Hintf("add one under environments: with region, execution_role, bucket and registry")
	}
	if name == "" {
		return destination{}, fault.Newf(fault.Usage, "target aws: which environment? there are %s", strings.Join(names, ", ")).
			Hintf("pass --env NAME or set TOWLINE_ENV")
	}
	environment, ok := m.Environments[name]
	if !ok {
		return destination{}, fault.Newf(fault.Usage, "--env %s: %s has %s", name, manifest.File, strings.Join(names, ", "))
	}
	return destination{name: name, Environment: environment}, nil
}

// platform is what the image of a model is built for.
func (d destination) platform(image manifest.Image) string {
	if d.local {
		return bundle.LocalPlatform(d.localBase, runtime.GOOS, runtime.GOARCH)
	}
	return image.Platforms[0]
}

// base is what the image of a model is built on, before it is pinned.
func (d destination) base(image manifest.Image) (string, error) {
	if d.local && d.localBase != ownBase {
		return or(d.localBase, bundle.Scratch), nil
	}
	if image.Base == "" {
		return "", fault.Newf(fault.Repository, "package for %s: no image.base in %s", d.name, manifest.File).
			Hintf("name a base image that holds Python %s; only the target local needs none", image.Python)
	}
	return image.Base, nil
}

// planTarget is the destination in the planners' words.
func (d destination) planTarget(base, platform string) plan.Target {
	return plan.Target{Name: d.name, Environment: d.Environment, Base: base, Platform: platform}
}

package runtime

import (
	"context"
	"slices"
	"strings"

	"gitlab.com/towline/towline/pkg/fault"
)

// The kinds of runtime.
const (
	KindProcess = "process"
	KindRunc    = "runc"
	KindPodman  = "podman"
	KindDocker  = "docker"
)

// containers are the kinds that run images in containers, the lightest first.
var containers = []string{KindRunc, KindPodman, KindDocker}

// Kinds are the names of all kinds, the default first.
func Kinds() []string { return append([]string{KindProcess}, containers...) }

// IsKind is an error for a name that is none of a runtime.
func IsKind(name string) error {
	if slices.Contains(Kinds(), name) {
		return nil
	}
	return fault.Newf(fault.Usage, "runtime %q: wanted %s", name, strings.Join(Kinds(), ", "))
}

// Open makes a runtime of a kind. A program that it needs and that is not
// there, or cannot be used here, is a fault.Missing. Containers that a killed
// process left behind are removed.
func Open(ctx context.Context, kind string, o ProcessOptions) (Runtime, error) {
	if err := IsKind(kind); err != nil {
		return nil, err
	}
	m, err := newMachine(o)
	if err != nil {
		return nil, err
	}
	m.sweepOthers(ctx, kind)
	switch kind {
	case KindRunc:
		return NewRunc(ctx, o)
	case KindPodman, KindDocker:
		return NewEngine(ctx, kind, o)
	}
	return NewProcess(o)
}

// OpenContainers makes the first container runtime that can be used here, and
// says which it is.
func OpenContainers(ctx context.Context, o ProcessOptions) (Runtime, string, error) {
	var reasons []string
	for _, kind := range containers {
		r, err := Open(ctx, kind, o)
		if err == nil {
			return r, kind, nil
		}
		if ctx.Err() != nil {
			return nil, "", context.Cause(ctx)
		}
		reasons = append(reasons, err.Error())
	}
	return nil, "", fault.Newf(fault.Missing, "find a container runtime: none of %s can be used here", strings.Join(containers, ", ")).
		With(reasons...).Hintf("install one of them, or choose the runtime process, which needs none")
}

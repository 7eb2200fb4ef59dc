package runtime

import (
	"context"

	"gitlab.com/towline/towline/pkg/fault"
)

// FindPython finds a Python of a version, such as 3.11, where programs of
// images would be given one.
func FindPython(ctx context.Context, environ []string, version string) (string, error) {
	p := &pythons{host: parseVariables(environ)}
	for _, candidate := range p.candidates(version) {
		exe := candidate(ctx)
		if exe == "" {
			continue
		}
		if a, err := p.ask(ctx, exe); err == nil && fits(a.version, version) {
			return exe, nil
		}
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
	}
	return "", noPython(version)
}

func noPython(version string) error {
	return fault.Newf(fault.Missing, "no Python %s on this machine", version).
		Hintf("install Python %s or set image.python in towline.yaml", version)
}

// TrySandbox says whether bubblewrap can be used here.
func TrySandbox(ctx context.Context, environ []string) error {
	if _, err := probeBubblewrap(ctx, parseVariables(environ)); err != nil {
		return fault.Newf(fault.Missing, "use a sandbox: %w", err).
			Hintf("install bubblewrap, or set TOWLINE_SANDBOX=none to run without it")
	}
	return nil
}

package runtime

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/proc"
)

// pythons finds the Pythons of this host.
type pythons struct {
	host  variables
	cache *cache

	mu    sync.Mutex
	found map[string]*python // by the version asked for
}

// python is an interpreter whose site-packages are empty: a program finds
// the packages of its image and no others, as it would in a container.
type python struct {
	exe   string   // to be run
	bin   string   // folder with python, python3 and pythonX.Y
	needs []string // folders that it must be able to read
}

// asked is what an interpreter says of itself: its minor version, the
// interpreter that made its virtual environment (or itself), its installation.
const asked = `import os, sys
print("%d.%d" % sys.version_info[:2])
print(os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable))
print(sys.base_prefix)
print(sys.prefix)`

const askTimeout = 20 * time.Second

type answer struct {
	version, exe, basePrefix, prefix string
}

// find finds a Python of a version: "3.11", or "3" for any.
func (p *pythons) find(ctx context.Context, version string) (*python, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known := p.found[version]; known != nil {
		return known, nil
	}
	for _, candidate := range p.candidates(version) {
		if exe := candidate(ctx); exe != "" {
			if a, err := p.ask(ctx, exe); err == nil && fits(a.version, version) {
				known, err := p.isolate(ctx, a)
				if err != nil {
					return nil, err
				}
				p.found[version] = known
				return known, nil
			}
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
	return nil, noPython(version)
}

func (p *pythons) candidates(version string) []func(context.Context) string {
	var all []func(context.Context) string
	for _, name := range []string{p.host["TOWLINE_PYTHON"], "python" + version, "python3", "python"} {
		if name != "" {
			all = append(all, func(context.Context) string { return p.host.lookPath(name) })
		}
	}
	return append(all, func(ctx context.Context) string { return p.askUV(ctx, version) })
}

func (p *pythons) askUV(ctx context.Context, version string) string {
	uv := p.host.lookPath("uv")
	if given := p.host["TOWLINE_UV"]; given != "" {
		uv = p.host.lookPath(given)
	}
	if uv == "" {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	out, err := proc.Command{Name: uv, Args: []string{"python", "find", "--no-project", version}, Dir: "/", Env: p.host.forTools().list(), Grace: time.Second}.Output(ctx)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

func (p *pythons) ask(ctx context.Context, exe string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	out, err := proc.Command{Name: exe, Args: []string{"-I", "-c", asked}, Dir: "/", Env: p.host.forTools().list(), Grace: time.Second}.Output(ctx)
	if err != nil {
		return answer{}, err
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != 4 {
		return answer{}, fmt.Errorf("%s: found %d lines, wanted its version and folders", exe, len(lines))
	}
	return answer{lines[0], lines[1], lines[2], lines[3]}, nil
}

func fits(found, wanted string) bool {
	return found == wanted || wanted == "3" && strings.HasPrefix(found, "3.")
}

// isolate makes a virtual environment by hand, which takes a few links and no
// run of venv, or finds the one made before.
func (p *pythons) isolate(ctx context.Context, a answer) (*python, error) {
	idle, err := p.cache.share(ctx, busy)
	if err != nil {
		return nil, err
	}
	defer idle()
	key := sha256.Sum256([]byte(a.version + "\n" + a.exe))
	home := p.cache.path("pythons", hex.EncodeToString(key[:16]))
	if _, err := p.cache.folder(ctx, home, func(tmp string) error { return fillEnvironment(tmp, a) }); err != nil {
		return nil, fault.Newf(fault.Missing, "prepare Python %s: %w", a.version, err)
	}
	bin := filepath.Join(home, "bin")
	made := &python{exe: filepath.Join(bin, "python"+a.version), bin: bin, needs: []string{home, a.basePrefix, filepath.Dir(a.exe)}}
	if check, err := p.ask(ctx, made.exe); err == nil && check.prefix != check.basePrefix {
		return made, nil
	}
	// An interpreter that cannot find its home from elsewhere is used as it is.
	return &python{exe: a.exe, bin: filepath.Dir(a.exe), needs: made.needs[1:]}, nil
}

func fillEnvironment(dir string, a answer) error {
	config := fmt.Sprintf("home = %s\ninclude-system-site-packages = false\nversion = %s\nexecutable = %s\n", filepath.Dir(a.exe), a.version, a.exe)
	err := errors.Join(
		os.Mkdir(filepath.Join(dir, "bin"), 0o755),
		os.MkdirAll(filepath.Join(dir, "lib", "python"+a.version, "site-packages"), 0o755),
		os.WriteFile(filepath.Join(dir, "pyvenv.cfg"), []byte(config), 0o644),
	)
	for _, name := range slices.Compact([]string{"python", "python3", "python" + a.version}) {
		err = errors.Join(err, os.Symlink(a.exe, filepath.Join(dir, "bin", name)))
	}
	return err
}

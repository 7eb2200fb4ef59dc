package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"gitlab.com/towline/towline/pkg/proc"
)

// bubblewrap gives a program the paths of a container.
// https://github.com/containers/bubblewrap
type bubblewrap struct {
	path string // "" if it cannot be used here
}

// outside is where the image's files are seen in the sandbox besides: a
// program that does not lie under /opt is run from there.
const outside = "/opt/.image"

const probeTimeout = 10 * time.Second

// probeBubblewrap finds bubblewrap and tries it once: many a container and
// some distributions forbid the namespaces that it needs.
func probeBubblewrap(ctx context.Context, host variables) (*bubblewrap, error) {
	found := host.lookPath("bwrap")
	if found == "" {
		return &bubblewrap{}, errors.New("no bwrap on the PATH")
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	args := append(frame(), "--", "true")
	if err := (proc.Command{Name: found, Args: args, Dir: "/", Env: []string{"PATH=" + defaultPath}}).Run(ctx); err != nil {
		return &bubblewrap{}, fmt.Errorf("bubblewrap cannot be used here: %w", err)
	}
	return &bubblewrap{path: found}, nil
}

// frame is what every sandbox has: the host's files, read-only, with new /dev,
// /proc and /tmp, and room for the image under /opt. The network stays: a
// server's port must be reached.
func frame() []string {
	args := []string{
		"--die-with-parent", "--new-session", "--unshare-pid", "--unshare-ipc",
		"--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp", "--dir", "/opt",
	}
	args = append(args, bindChildren("/", "/", "dev", "proc", "tmp", "opt")...)
	devices, _ := filepath.Glob("/dev/nvidia*") // its only error is a bad pattern
	for _, device := range devices {
		args = append(args, "--dev-bind-try", device, device)
	}
	return args
}

// bindChildren binds what is in a folder, read-only and but for some, below
// another folder of the sandbox. A folder that is not there has nothing in it.
func bindChildren(dir, at string, without ...string) []string {
	var args []string
	for _, entry := range list(dir) {
		from, to := filepath.Join(dir, entry.Name()), path.Join(at, entry.Name())
		switch {
		case slices.Contains(without, entry.Name()):
		case entry.Type()&os.ModeSymlink != 0:
			if target, err := os.Readlink(from); err == nil {
				args = append(args, "--symlink", target, to)
			}
		default:
			args = append(args, "--ro-bind-try", from, to)
		}
	}
	return args
}

func list(dir string) []os.DirEntry {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	return entries
}

// start starts the program in a sandbox.
func (b *bubblewrap) start(l launch, log io.Writer) (*task, error) {
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	env := l.environ(l.inSandbox)
	env["HOME"], env["TMPDIR"] = "/tmp", "/tmp"
	command := proc.Command{
		Name: b.path, Args: b.args(l), Dir: "/", Env: env.list(),
		Stdout: log, Stderr: log, Files: []*os.File{writer},
	}
	started, err := command.Start()
	_ = writer.Close()
	if err != nil {
		_ = reader.Close()
		return nil, err
	}
	s := follow(reader)
	return &task{proc: started, status: s, done: make(chan struct{}), terminate: func(sig syscall.Signal) { s.signal(sig, started.Done()) }}, nil
}

func (b *bubblewrap) args(l launch) []string {
	opt := filepath.Join(l.tree, "opt")
	reserved := []string{"ml", path.Base(outside)}
	image := slices.Clone(reserved)
	for _, entry := range list(opt) {
		image = append(image, entry.Name())
	}
	args := append([]string{"--json-status-fd", "3"}, frame()...)
	args = append(args, bindChildren("/opt", "/opt", image...)...)
	args = append(args, bindChildren(opt, "/opt", reserved...)...)
	args = append(args, "--bind", l.optML, "/opt/ml", "--ro-bind", l.tree, outside)
	for _, dir := range l.with.needs {
		if hidden(dir) {
			args = append(args, "--ro-bind", dir, dir)
		}
	}
	args = append(args, "--remount-ro", "/", "--chdir", l.workingDir(), "--")
	args = append(args, l.with.words...)
	if l.prog.path != "" {
		args = append(args, l.inSandbox(l.prog.path))
	}
	return append(args, l.prog.args...)
}

// hidden says whether a folder of the host lies where the sandbox has its own.
func hidden(dir string) bool {
	return strings.HasPrefix(dir, "/tmp/") || strings.HasPrefix(dir, "/dev/")
}

// inSandbox is where a path of the image is seen in the sandbox.
func (l launch) inSandbox(name string) string {
	if strings.HasPrefix(name, "/opt/") {
		return name
	}
	return path.Join(outside, name)
}

func (l launch) workingDir() string {
	dir := path.Join("/", l.config.WorkingDir)
	if !isDir(filepath.Join(l.tree, dir)) {
		return "/"
	}
	return l.inSandbox(dir)
}

// status is what bubblewrap reports of a sandbox while it runs.
type status struct {
	begun chan struct{} // closed when init is known, or will not be
	ended chan struct{} // closed when nothing more will be reported

	mu   sync.Mutex
	init int
	code *int
}

func follow(r io.ReadCloser) *status {
	s := &status{begun: make(chan struct{}), ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		defer func() { _ = r.Close() }()
		begun := sync.OnceFunc(func() { close(s.begun) })
		defer begun()
		reports := json.NewDecoder(r)
		for {
			var report struct {
				Init int  `json:"child-pid"`
				Code *int `json:"exit-code"`
			}
			if reports.Decode(&report) != nil {
				return
			}
			s.mu.Lock()
			if report.Init != 0 {
				s.init = report.Init
				begun()
			}
			if report.Code != nil {
				s.code = report.Code
			}
			s.mu.Unlock()
		}
	}()
	return s
}

// exit is the program's exit code, if bubblewrap saw its end.
func (s *status) exit() (code int, reported bool) {
	<-s.ended
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.code == nil {
		return 0, false
	}
	return *s.code, true
}

// signal reaches the program in the sandbox. Bubblewrap hands no signals on:
// the process that we started would die of one and take the sandbox with it at
// once. Below it stands process 1 of the sandbox, which is bubblewrap too and
// which the kernel shields from signals that it does not handle; the program
// is its first child, and that is signalled.
func (s *status) signal(sig syscall.Signal, over <-chan struct{}) {
	select {
	case <-s.begun:
	case <-over:
		return
	}
	s.mu.Lock()
	init := s.init
	s.mu.Unlock()
	limit := time.After(time.Second)
	for init != 0 {
		if program := firstChild(init); program != 0 {
			_ = syscall.Kill(program, sig)
			return
		}
		select {
		case <-over:
			return
		case <-limit:
			return
		case <-time.After(5 * time.Millisecond): // it is about to be started
		}
	}
}

// firstChild reads a process's first child from /proc, 0 if there is none yet.
func firstChild(pid int) int {
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(children)), " ")
	child, err := strconv.Atoi(first)
	if err != nil {
		return 0
	}
	return child
}

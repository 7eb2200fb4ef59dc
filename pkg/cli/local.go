package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/localcloud"
	"gitlab.com/towline/towline/pkg/localcloud/runtime"
	"gitlab.com/towline/towline/pkg/proc"
	"gitlab.com/towline/towline/pkg/workspace"
)

func newLocal(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "local",
		Short: "Run the embedded local cloud by itself",
		Long: "The local cloud speaks the protocols of S3, SageMaker, STS, CloudWatch Logs and\n" +
			"an image registry on one loopback port. Its state lies under .towline/local/ and\n" +
			"survives a restart.",
		Example: "  towline local up\n  towline local up --detach\n  towline local up --runtime runc\n" +
			"  towline local up --trust trust.json\n  towline local down",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newLocalUp(a), newLocalDown(a))
	return cmd
}

type localUpOptions struct {
	port    int
	detach  bool
	runtime string
	trust   string
	dry     dryRun
}

func newLocalUp(a *app) *cobra.Command {
	var o localUpOptions
	cmd := &cobra.Command{
		Use:     "up",
		Short:   "Start the local cloud, in the foreground unless detached",
		Example: "  towline local up --port 4566\n  aws --endpoint-url http://127.0.0.1:4566 sagemaker list-endpoints",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.port < 0 || o.port > 65535 {
				return fault.Newf(fault.Usage, "--port %d: wanted a number from 0 to 65535", o.port)
			}
			if o.runtime != "" {
				if err := runtime.IsKind(o.runtime); err != nil {
					return err
				}
				a.environ = append(a.environ, localRuntime+"="+o.runtime) // for a detached one too
			}
			if o.trust != "" {
				path, err := filepath.Abs(o.trust)
				if err != nil {
					return fault.Newf(fault.Usage, "--trust %s: %w", o.trust, err)
				}
				a.environ = append(a.environ, localTrust+"="+path)
			}
			if o.dry.on {
				return a.planLocal(map[string]any{"plan": "start", "port": o.port}, "start a local cloud on port %s of 127.0.0.1, with its state in %s", portText(o.port))
			}
			if o.detach {
				return a.detachLocal(cmd.Context(), o)
			}
			return a.runLocal(cmd.Context(), o)
		},
	}
	cmd.Flags().IntVar(&o.port, "port", 0, "port on 127.0.0.1; 0 takes a free one")
	cmd.Flags().StringVar(&o.runtime, "runtime", "", "what runs images: process (the default), runc, podman or docker ("+localRuntime+")")
	cmd.Flags().StringVar(&o.trust, "trust", "", "file with the identity providers and roles of its STS, and whom they trust ("+localTrust+")")
	cmd.Flags().BoolVar(&o.detach, "detach", false, "leave it running in the background")
	o.dry.register(cmd)
	return cmd
}

func portText(port int) string {
	if port == 0 {
		return "0 (a free one)"
	}
	return strconv.Itoa(port)
}

// planLocal says what would be done, as data or in words; the last word is the folder of the state.
func (a *app) planLocal(data map[string]any, format string, args ...any) error {
	ws, err := a.localFolder()
	if err != nil {
		return err
	}
	if a.output == "json" {
		data["state"] = ws.Local()
		return a.printJSON(data)
	}
	_, err = fmt.Fprintf(a.stdout, "plan: "+format+"\n", append(args, ws.Local())...)
	return err
}

// localFolder is where the local cloud of a repository lives; it needs no manifest.
func (a *app) localFolder() (*workspace.Workspace, error) {
	root, err := a.root()
	if err != nil {
		return nil, err
	}
	return workspace.Open(root)
}

func (a *app) runLocal(ctx context.Context, o localUpOptions) error {
	ws, err := a.localFolder()
	if err != nil {
		return err
	}
	lc, err := a.startLocal(ctx, ws, "127.0.0.1:"+strconv.Itoa(o.port))
	if err != nil {
		return err
	}
	if err := a.tellLocal(lc.URL(), os.Getpid()); err != nil {
		closeLocal(ctx, lc)
		return err
	}
	<-ctx.Done()
	closeLocal(ctx, lc)
	return nil // being stopped is how it ends
}

func (a *app) tellLocal(url string, pid int) error {
	if a.output == "json" {
		return a.printJSON(map[string]any{"url": url, "pid": pid})
	}
	_, err := fmt.Fprintf(a.stdout, "the local cloud answers at %s (process %d)\n"+
		"  export AWS_ENDPOINT_URL=%s AWS_ACCESS_KEY_ID=towline AWS_SECRET_ACCESS_KEY=local AWS_DEFAULT_REGION=%s\n",
		url, pid, url, localcloud.Region)
	return err
}

// detachPatience is how long a detached cloud may take to answer.
const detachPatience = 30 * time.Second

// detachLocal starts this program again, in a session of its own, and waits
// until the cloud answers.
func (a *app) detachLocal(ctx context.Context, o localUpOptions) error {
	ws, err := a.localFolder()
	if err != nil {
		return err
	}
	if running, ok := localcloud.Find(ws.Local()); ok {
		return alreadyUp(running)
	}
	child, logPath, err := a.spawnLocal(ws, o)
	if err != nil {
		return err
	}
	exited := make(chan error, 1)
	go func() { exited <- child.Wait() }()
	deadline := time.After(detachPatience)
	for {
		if running, ok := localcloud.Find(ws.Local()); ok {
			return a.tellLocal(running.URL, running.PID)
		}
		select {
		case err := <-exited:
			return stillborn(logPath, err)
		case <-ctx.Done():
			_ = child.Process.Signal(syscall.SIGTERM)
			return context.Cause(ctx)
		case <-deadline:
			_ = child.Process.Signal(syscall.SIGTERM)
			return fault.Newf(fault.Timeout, "local up: no answer within %s", detachPatience).Hintf("read %s", logPath)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func alreadyUp(running localcloud.Running) error {
	return fault.Newf(fault.Conflict, "local up: a local cloud runs here already, at %s (process %d)", running.URL, running.PID).
		Hintf("use it as it is, or stop it with: towline local down")
}

// spawnLocal starts the background process with its output in a file.
func (a *app) spawnLocal(ws *workspace.Workspace, o localUpOptions) (*exec.Cmd, string, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, "", fault.Newf(fault.Bug, "local up: find this program: %w", err)
	}
	root, err := a.root()
	if err != nil {
		return nil, "", err
	}
	if err := ws.Create(); err != nil {
		return nil, "", err
	}
	if err := os.MkdirAll(ws.Local(), 0o755); err != nil {
		return nil, "", fault.Newf(fault.Remote, "local up: %w", err)
	}
	logPath := filepath.Join(ws.Local(), "cloud.log")
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return nil, "", fault.Newf(fault.Remote, "local up: %w", err)
	}
	defer log.Close()
	if err := proc.KeepFiles(); err != nil {
		return nil, "", fault.Newf(fault.Remote, "local up: keep open files from the background process: %w", err)
	}
	cmd := exec.Command(program, "local", "up", "-C", root, "--port", strconv.Itoa(o.port))
	cmd.Env = a.environ
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, "", fault.Newf(fault.Bug, "local up: %w", err)
	}
	return cmd, logPath, nil
}

// stillborn is a background process that ended before it answered: what it
// said is passed on as if it had been said here.
func stillborn(logPath string, ended error) error {
	text, err := os.ReadFile(logPath)
	_, said, found := strings.Cut(string(text), "towline: error: ")
	if err != nil || !found {
		return fault.Newf(fault.Remote, "local up: the background process ended at once").
			Hintf("run it in the foreground: towline local up")
	}
	kind := fault.Remote
	var exit *exec.ExitError
	if errors.As(ended, &exit) && exit.ExitCode() > 0 {
		kind = fault.Kind(exit.ExitCode())
	}
	cause, hint, _ := strings.Cut(said, "towline: hint: ")
	return fault.Newf(kind, "%s", strings.TrimSpace(cause)).Hintf("%s", strings.TrimSpace(hint))
}

func newLocalDown(a *app) *cobra.Command {
	var dry dryRun
	cmd := &cobra.Command{
		Use:     "down",
		Short:   "Stop the local cloud; its state is kept",
		Example: "  towline local down",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dry.on {
				return a.planLocal(map[string]any{"plan": "stop"}, "stop the local cloud, if one runs; its state stays in %s")
			}
			return a.runLocalDown(cmd.Context())
		},
	}
	dry.register(cmd)
	return cmd
}

func (a *app) runLocalDown(ctx context.Context) error {
	ws, err := a.localFolder()
	if err != nil {
		return err
	}
	running, ok := localcloud.Find(ws.Local())
	if !ok {
		fmt.Fprintln(a.stderr, "no local cloud runs here")
		return a.tellStopped(map[string]any{"stopped": false})
	}
	if err := syscall.Kill(running.PID, syscall.SIGTERM); err != nil {
		return fault.Newf(fault.Remote, "local down: stop process %d: %w", running.PID, err)
	}
	deadline := time.After(time.Minute)
	for {
		if syscall.Kill(running.PID, 0) != nil || !stillThere(ws) {
			fmt.Fprintf(a.stderr, "stopped the local cloud (process %d); its state is kept in %s\n", running.PID, ws.Local())
			return a.tellStopped(map[string]any{"stopped": true, "pid": running.PID, "state": ws.Local()})
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-deadline:
			return fault.Newf(fault.Timeout, "local down: process %d has not ended within a minute", running.PID)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// tellStopped tells a program what people read on stderr.
func (a *app) tellStopped(data map[string]any) error {
	if a.output != "json" {
		return nil
	}
	return a.printJSON(data)
}

func stillThere(ws *workspace.Workspace) bool {
	_, ok := localcloud.Find(ws.Local())
	return ok
}

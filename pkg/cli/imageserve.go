package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"time"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/localcloud/runtime"
)

// stopPatience is how long a program may take to end when it is asked to, as
// SageMaker gives a server.
const stopPatience = 30 * time.Second

// serveImage runs the server until it ends or the user has enough of it.
func (a *app) serveImage(ctx context.Context, programs runtime.Runtime, r imageRun, spec runtime.Spec) error {
	port, err := r.listenOn(ctx)
	if err != nil {
		return err
	}
	spec.Env["SAGEMAKER_BIND_TO_PORT"] = strconv.Itoa(port)
	task, err := programs.Run(ctx, spec)
	if err != nil {
		return err
	}
	defer task.Stop(stopPatience)
	url := "http://127.0.0.1:" + strconv.Itoa(port)
	if err := awaitPing(ctx, task, url+"/ping"); err != nil {
		return err
	}
	if err := a.tellServer(r, url); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil // being stopped is how it ends
	case <-task.Done():
		return serverEnded(task)
	}
}

func (a *app) tellServer(r imageRun, url string) error {
	if a.output == "json" {
		return a.printJSON(map[string]string{"image": r.ref, "url": url})
	}
	sample := ""
	if r.model != nil && r.model.Serve != nil && r.model.Serve.Sample != nil {
		s := *r.model.Serve.Sample
		sample = fmt.Sprintf(" -H 'Content-Type: %s' --data-binary @%s", or(s.ContentType, "application/json"), filepath.Join(a.dir, r.model.Path, s.File))
	}
	_, err := fmt.Fprintf(a.stdout, "serving at %s until Ctrl-C\n  curl %s/ping\n  curl%s %s/invocations\n", url, url, sample, url)
	return err
}

// listenOn is the port to serve on: the one asked for, or a free one.
func (r imageRun) listenOn(ctx context.Context) (int, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:"+strconv.Itoa(r.port))
	if err != nil {
		return 0, fault.Newf(fault.Conflict, "image run: listen on port %d: %w", r.port, err).Hintf("choose another one with --port, or none")
	}
	port := listener.Addr().(*net.TCPAddr).Port
	return port, listener.Close()
}

// awaitPing waits until the server answers GET /ping with 200, or ends.
func awaitPing(ctx context.Context, task runtime.Task, url string) error {
	client := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}}
	for {
		if pinged(ctx, client, url) {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-task.Done():
			return serverEnded(task)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func pinged(ctx context.Context, client *http.Client, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	return errors.Join(err, resp.Body.Close()) == nil && resp.StatusCode == http.StatusOK
}

func serverEnded(task runtime.Task) error {
	code, err := task.Wait()
	if err != nil {
		return err
	}
	return fault.Newf(fault.Model, "image run: the server ended with exit code %d", code).Hintf("what it said is above")
}

//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"time"
)

// line is a TCP proxy that counts what goes through it. The kernel moves the
// bytes (splice), which are counted when a connection ends.
type line struct {
	up, down atomic.Int64
	open     atomic.Int64 // directions of connections that have not ended
}

func (l *line) reset() {
	l.up.Store(0)
	l.down.Store(0)
}

func (l *line) serve(listener net.Listener, to string) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		l.open.Add(2)
		go func() {
			server, err := net.Dial("tcp", to)
			if err != nil {
				_ = client.Close()
				l.open.Add(-2)
				return
			}
			go l.copy(server, client, &l.up)
			l.copy(client, server, &l.down)
		}()
	}
}

func (l *line) copy(to, from net.Conn, count *atomic.Int64) {
	defer l.open.Add(-1)
	n, _ := io.Copy(to, from)
	count.Add(n)
	_, _ = to.Close(), from.Close()
}

// quiet waits until all connections have ended, as they do with the programs
// that opened them.
func (l *line) quiet() error {
	for range 5000 {
		if l.open.Load() == 0 {
			return nil
		}
		time.Sleep(time.Millisecond)
	}
	return errors.New("a connection to the registry is still open")
}

// registry starts Debian's registry, and the proxy before it.
func (b *bench) registry() (stop func(), err error) {
	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	back, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b.proxied, b.direct = front.Addr().String(), back.Addr().String()
	if err := back.Close(); err != nil {
		return nil, err
	}
	config := filepath.Join(b.dir, "registry.yml")
	text := fmt.Sprintf("version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: %q}\n", filepath.Join(b.dir, "registry"), b.direct)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return nil, err
	}
	cmd := exec.Command("docker-registry", "serve", config)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	b.line = &line{}
	go b.line.serve(front, b.direct)
	stop = func() { _, _, _ = front.Close(), cmd.Process.Kill(), cmd.Wait() }
	for range 100 {
		resp, err := http.Get("http://" + b.direct + "/v2/")
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			return stop, resp.Body.Close()
		}
		time.Sleep(50 * time.Millisecond)
	}
	stop()
	return nil, errors.New("the registry did not answer within 5 s")
}

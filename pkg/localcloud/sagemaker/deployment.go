package sagemaker

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"sync"
	"time"
)

// deployment is what an endpoint runs: one fleet that answers, and during an
// update a second one that is to take over.
type deployment struct {
	s    *Service
	name string

	mu      sync.Mutex
	current *fleet // nil until the first one answers, and when the endpoint is gone
}

// fleet is the servers of one release, one for each variant.
type fleet struct {
	release release
	dir     string
	servers []*server
	cancel  context.CancelFunc
	done    chan struct{} // closed when every server has ended

	mu       sync.Mutex
	inFlight int
	idle     chan struct{} // closed when it is retired and no request is in flight
	retired  bool
}

// deploy gives the deployment of an endpoint. The caller holds s.mu.
func (s *Service) deploy(name string) *deployment {
	d := s.serving[name]
	if d == nil {
		d = &deployment{s: s, name: name}
		s.serving[name] = d
	}
	return d
}

// restoreEndpoints starts again what was serving when the last cloud ended.
func (s *Service) restoreEndpoints() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, row := range s.endpoints.All() {
		switch row.Status {
		case creating:
			s.deploy(row.Name).create(row.Serves)
		case deleting:
			s.deploy(row.Name).remove()
		case failed:
		default:
			s.deploy(row.Name).restore(row)
		}
	}
}

// create starts the first fleet; the endpoint is in service when it answers.
func (d *deployment) create(serves release) {
	d.s.spawn(func() {
		f := d.launch(serves)
		reason := f.ready(d.s.ctx)
		if d.s.ctx.Err() != nil {
			<-f.done
			return
		}
		if reason == "" {
			d.swap(f)
		} else {
			f.stop()
		}
		d.save(func(row *endpoint) {
			row.Status, row.FailureReason = inService, ""
			if reason != "" {
				row.Status, row.FailureReason = failed, shorten(reason)
			}
		})
	})
}

// restore starts the fleet that was serving. Requests wait for it.
func (d *deployment) restore(row endpoint) {
	lost := ""
	if row.Status == updating {
		lost = "InternalServerError: the local cloud stopped during the update to " + row.Pending.Config
	}
	d.save(func(row *endpoint) { row.Status, row.Pending = systemUpdating, nil })
	f := d.launch(row.Serves)
	d.swap(f)
	d.s.spawn(func() {
		reason := f.ready(d.s.ctx)
		if d.s.ctx.Err() != nil {
			<-f.done
			return
		}
		if reason == "" {
			d.save(func(row *endpoint) { row.Status, row.FailureReason = inService, lost })
			return
		}
		d.swap(nil)
		f.stop()
		d.save(func(row *endpoint) { row.Status, row.FailureReason = outOfService, shorten(reason) })
	})
}

// update starts a second fleet. It takes over when it answers; if it does not,
// the first one goes on, and the endpoint tells why.
func (d *deployment) update(pending release) {
	d.s.spawn(func() {
		f := d.launch(pending)
		reason := f.ready(d.s.ctx)
		if d.s.ctx.Err() != nil {
			<-f.done
			return
		}
		if reason != "" {
			f.stop()
			d.save(func(row *endpoint) {
				row.Status, row.Pending, row.FailureReason = inService, nil, shorten(reason)
				if d.fleet() == nil {
					row.Status = outOfService
				}
			})
			return
		}
		old := d.swap(f)
		d.save(func(row *endpoint) {
			row.Status, row.Serves, row.Pending, row.FailureReason = inService, pending, nil, ""
		})
		if old != nil {
			old.drain(d.s.ctx)
			old.stop()
		}
	})
}

// remove ends the endpoint.
func (d *deployment) remove() {
	d.s.spawn(func() {
		if old := d.swap(nil); old != nil {
			old.drain(d.s.ctx)
			old.stop()
		}
		if d.s.ctx.Err() != nil {
			return // the next cloud goes on with it
		}
		d.s.mu.Lock()
		defer d.s.mu.Unlock()
		delete(d.s.serving, d.name)
		if _, err := d.s.endpoints.Delete(d.name); err != nil {
			d.s.o.Log.Error("an endpoint could not be deleted", "endpoint", d.name, "error", err)
		}
	})
}

func (d *deployment) save(change func(*endpoint)) {
	_, err := d.s.endpoints.Update(d.name, func(row *endpoint) error {
		change(row)
		row.Modified = d.s.now()
		return nil
	})
	if err != nil {
		d.s.o.Log.Error("the state of an endpoint could not be saved", "endpoint", d.name, "error", err)
	}
}

func (d *deployment) swap(f *fleet) (old *fleet) {
	d.mu.Lock()
	defer d.mu.Unlock()
	old, d.current = d.current, f
	return old
}

func (d *deployment) fleet() *fleet {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.current
}

// enter gives the fleet that answers, with one more request in flight.
func (d *deployment) enter() *fleet {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.current == nil {
		return nil
	}
	d.current.mu.Lock()
	defer d.current.mu.Unlock()
	d.current.inFlight++
	return d.current
}

func (f *fleet) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.inFlight--
	if f.retired && f.inFlight == 0 {
		close(f.idle)
	}
}

// drain waits until the requests of a fleet that takes no more have ended.
func (f *fleet) drain(ctx context.Context) {
	f.mu.Lock()
	f.retired = true
	if f.inFlight == 0 {
		close(f.idle)
	}
	f.mu.Unlock()
	timer := time.NewTimer(invocationLimit + time.Second)
	defer timer.Stop()
	select {
	case <-f.idle:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// launch starts a fleet, and does not wait for it.
func (d *deployment) launch(r release) *fleet {
	ctx, cancel := context.WithCancel(d.s.ctx)
	f := &fleet{release: r, cancel: cancel, done: make(chan struct{}), idle: make(chan struct{}), dir: d.s.work("endpoints", d.name, rand.Text())}
	var servers sync.WaitGroup
	for _, v := range r.Variants {
		srv := newServer(d.s, d.name, v, f.dir)
		f.servers = append(f.servers, srv)
		servers.Go(func() { srv.run(ctx) })
	}
	d.s.spawn(func() {
		servers.Wait()
		cancel()
		if err := os.RemoveAll(f.dir); err != nil && !errors.Is(err, os.ErrNotExist) {
			d.s.o.Log.Warn("the files of a server could not be removed", "endpoint", d.name, "error", err)
		}
		close(f.done)
	})
	return f
}

// ready waits until every server has answered, and gives the reason if one
// does not.
func (f *fleet) ready(ctx context.Context) string {
	for _, srv := range f.servers {
		select {
		case <-srv.first:
		case <-srv.ended:
		case <-ctx.Done():
			return errClosed.Error()
		}
	}
	for _, srv := range f.servers {
		if reason := srv.failure(); reason != "" {
			return reason
		}
	}
	return ""
}

// stop ends the servers and waits for their end.
func (f *fleet) stop() {
	f.cancel()
	<-f.done
}

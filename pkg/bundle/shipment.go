package bundle

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"golang.org/x/sync/errgroup"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/plan"
)

// shipment is a parcel on its way to a repository.
type shipment struct {
	b       *Bundler
	a       plan.Push
	parcel  *parcel
	sent    *tally
	to      name.Repository
	pusher  *remote.Pusher
	created bool
}

// deliver sends what the repository lacks, and creates the repository first if
// that turns out to be needed.
func (s *shipment) deliver(ctx context.Context) error {
	err := s.try(ctx)
	if s.a.Create == nil || s.b.o.Create == nil || !noRepository(err) {
		return err
	}
	if err := s.b.o.Create(ctx, s.a.Repository, *s.a.Create); err != nil {
		return err
	}
	s.created = true
	return s.try(ctx)
}

func noRepository(err error) bool {
	var answer *transport.Error
	return errors.As(err, &answer) && has(answer, transport.NameUnknownErrorCode)
}

func (s *shipment) try(ctx context.Context) error {
	there, err := s.b.has(ctx, s.to.Digest(s.parcel.root.Digest.String()))
	var answer *transport.Error
	if errors.As(err, &answer) && answer.StatusCode == http.StatusForbidden {
		err = nil // some registries forbid to ask for what is not there: the upload tells
	}
	if err != nil {
		return err
	}
	if s.pusher, err = remote.NewPusher(s.b.remote(ctx)...); err != nil {
		return err
	}
	if there {
		s.sent.skip()
		return nil
	}
	if err := s.layers(ctx); err != nil {
		return err
	}
	for _, img := range s.parcel.images {
		if err := s.pusher.Push(ctx, s.to.Digest(img.desc.Digest.String()), img); err != nil {
			return err
		}
	}
	if s.parcel.raw == nil {
		return nil
	}
	return s.pusher.Push(ctx, s.to.Digest(s.parcel.root.Digest.String()), s.parcel)
}

// layers sends the layers, several at a time, each once.
func (s *shipment) layers(ctx context.Context) error {
	workers, ctx := errgroup.WithContext(ctx)
	workers.SetLimit(uploads)
	i := 0
	for _, img := range s.parcel.images {
		for _, layer := range img.layers {
			at := i
			i++
			workers.Go(func() error {
				if err := s.pusher.Upload(ctx, s.to, layer); err != nil {
					return err
				}
				s.sent.settle(at)
				return nil
			})
		}
	}
	return workers.Wait()
}

// tag names what was sent. A tag that names it already is left alone.
func (s *shipment) tag(ctx context.Context, tag string) error {
	if s.parcel.raw != nil {
		return s.pusher.Push(ctx, s.to.Tag(tag), s.parcel)
	}
	return s.pusher.Push(ctx, s.to.Tag(tag), s.parcel.images[0])
}

// mark moves the tag that later builds look at. It is no part of the release:
// a registry may refuse to move it.
func (s *shipment) mark(ctx context.Context) {
	if s.a.Marker == "" {
		return
	}
	if err := s.tag(ctx, s.a.Marker); err != nil {
		s.b.o.Log(fmt.Sprintf("later builds reuse fewer layers: tag %s:%s: %v", s.a.Repository, s.a.Marker, err))
	}
}

func (s *shipment) said() string {
	if s.created {
		return "repository created, " + s.sent.String()
	}
	return s.sent.String()
}

// fault classifies the error of a delivery. What the layout says of a layer
// that is lost is struck out, so that the next build makes it anew.
func (s *shipment) fault(err error) error {
	var lost *lostLayer
	if errors.As(err, &lost) {
		s.forget(lost.digest)
	}
	var known *fault.Error
	if errors.As(err, &known) {
		return known
	}
	return registryFault("push "+s.a.Repository, err)
}

func (s *shipment) forget(digest v1.Hash) {
	noted := readNotes(s.parcel.folder)
	for i := range noted.Layers {
		if noted.Layers[i].Digest == digest {
			noted.Layers[i].Registry, noted.Layers[i].How = "", howBuilt
		}
	}
	if err := noted.write(s.parcel.folder); err != nil {
		s.b.o.Log("the layout's notes stay as they are: " + err.Error())
	}
}

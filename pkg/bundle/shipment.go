package bundle

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"
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
	before  *ahead // what was sent while it was packed; may be nil
	to      name.Repository
	pusher  *remote.Pusher
	created bool
}

// deliver sends what the repository lacks, and creates the repository first if
// that turns out to be needed.
func (s *shipment) deliver(ctx context.Context) error {
	err := s.try(ctx)
	if err != nil && s.before != nil && ctx.Err() == nil && !noRepository(err) {
		s.before = nil // what was sent ahead may be lost by now
		err = s.try(ctx)
	}
	if s.a.Create == nil || s.b.o.Create == nil || !noRepository(err) {
		return err
	}
	if err := s.b.o.Create(ctx, s.a.Repository, *s.a.Create); err != nil {
		return err
	}
	s.created, s.before = true, nil
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
		if err := s.pusher.Put(ctx, s.to.Digest(img.desc.Digest.String()), manifestText{img.rawManifest, img.desc.MediaType}); err != nil {
			return err
		}
	}
	if s.parcel.raw == nil {
		return nil
	}
	return s.pusher.Put(ctx, s.to.Digest(s.parcel.root.Digest.String()), s.root())
}

// root is the document that the tags name.
func (s *shipment) root() manifestText {
	if s.parcel.raw != nil {
		return manifestText{s.parcel.raw, s.parcel.root.MediaType}
	}
	return manifestText{s.parcel.images[0].rawManifest, s.parcel.root.MediaType}
}

// manifestText is a manifest or an index whose blobs are there.
type manifestText struct {
	text      []byte
	mediaType types.MediaType
}

func (d manifestText) RawManifest() ([]byte, error)        { return d.text, nil }
func (d manifestText) MediaType() (types.MediaType, error) { return d.mediaType, nil }

// layers sends the layers and configurations, several at a time, each once;
// not those that were sent ahead.
func (s *shipment) layers(ctx context.Context) error {
	workers, ctx := errgroup.WithContext(ctx)
	workers.SetLimit(uploads)
	at := 0
	for _, img := range s.parcel.images {
		for i, layer := range img.layers {
			place := at
			at++
			if sent, there := s.before.has(img.manifest.Layers[i].Digest); there {
				s.sent.arrived(place, sent)
				continue
			}
			workers.Go(func() error {
				if err := s.pusher.Upload(ctx, s.to, layer); err != nil {
					return err
				}
				s.sent.settle(place)
				return nil
			})
		}
		workers.Go(func() error {
			config, err := partial.ConfigLayer(img)
			if err != nil {
				return err
			}
			return s.pusher.Upload(ctx, s.to, config)
		})
	}
	return workers.Wait()
}

// tag names what was sent. A tag that names it already is left alone.
func (s *shipment) tag(ctx context.Context, tag string) error {
	err := s.pusher.Push(ctx, s.to.Tag(tag), s.root())
	return s.b.unlessTagged(ctx, err, s.to.Tag(tag), s.parcel.root.Digest.String())
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

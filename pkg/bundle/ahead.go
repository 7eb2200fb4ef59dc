package bundle

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/stream"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// ahead sends layers to a repository while others are still being packed. What
// it could not send is left to the push, which says why. It sends no manifest
// and no tag: without the push, nothing in the registry has changed. A nil one
// sends nothing.
type ahead struct {
	b      *Bundler
	ctx    context.Context //nolint:containedctx // one build, and it ends with it
	cancel context.CancelFunc
	to     name.Repository
	pusher *remote.Pusher
	count  *tally
	slots  chan struct{} // as many as uploads at a time
	work   sync.WaitGroup

	mu     sync.Mutex
	there  map[v1.Hash]bool // layers that the repository has, and whether they were sent
	failed bool
}

// setOut begins to send ahead, if the action says so. What stands in the way is
// the push's to tell.
func (b *Bundler) setOut(ctx context.Context, to string) *ahead {
	if to == "" {
		return nil
	}
	repository, err := b.repository(to)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	pusher, err := remote.NewPusher(b.remote(ctx)...)
	if err != nil {
		cancel()
		return nil
	}
	return &ahead{
		b: b, ctx: ctx, cancel: cancel, to: repository, pusher: pusher, count: newTally(nil, b.o.Progress),
		slots: make(chan struct{}, uploads), there: map[v1.Hash]bool{},
	}
}

// handOver leaves what is under way to the push.
func (s *ahead) handOver() {
	if s == nil {
		return
	}
	s.b.mu.Lock()
	former := s.b.underway[s.to.Name()]
	s.b.underway[s.to.Name()] = s
	s.b.mu.Unlock()
	former.giveUp()
}

// giveUp stops what is under way.
func (s *ahead) giveUp() {
	if s != nil {
		s.cancel()
		s.work.Wait()
	}
}

// arrived gives what was sent ahead to a repository, once all of it is there.
func (b *Bundler) arrived(to name.Repository) *ahead {
	b.mu.Lock()
	s := b.underway[to.Name()]
	delete(b.underway, to.Name())
	b.mu.Unlock()
	if s != nil {
		s.work.Wait()
	}
	return s
}

// has says whether a layer has arrived, and whether it had to be sent.
func (s *ahead) has(layer v1.Hash) (sent, there bool) {
	if s == nil {
		return false, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sent, there = s.there[layer]
	return sent, there
}

// file sends a layer that lies on this disk and stays there.
func (s *ahead) file(layer blob) {
	if s == nil || layer.file == "" {
		return
	}
	s.own(layer, func() (io.ReadCloser, error) { return os.Open(layer.file) })
}

// smallLayer is the most, in bytes, that is held in memory to be sent.
const smallLayer = 1 << 20

// copied sends a small layer that lies on this disk and may be moved meanwhile.
func (s *ahead) copied(layer blob) {
	if s == nil || layer.file == "" || layer.Size > smallLayer {
		return
	}
	content, err := os.ReadFile(layer.file)
	if err != nil {
		return
	}
	s.own(layer, func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil })
}

// own sends a layer of the image's own.
func (s *ahead) own(layer blob, open func() (io.ReadCloser, error)) {
	d := v1.Descriptor{MediaType: types.DockerLayer, Size: layer.Size, Digest: layer.Digest}
	s.start(layer.Digest, s.counted(d, layer.DiffID, open))
}

// known notes a layer that was just seen in the repository.
func (s *ahead) known(layer blob) {
	if s != nil && layer.registry == s.to.Name() {
		s.settle(layer.Digest, false)
	}
}

// base mounts or copies the layers of a base.
func (s *ahead) base(from base) {
	if s == nil || from.name == "" {
		return
	}
	for i, d := range from.layers {
		own := s.counted(d, from.config.RootFS.DiffIDs[i], nil)
		if layer, err := s.b.registryLayer(s.ctx, own, from.name, from.digest); err == nil {
			s.start(d.Digest, layer)
		}
	}
}

func (s *ahead) counted(d v1.Descriptor, diff v1.Hash, open func() (io.ReadCloser, error)) countedLayer {
	return countedLayer{d: d, diff: diff, open: open, sent: s.count, i: s.count.grow(d.Size)}
}

// start sends a layer when its turn comes.
func (s *ahead) start(digest v1.Hash, layer v1.Layer) {
	s.work.Go(func() {
		s.slots <- struct{}{}
		defer func() { <-s.slots }()
		if s.stopped() {
			return
		}
		if err := s.pusher.Upload(s.ctx, s.to, layer); err != nil {
			s.stop(err)
			return
		}
		s.settle(digest, s.count.sent(positionOf(layer)))
	})
}

func positionOf(layer v1.Layer) int {
	if mountable, ok := layer.(*remote.MountableLayer); ok {
		layer = mountable.Layer
	}
	own, ok := layer.(countedLayer)
	if !ok {
		return -1
	}
	return own.i
}

func (s *ahead) settle(digest v1.Hash, sent bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.there[digest] = sent || s.there[digest]
}

func (s *ahead) stop(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.failed && s.ctx.Err() == nil {
		s.b.o.Log("layers are sent by the push, and not before: " + err.Error())
	}
	s.failed = true
}

func (s *ahead) stopped() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed || s.ctx.Err() != nil
}

// stream sends a stored layer whose digest is not known yet, and learns what
// it is while its bytes go by. It is not ok if they did not all go by.
func (s *ahead) stream(from stored, size int64) (flowed, bool) {
	if s == nil || s.stopped() {
		return flowed{}, false
	}
	s.slots <- struct{}{}
	defer func() { <-s.slots }()
	layer := &flow{ctx: s.ctx, from: from, count: s.count, i: s.count.grow(size)}
	err := s.pusher.Upload(s.ctx, s.to, layer)
	learnt := layer.learnt.Load()
	if err != nil {
		s.stop(err)
	}
	if learnt == nil {
		return flowed{}, false
	}
	if err == nil {
		s.settle(learnt.Digest, true)
	}
	return *learnt, true
}

// flow is a layer that becomes known when it is read to its end.
type flow struct {
	ctx    context.Context //nolint:containedctx // the library's methods have none
	from   stored
	count  *tally
	i      int
	learnt atomic.Pointer[flowed]
}

// flowed is what was learnt of a layer and of the files in it.
type flowed struct {
	blob
	sums []string // sha256 of each file, hexadecimal
}

func (f *flow) Digest() (v1.Hash, error) {
	if learnt := f.learnt.Load(); learnt != nil {
		return learnt.Digest, nil
	}
	return v1.Hash{}, stream.ErrNotComputed
}

func (f *flow) DiffID() (v1.Hash, error) {
	if learnt := f.learnt.Load(); learnt != nil {
		return learnt.DiffID, nil
	}
	return v1.Hash{}, stream.ErrNotComputed
}

// Size is not told beforehand: a registry that waits for the end of the stream
// answers when the digest is known.
func (f *flow) Size() (int64, error)                 { return 0, stream.ErrNotComputed }
func (f *flow) MediaType() (types.MediaType, error)  { return types.DockerLayer, nil }
func (f *flow) Uncompressed() (io.ReadCloser, error) { return nil, errors.ErrUnsupported }

// Compressed may be called again when the upload is begun anew.
func (f *flow) Compressed() (io.ReadCloser, error) {
	return &counted{ReadCloser: &lazy{open: f.open}, layer: countedLayer{sent: f.count, i: f.i}}, nil
}

func (f *flow) open() (io.ReadCloser, error) {
	reader, writer := io.Pipe()
	go func() {
		learnt, err := f.from.describe(f.ctx, writer)
		if err == nil {
			f.learnt.Store(&learnt)
		}
		_ = writer.CloseWithError(err) // never fails
	}()
	return reader, nil
}

// unheardOf says whether a repository surely has no image that the past does
// not tell of: then a layer need not be looked for before it is sent.
func (p *past) unheardOf(ctx context.Context, to name.Repository) bool {
	p.look(ctx)
	if p.told {
		return true
	}
	tags, err := remote.List(to, p.b.remote(ctx)...)
	var answer *transport.Error
	if errors.As(err, &answer) {
		return answer.StatusCode == http.StatusNotFound
	}
	return err == nil && len(tags) == 0
}

package bundle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"

	"gitlab.com/towline/towline/pkg/evidence"
	"gitlab.com/towline/towline/pkg/fault"
)

// Bounds of what an image from anybody may cost.
const (
	maxChainLayers   = 1000
	maxChildren      = 32
	maxUnpacked      = 256 << 30 // bytes of one layer
	readAtOnce       = 3         // layers
	maxZstdWindow    = 128 << 20
	foreignNotStored = "it is not stored in registries"
)

// chain follows an image from its manifest down to the bytes of its layers.
type chain struct {
	shelf
	ctx    context.Context //nolint:containedctx // it lives as long as one verification
	checks []evidence.Check
}

// manifestAt checks one manifest, and what it names. What does not hold is a
// check; an error is what kept from looking.
func (c *chain) manifestAt(doc document, digest v1.Hash, size int64, about string) error {
	if err := check(doc.text, digest, size); err != nil {
		c.add(evidence.CheckManifest, evidence.Failed, "%s%s: %v", digest, about, err)
		return nil
	}
	if said := kindOf(doc.text); said != doc.mediaType && doc.mediaType != "" {
		c.add(evidence.CheckManifest, evidence.Failed, "%s%s: it calls itself %s, the registry calls it %s", digest, about, said, doc.mediaType)
		return nil
	}
	c.add(evidence.CheckManifest, evidence.Passed, "%s%s, %s", digest, about, kindOf(doc.text))
	if kindOf(doc.text).IsIndex() {
		return c.children(doc.text, about)
	}
	return c.image(doc.text, about)
}

func (c *chain) add(name string, status evidence.Status, format string, args ...any) {
	c.checks = append(c.checks, evidence.Checkf(name, status, format, args...))
}

// children checks the images of an index, which is one level deep.
func (c *chain) children(text []byte, about string) error {
	var index v1.IndexManifest
	if err := json.Unmarshal(text, &index); err != nil || about != "" || len(index.Manifests) > maxChildren {
		c.add(evidence.CheckManifest, evidence.Failed, "the index cannot be used: it is damaged, within another one, or names more than %d images", maxChildren)
		return nil
	}
	for _, d := range index.Manifests {
		about := " for an unknown platform"
		if d.Platform != nil {
			about = " for " + d.Platform.String()
		}
		doc, err := c.manifest(d.Digest.String())
		if lost(err) {
			c.add(evidence.CheckManifest, evidence.Failed, "%s%s: it is not there", d.Digest, about)
			continue
		}
		if err != nil {
			return err
		}
		if err := c.manifestAt(doc, d.Digest, d.Size, about); err != nil {
			return err
		}
	}
	return nil
}

// image checks configuration and layers.
func (c *chain) image(text []byte, about string) error {
	var manifest v1.Manifest
	if err := json.Unmarshal(text, &manifest); err != nil || len(manifest.Layers) > maxChainLayers {
		c.add(evidence.CheckManifest, evidence.Failed, "the manifest cannot be used: it is damaged, or names more than %d layers", maxChainLayers)
		return nil
	}
	raw, err := c.document(manifest.Config)
	if err != nil && !lost(err) && !errors.Is(err, errTampered) {
		return err
	}
	var config v1.ConfigFile
	if err == nil {
		err = json.Unmarshal(raw, &config)
	}
	if err == nil && len(config.RootFS.DiffIDs) != len(manifest.Layers) {
		err = fmt.Errorf("it names %d layers, the manifest %d", len(config.RootFS.DiffIDs), len(manifest.Layers))
	}
	if err != nil {
		c.add(evidence.CheckConfig, evidence.Failed, "%s%s: %v", manifest.Config.Digest, about, err)
		return nil
	}
	c.add(evidence.CheckConfig, evidence.Passed, "%s%s, %s/%s", manifest.Config.Digest, about, config.OS, config.Architecture)
	return c.layers(manifest, config)
}

// document reads a small blob and holds it against its descriptor.
func (s shelf) document(d v1.Descriptor) ([]byte, error) {
	if d.Size < 0 || d.Size > maxDocument {
		return nil, fmt.Errorf("%w: it has %d bytes, wanted a document", errTampered, d.Size)
	}
	content, err := s.blob(d.Digest)
	if err != nil {
		return nil, err
	}
	defer func() { _ = content.Close() }()
	text, err := io.ReadAll(io.LimitReader(content, d.Size+1))
	if err != nil {
		return nil, err
	}
	return text, check(text, d.Digest, d.Size)
}

// layers reads every layer whole, several at a time.
func (c *chain) layers(manifest v1.Manifest, config v1.ConfigFile) error {
	checks := make([]evidence.Check, len(manifest.Layers))
	workers, ctx := errgroup.WithContext(c.ctx)
	workers.SetLimit(readAtOnce)
	for i, d := range manifest.Layers {
		workers.Go(func() (err error) {
			if ctx.Err() == nil {
				checks[i], err = c.layer(d, config.RootFS.DiffIDs[i])
			}
			return err
		})
	}
	err := workers.Wait()
	c.checks = append(c.checks, checks...)
	return err
}

// layer holds a layer's bytes against the manifest, and what is packed in them
// against the configuration.
func (c *chain) layer(d v1.Descriptor, diff v1.Hash) (evidence.Check, error) {
	fail := func(why any) (evidence.Check, error) {
		return evidence.Checkf(evidence.CheckLayer, evidence.Failed, "%s: %v", d.Digest, why), nil
	}
	if len(d.URLs) > 0 {
		return evidence.Checkf(evidence.CheckLayer, evidence.Skipped, "%s: %s", d.Digest, foreignNotStored), nil
	}
	content, err := c.blob(d.Digest)
	switch {
	case lost(err) && c.partial:
		return evidence.Checkf(evidence.CheckLayer, evidence.Missing, "%s: it is not in this folder: see towline package --explain", d.Digest), nil
	case lost(err):
		return fail("it is not there")
	case err != nil:
		return evidence.Check{}, err
	}
	defer func() { _ = content.Close() }()
	packed := newMeter()
	body := io.TeeReader(io.LimitReader(content, max(d.Size, 0)+1), packed)
	unpacked, broken := unpack(body, d.MediaType)
	if _, err := io.Copy(io.Discard, body); err != nil {
		return evidence.Check{}, fault.Newf(fault.Remote, "read layer %s: %w", d.Digest, err).Hintf("try again")
	}
	switch {
	case packed.n != d.Size:
		return fail(fmt.Sprintf("it has not the %d bytes that the manifest says", d.Size))
	case packed.digest() != d.Digest:
		return fail("its content is " + packed.digest().String())
	case broken != nil:
		return fail(broken)
	case unpacked != diff:
		return fail(fmt.Sprintf("unpacked it is %s, the configuration says %s", unpacked, diff))
	}
	return evidence.Checkf(evidence.CheckLayer, evidence.Passed, "%s, %s", d.Digest, megabytes(d.Size)), nil
}

// unpack hashes what is packed in a layer, in constant memory.
func unpack(body io.Reader, mediaType types.MediaType) (v1.Hash, error) {
	plain, stop, err := plainReader(body, mediaType)
	if err != nil {
		return v1.Hash{}, err
	}
	defer stop()
	sum := newMeter()
	n, err := io.Copy(sum, io.LimitReader(plain, maxUnpacked+1))
	if err == nil && n > maxUnpacked {
		err = fmt.Errorf("unpacked it has more than %d bytes", int64(maxUnpacked))
	}
	if err != nil {
		return v1.Hash{}, err
	}
	return sum.digest(), nil
}

// plainReader reads a layer's archive, whatever it is packed with.
func plainReader(body io.Reader, mediaType types.MediaType) (io.Reader, func(), error) {
	switch mediaType {
	case types.DockerLayer, types.OCILayer, types.OCIRestrictedLayer, types.DockerForeignLayer:
		plain, err := gzip.NewReader(body)
		if err != nil {
			return nil, nil, err
		}
		return plain, func() { _ = plain.Close() }, nil
	case types.OCILayerZStd:
		plain, err := zstd.NewReader(body, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxZstdWindow))
		if err != nil {
			return nil, nil, err
		}
		return plain, plain.Close, nil
	case types.OCIUncompressedLayer, types.DockerUncompressedLayer:
		return body, func() {}, nil
	}
	return nil, nil, fmt.Errorf("it is of the unknown type %q", string(mediaType))
}

// lost says whether something that is named is not there.
func lost(err error) bool { return errors.Is(err, fs.ErrNotExist) }

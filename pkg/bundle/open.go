package bundle

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"gitlab.com/towline/towline/pkg/fault"
)

// Open opens an image for whoever runs it: the folder of an OCI layout, also
// as oci:FOLDER, or HOST/REPOSITORY with a tag or digest. Layers are read only
// when they are asked for.
func (b *Bundler) Open(ctx context.Context, ref, platform string) (v1.Image, error) {
	folder := strings.TrimPrefix(ref, ociPrefix)
	if _, err := os.Stat(filepath.Join(folder, "index.json")); err == nil || folder != ref || filepath.IsAbs(ref) {
		return b.openImage(ctx, folder)
	}
	reference, err := b.reference(ref)
	if err != nil {
		return nil, fault.Newf(fault.Usage, "open image: %w", err).
			Hintf("wanted the folder of an OCI layout, HOST/REPOSITORY:TAG or HOST/REPOSITORY@sha256:DIGEST")
	}
	wanted, err := v1.ParsePlatform(platform)
	if err != nil {
		return nil, fault.Newf(fault.Usage, "open image %s for platform %q: %w", ref, platform, err)
	}
	image, err := remote.Image(reference, append(b.remote(ctx), remote.WithPlatform(*wanted))...)
	return image, ended(ctx, "open image", registryFault("open image "+ref, err))
}

package localcloud_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"gitlab.com/towline/towline/pkg/localcloud"
)

// reference names an image in the cloud's registry as a client dials it.
func (c *cloud) reference(t *testing.T, path string) name.Reference {
	t.Helper()
	ref, err := name.ParseReference(strings.TrimPrefix(c.URL(), "http://") + "/" + path)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// push pushes an image and gives its reference by digest, under the
// registry's stable name.
func (c *cloud) push(t *testing.T, image v1.Image) string {
	t.Helper()
	if err := remote.Write(c.reference(t, "project/model:1"), image); err != nil {
		t.Fatalf("push = %v", err)
	}
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return localcloud.Registry + "/project/model@" + digest.String()
}

func randomImage(t *testing.T) v1.Image {
	t.Helper()
	image, err := random.Image(100_000, 3)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func TestImagesComeBack(t *testing.T) {
	c := start(t, localcloud.Options{})
	image := randomImage(t)
	c.push(t, image)
	index, err := random.Index(10_000, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(c.reference(t, "project/index:latest"), index); err != nil {
		t.Fatalf("push an index = %v", err)
	}
	dir := c.dir
	c.close(t)
	c = start(t, localcloud.Options{Dir: dir})
	got, err := remote.Image(c.reference(t, "project/model:1"))
	if err != nil {
		t.Fatalf("pull = %v", err)
	}
	want, _ := image.Digest()
	if digest, err := got.Digest(); err != nil || digest != want {
		t.Errorf("pull = %v, %v, want %v", digest, err, want)
	}
	layers, err := got.Layers()
	if err != nil || len(layers) != 3 {
		t.Fatalf("Layers = %d, %v, want 3", len(layers), err)
	}
	for _, layer := range layers {
		content, err := layer.Uncompressed()
		if err != nil {
			t.Fatalf("pull a layer = %v", err)
		}
		if len(read(t, content)) == 0 {
			t.Error("a layer is empty")
		}
	}
	if _, err := remote.Index(c.reference(t, "project/index:latest")); err != nil {
		t.Errorf("pull an index = %v", err)
	}
	tags, err := remote.List(c.reference(t, "project/model:1").Context())
	if err != nil || strings.Join(tags, " ") != "1" {
		t.Errorf("tags = %v, %v, want 1", tags, err)
	}
}

func TestReferrersComeBack(t *testing.T) {
	c := start(t, localcloud.Options{})
	image := randomImage(t)
	c.push(t, image)
	digest, _ := image.Digest()
	size, _ := image.Size()
	mediaType, _ := image.MediaType()
	subject := v1.Descriptor{Digest: digest, Size: size, MediaType: mediaType}
	attached, ok := mutate.Subject(mutate.MediaType(mutate.ConfigMediaType(empty.Image, "application/spdx+json"), types.OCIManifestSchema1), subject).(v1.Image)
	if !ok {
		t.Fatal("the referrer is no image")
	}
	own, _ := attached.Digest()
	if err := remote.Write(c.reference(t, "project/model@"+own.String()), attached); err != nil {
		t.Fatalf("push a referrer = %v", err)
	}
	dir := c.dir
	c.close(t)
	c = start(t, localcloud.Options{Dir: dir})
	index, err := remote.Referrers(c.reference(t, "project/model@"+digest.String()).(name.Digest))
	if err != nil {
		t.Fatalf("Referrers = %v", err)
	}
	manifest, err := index.IndexManifest()
	if err != nil || len(manifest.Manifests) != 1 || manifest.Manifests[0].Digest != own {
		t.Errorf("Referrers = %+v, %v, want %v", manifest, err, own)
	}
}

func TestTheRegistryRefuses(t *testing.T) {
	c := start(t, localcloud.Options{})
	for _, tt := range []struct {
		name, method, path, body string
		want                     int
	}{
		{"a manifest without its blobs", http.MethodPut, "/v2/a/manifests/1", `{"schemaVersion":2,"config":{"mediaType":"application/vnd.docker.container.image.v1+json","size":1,"digest":"sha256:` + strings.Repeat("0", 64) + `"}}`, 404},
		{"a blob with another digest", http.MethodPost, "/v2/a/blobs/uploads/?digest=sha256:" + strings.Repeat("0", 64), "x", 400},
		{"a digest of another kind", http.MethodPost, "/v2/a/blobs/uploads/?digest=md5:00", "x", 400},
		{"an upload that did not begin", http.MethodPatch, "/v2/a/blobs/uploads/none", "x", 404},
		{"an upload that is a path", http.MethodPatch, "/v2/a/blobs/uploads/..%2f..%2fcloud.json", "x", 404},
		{"a name that is a path", http.MethodPut, "/v2/../x/manifests/1", "{}", 400},
		{"a name in capitals", http.MethodPut, "/v2/A/manifests/1", "{}", 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), tt.method, c.URL()+tt.path, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			req.URL.Opaque = "//" + req.URL.Host + tt.path
			req.Header.Set("Content-Type", string(types.DockerManifestSchema2))
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			if body := read(t, resp.Body); resp.StatusCode != tt.want || !strings.Contains(body, `"errors"`) {
				t.Errorf("%s %s = %d %s, want %d", tt.method, tt.path, resp.StatusCode, body, tt.want)
			}
		})
	}
}

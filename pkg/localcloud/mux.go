package localcloud

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"gitlab.com/towline/towline/pkg/localcloud/logs"
	"gitlab.com/towline/towline/pkg/localcloud/protocol"
	"gitlab.com/towline/towline/pkg/localcloud/registry"
	"gitlab.com/towline/towline/pkg/localcloud/sagemaker"
)

const healthPath = "/_towline/health"

// mux hands each request to its service. Requests that came by a name another
// site could have given to this machine, or from a page of another site, are refused.
func (c *Cloud) mux(images *registry.Registry, streams *logs.Store) http.Handler {
	services := map[string]http.Handler{
		protocol.S3:        c.objects.Handler(),
		protocol.Registry:  images,
		protocol.STS:       c.sts.Handler(),
		protocol.Logs:      streams.Handler(),
		protocol.SageMaker: c.sagemaker.Handler(),
		protocol.Runtime:   c.sagemaker.Runtime(),
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !protocol.Local(r, Registry):
			protocol.WriteError(w, &protocol.Error{Status: http.StatusForbidden, Code: "AccessDeniedException", Message: "The local cloud answers this machine only, by a loopback address or localhost."})
			return
		case r.URL.Path == healthPath:
			protocol.WriteJSON(w, http.StatusOK, health{PID: os.Getpid(), Dir: c.dir})
			return
		}
		w.Header().Set("X-Amzn-Requestid", rand.Text())
		service := protocol.Service(r)
		c.log.Debug("request", "service", service, "method", r.Method, "path", r.URL.Path, "target", r.Header.Get("X-Amz-Target"))
		if refused := c.sts.Refuse(r, service); refused != nil {
			protocol.Deny(w, r, service, refused)
			return
		}
		if handler := services[service]; handler != nil {
			handler.ServeHTTP(w, r)
			return
		}
		protocol.Refuse(w, r, service)
	})
}

// loopback says whether a host to listen on is of this machine alone.
func loopback(host string) bool { return protocol.Loopback(host) }

// resolver finds images by references to this cloud's own registry, and to
// others on this machine, which it asks as SageMaker asks ECR.
type resolver struct {
	images *registry.Registry
	pull   func(ctx context.Context, ref, platform string) (v1.Image, error) // nil for none
}

func (r resolver) image(ctx context.Context, text string) (v1.Image, error) {
	ref, err := name.ParseReference(text)
	if err != nil {
		return nil, sagemaker.NoImage(err.Error())
	}
	host := protocol.Hostname(ref.Context().RegistryStr())
	if host != Registry && !protocol.Loopback(host) {
		return nil, sagemaker.NoImage(fmt.Sprintf("the local cloud pulls from its own registry %s and from this machine only, not from %s", Registry, host))
	}
	image, err := r.images.Image(ref)
	switch {
	case !errors.Is(err, registry.ErrNoImage):
		return image, err
	case r.pull == nil, host == Registry:
		return nil, sagemaker.NoImage(err.Error())
	}
	if image, err = r.pull(ctx, text, "linux/"+runtime.GOARCH); err != nil {
		return nil, sagemaker.NoImage(err.Error())
	}
	return image, nil
}

package bundle

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/plan"
	"gitlab.com/towline/towline/pkg/record"
)

// Push publishes the layout's image, by digest first and then under each tag.
// Blobs that the repository has are not sent; a tag that names this digest
// already is left alone. It yields image; its section is record.Image.
func (b *Bundler) Push(ctx context.Context, a plan.Push) (plan.Receipt, error) {
	receipt, err := b.push(ctx, a)
	return receipt, ended(ctx, "push", err)
}

func (b *Bundler) push(ctx context.Context, a plan.Push) (plan.Receipt, error) {
	p, sent, err := b.openParcel(ctx, a.Layout)
	if err != nil {
		return plan.Receipt{}, err
	}
	digest := p.root.Digest.String()
	if want := a.Digest.String(); want != "" && want != digest {
		return plan.Receipt{}, fault.Newf(fault.Conflict, "push %s: the layout holds %s, wanted %s", a.Repository, digest, want).
			Hintf("package again: the layout was replaced in between")
	}
	repository, err := b.repository(a.Repository)
	if err != nil {
		return plan.Receipt{}, err
	}
	s := &shipment{b: b, a: a, parcel: p, sent: sent, to: repository, before: b.arrived(repository)}
	if err := s.deliver(ctx); err != nil {
		return plan.Receipt{}, s.fault(err)
	}
	for _, tag := range a.Tags {
		if err := s.tag(ctx, tag); err != nil {
			return plan.Receipt{}, registryFault("tag "+a.Repository+":"+tag, err)
		}
	}
	s.mark(ctx)
	if err := b.tidy(); err != nil {
		b.o.Log("the next build starts from less: " + err.Error())
	}
	receipt := plan.Receipt{Yields: map[string]string{"image": a.Repository + "@" + digest}, Said: s.said()}
	if !a.Copy {
		receipt.Section = pushed(a, p)
	}
	return receipt, nil
}

// uploads is how many layers are sent at a time.
const uploads = 4

// Has says whether a registry has the image of this digest.
func (b *Bundler) Has(ctx context.Context, repository, digest string) (bool, error) {
	repo, err := b.repository(repository)
	if err != nil {
		return false, err
	}
	there, err := b.has(ctx, repo.Digest(digest))
	return there, ended(ctx, "look for "+repository, registryFault("look for "+repository+"@"+digest, err))
}

func (b *Bundler) has(ctx context.Context, ref name.Digest) (bool, error) {
	_, err := remote.Head(ref, b.remote(ctx)...)
	var answer *transport.Error
	if errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound {
		return false, nil
	}
	return err == nil, err
}

func (b *Bundler) repository(text string) (name.Repository, error) {
	repository, err := name.NewRepository(text)
	if err == nil && b.mapped(repository.RegistryStr()) {
		repository, err = name.NewRepository(text, name.Insecure)
	}
	if err != nil {
		return name.Repository{}, fault.Newf(fault.Repository, "push to %q: %w", text, err).
			Hintf("correct registry of the environment in towline.yaml")
	}
	return repository, nil
}

// pushed completes what the plan knows of the image by what the layout says.
func pushed(a plan.Push, p *parcel) record.Image {
	section, img := a.Image, p.images[0]
	section.Repository, section.Digest = a.Repository, p.root.Digest.String()
	if len(a.Tags) > 0 {
		section.Tag = a.Tags[0]
	}
	fill := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	fill(&section.Platform, img.platform())
	fill(&section.Python, img.config.Config.Labels[labelPython])
	fill(&section.Evaluates, img.config.Config.Labels[labelEvaluates])
	fill(&section.Base, img.pinnedBase())
	if section.Size == 0 {
		section.Size = p.size()
	}
	return section
}

// ended puts the reason of a cancelled context in the place of its consequences.
func ended(ctx context.Context, op string, err error) error {
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("%s: %w", op, context.Cause(ctx))
	}
	return err
}

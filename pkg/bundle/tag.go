package bundle

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/plan"
)

// Promote puts a version on an image that the registry has. The version's tag
// never moves from another image, whatever the registry allows; those that
// follow a line of versions move where the registry lets them.
func (b *Bundler) Promote(ctx context.Context, a plan.Promote) (plan.Receipt, error) {
	version := a.Version.String()
	if version == "" {
		return plan.Receipt{Said: "no version to put on the image"}, nil
	}
	if err := b.Tag(ctx, a.Repository, a.Digest, version); err != nil {
		return plan.Receipt{}, err
	}
	moved, err := b.move(ctx, a)
	if err != nil {
		return plan.Receipt{}, ended(ctx, "tag", err)
	}
	return plan.Receipt{Said: strings.Join(append([]string{version}, moved...), ", ") + " on " + a.Digest}, nil
}

// Tag puts tags on the image of a digest, without sending it again. A tag that
// names this digest already is left alone; one that names another image is a
// fault.Conflict, and the tags after it are not put.
func (b *Bundler) Tag(ctx context.Context, repository, digest string, tags ...string) error {
	return ended(ctx, "tag", b.tag(ctx, repository, digest, tags, false))
}

// move puts the tags that follow a line of versions on the image, and returns
// those that are there. A registry whose tags are immutable keeps them where they are.
func (b *Bundler) move(ctx context.Context, a plan.Promote) ([]string, error) {
	var moved []string
	for _, tag := range a.MovingTags() {
		err := b.tag(ctx, a.Repository, a.Digest, []string{tag}, true)
		if fault.KindOf(err) == fault.Conflict {
			b.o.Log("the registry does not move the tag " + tag)
			continue
		}
		if err != nil {
			return moved, err
		}
		moved = append(moved, tag)
	}
	return moved, nil
}

func (b *Bundler) tag(ctx context.Context, repository, digest string, tags []string, move bool) error {
	repo, err := b.repository(repository)
	if err != nil {
		return err
	}
	image, err := remote.Get(repo.Digest(digest), b.remote(ctx)...)
	if err != nil {
		return registryFault("tag "+repository+"@"+digest, err)
	}
	for _, tag := range tags {
		op := "tag " + repository + ":" + tag
		there, err := b.names(ctx, repo.Tag(tag))
		if err != nil {
			return registryFault(op, err)
		}
		if there == digest {
			continue
		}
		if there != "" && !move {
			return fault.Newf(fault.Conflict, "%s: it names %s, wanted %s", op, there, digest).
				Hintf("the version is taken by another image: release again, for the next version")
		}
		err = remote.Tag(repo.Tag(tag), image, b.remote(ctx)...)
		if err := b.unlessTagged(ctx, err, repo.Tag(tag), digest); err != nil {
			return registryFault(op, err)
		}
	}
	return nil
}

// unlessTagged is err, but nil where a tag that cannot be put names the image:
// another job has put it in the meantime.
func (b *Bundler) unlessTagged(ctx context.Context, err error, tag name.Tag, digest string) error {
	var answer *transport.Error
	if !errors.As(err, &answer) || !refusesTag(answer) {
		return err
	}
	if there, asked := b.names(ctx, tag); asked == nil && there == digest {
		return nil
	}
	return err
}

// names is the digest that a tag stands for, or "".
func (b *Bundler) names(ctx context.Context, tag name.Tag) (string, error) {
	there, err := remote.Head(tag, b.remote(ctx)...)
	var answer *transport.Error
	if errors.As(err, &answer) && (answer.StatusCode == http.StatusNotFound || answer.StatusCode == http.StatusForbidden) {
		return "", nil // some registries forbid to ask for what is not there: the upload tells
	}
	if err != nil {
		return "", err
	}
	return there.Digest.String(), nil
}

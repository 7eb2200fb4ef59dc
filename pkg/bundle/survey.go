package bundle

import (
	"context"
	"sync"

	"gitlab.com/towline/towline/pkg/plan"
)

// surveyed is what is known of an image before anything is installed or packed.
type surveyed struct {
	a      plan.Package
	base   base
	job    *installation // nil if nothing is to be installed
	before *past
}

// survey learns it for each platform.
func (b *Bundler) survey(ctx context.Context, a plan.Package, form form) ([]surveyed, error) {
	var all []surveyed
	for _, variant := range variants(a) {
		one := surveyed{a: variant, before: b.past(variant)}
		if err := b.look(ctx, &one, form); err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// look asks for the base while the requirements are read. If both fail, the
// base's error is told.
func (b *Bundler) look(ctx context.Context, one *surveyed, form form) error {
	var wrongBase, wrongRequirements error
	var work sync.WaitGroup
	work.Go(func() { one.base, wrongBase = b.suitable(ctx, one.a, form) })
	work.Go(func() {
		one.job, wrongRequirements = b.installation(one.a)
		if one.job == nil {
			return
		}
		if _, cached := b.fromCache(one.job.key()); !cached {
			one.before.look(ctx)
		}
	})
	work.Wait()
	if wrongBase != nil {
		return wrongBase
	}
	return wrongRequirements
}

// suitable is the base of an image, in its form, if it bears the image's Python.
func (b *Bundler) suitable(ctx context.Context, a plan.Package, form form) (base, error) {
	from, err := b.base(ctx, a.Base, a.Platform)
	if err != nil {
		return base{}, err
	}
	if from.layers, err = form.convert(a.Base, from.layers); err != nil {
		return base{}, err
	}
	return from, from.suits(a.Python)
}

package bundle

import (
	"context"
	"strings"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/plan"
)

// BaseCheck is what has become of a base image.
type BaseCheck struct {
	Base     string `json:"base"`
	Platform string `json:"platform"`
	Recorded string `json:"recorded,omitempty"` // digest that the last image was built on; "" if none is known
	Now      string `json:"now,omitempty"`      // digest that the name stands for now; "" for scratch
	Moved    bool   `json:"moved"`
	Wanted   string `json:"python_wanted"` // minor version
	Python   string `json:"python"`        // minor version that the base says it has; "" if it does not say
	Lacks    bool   `json:"lacks_python"`  // it says it has another one
}

// CheckBase asks the registry what the base's name stands for now, whatever
// digest stands behind it, and which Python it says it has. Recorded is the
// pinned base of the last image, or "".
func (b *Bundler) CheckBase(ctx context.Context, ref, platform, python, recorded string) (BaseCheck, error) {
	check := BaseCheck{Base: ref, Platform: platform, Wanted: python}
	named, pinned, _ := strings.Cut(ref, "@")
	if strings.HasPrefix(ref, ociPrefix) {
		named, pinned = ref, ""
	}
	if pinned == "" {
		_, pinned, _ = strings.Cut(recorded, "@")
	}
	check.Recorded = pinned
	found, err := b.base(ctx, named, platform)
	if err != nil {
		return check, ended(ctx, "read base image", err)
	}
	check.Now = found.digest
	check.Moved = check.Recorded != "" && check.Now != "" && check.Recorded != check.Now && found.index != check.Recorded
	check.Python = pythonOf(found)
	check.Lacks = check.Python != "" && check.Python != python
	return check, nil
}

// suits fails where a base says that it has another Python: nothing would run on it.
func (from base) suits(python string) error {
	found := pythonOf(from)
	if found == "" || found == python {
		return nil
	}
	return fault.Newf(fault.Repository, "read base image %s: found Python %s, wanted %s", from.pinned, found, python).
		Hintf("correct image.base or image.python in towline.yaml")
}

// bears fails where so many more layers are too many.
func (from base) bears(more int) error {
	n := len(from.layers) + more
	if n <= maxLayers {
		return nil
	}
	return fault.Newf(fault.Repository, "package on %s: %d layers, wanted at most %d", from.pinned, n, maxLayers).
		Hintf("choose an image.base with fewer layers")
}

// previewBase checks what can be known of a base without a network: one that
// lies on this disk, or the name of any other.
func (b *Bundler) previewBase(ctx context.Context, a plan.Package, layers int) error {
	for _, variant := range variants(a) {
		if variant.Base != Scratch && variant.Base != "" && !strings.HasPrefix(variant.Base, ociPrefix) {
			if _, err := b.reference(variant.Base); err != nil {
				return nameFault(err)
			}
			continue
		}
		from, err := b.base(ctx, variant.Base, variant.Platform)
		if err != nil {
			return err
		}
		if err := from.suits(a.Python); err != nil {
			return err
		}
		if err := from.bears(layers); err != nil {
			return err
		}
	}
	return nil
}

// pythonOf is the minor version that a base says it has: by the variable of
// Docker's official images, or by the label of ours.
func pythonOf(from base) string {
	version := from.config.Config.Labels[labelPython]
	for _, entry := range from.config.Config.Env {
		if value, ok := strings.CutPrefix(entry, "PYTHON_VERSION="); ok {
			version = value
		}
	}
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 || parts[0] == "" || parts[1] == "" {
		return ""
	}
	return parts[0] + "." + parts[1]
}

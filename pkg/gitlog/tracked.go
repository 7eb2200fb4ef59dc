package gitlog

import (
	"context"
	"slices"
	"strings"
)

// Tracked are files of a checkout, by their paths relative to the folder that
// was opened.
type Tracked struct {
	Files   []string // that git knows, in order, those of submodules too
	Changed []string // of those, that differ from the commit
	New     []string // that git neither knows nor ignores
}

// Tracked looks at some folders and files of the folder that was opened. One
// that is not there has no files.
func (r *Repo) Tracked(ctx context.Context, paths []string) (Tracked, error) {
	var t Tracked
	specs := make([]string, len(paths))
	for i, path := range paths {
		specs[i] = ":(literal)" + strings.TrimSuffix(r.prefix+strings.TrimPrefix(path, "./"), "/")
		if path == "." {
			specs[i] = ":(literal)" + strings.TrimSuffix(r.prefix, "/")
			if r.prefix == "" {
				specs[i] = "."
			}
		}
	}
	specs = append(specs, ":(exclude,glob)**/.towline/**")
	for _, one := range []struct {
		into *[]string
		args []string
	}{
		{&t.Files, []string{"ls-files", "-z", "--cached", "--recurse-submodules"}},
		{&t.Changed, []string{"diff", "-z", "--name-only", "--no-ext-diff", "--ignore-submodules=none", r.head}},
		{&t.New, []string{"ls-files", "-z", "--others", "--exclude-standard"}},
	} {
		out, err := r.git.output(ctx, append(append(one.args, "--"), specs...)...)
		if err != nil {
			return Tracked{}, readFault("read the files of "+r.root, err)
		}
		for name := range strings.SplitSeq(string(out), "\x00") {
			if rel, inside := strings.CutPrefix(name, r.prefix); inside && rel != "" {
				*one.into = append(*one.into, rel)
			}
		}
		slices.Sort(*one.into)
		*one.into = slices.Compact(*one.into)
	}
	return t, nil
}

// Package lint finds what breaks a model repository on its way to production.
//
// In come the repository as a file system, its manifest within, and settings;
// out come findings, each at a file and a line, in an order that depends on
// nothing but the files. It reads nothing but that file system: no network, no
// programs, no environment, and it never writes. Files are untrusted: what
// they may cost in time and memory is bounded.
package lint

import (
	"context"
	"io/fs"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"
)

// Options is what is looked at, and how.
type Options struct {
	FS      fs.FS    // the repository; its links are not followed
	Listed  []string // the files to look at, slash-separated, as git lists them; nil: the folder is walked
	Tracked []string // those of them that git tracks; nil: unknown
	Only    []string // findings are wanted in these files only; nil: in all
	Profile Profile  // "" for Team
	Rules   []Rule   // nil: the whole Catalogue
	Limits  Limits   // zero fields take the defaults
}

// Result is what was found.
type Result struct {
	Profile  Profile
	Findings []Finding // by path, line, column and rule
	Files    int       // how many were looked at
}

// Run looks for every rule in every file, several files at a time. Its error
// is that of ctx, or of a repository that cannot be read at all.
func Run(ctx context.Context, o Options) (Result, error) {
	if o.Profile == "" {
		o.Profile = Team
	}
	if o.Rules == nil {
		o.Rules = Catalogue()
	}
	o.Limits = o.Limits.withDefaults()
	s := &scan{options: o}
	repo, err := s.survey(ctx)
	if err != nil {
		return Result{}, err
	}
	if err := s.files(ctx, repo); err != nil {
		return Result{}, err
	}
	if err := s.whole(ctx, repo); err != nil {
		return Result{}, err
	}
	findings := s.findings(repo)
	return Result{Profile: o.Profile, Findings: findings, Files: len(repo.files)}, nil
}

// scan is one run of the linter.
type scan struct {
	options Options
	reports []*Report // one for each file, then one for each rule that sees more
}

// files runs the rules that see one file at a time.
func (s *scan) files(ctx context.Context, repo *Repo) error {
	s.reports = append(s.reports, make([]*Report, len(repo.files))...)
	own := s.reports[len(s.reports)-len(repo.files):]
	group, ctx := errgroup.WithContext(ctx)
	workers := min(runtime.GOMAXPROCS(0), maxWorkers)
	for w := range workers {
		group.Go(func() error {
			for i := w; i < len(repo.files); i += workers {
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				if f := repo.files[i]; s.wanted(f.Path) {
					own[i] = s.file(f)
				}
			}
			return nil
		})
	}
	return group.Wait()
}

func (s *scan) file(f *File) *Report {
	r := &Report{profile: s.options.Profile}
	for i := range s.options.Rules {
		rule := &s.options.Rules[i]
		if rule.File != nil && rule.severity(s.options.Profile) != Off {
			r.run(rule, f.Path, func() { rule.File(f, r) })
		}
	}
	f.release()
	return r
}

// whole runs the rules that see the repository or a model.
func (s *scan) whole(ctx context.Context, repo *Repo) error {
	for i := range s.options.Rules {
		rule := &s.options.Rules[i]
		if rule.severity(s.options.Profile) == Off || rule.Repo == nil && rule.Model == nil {
			continue
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		r := &Report{profile: s.options.Profile}
		s.reports = append(s.reports, r)
		if rule.Repo != nil {
			r.run(rule, ".", func() { rule.Repo(repo, r) })
		}
		for _, model := range repo.models {
			if rule.Model != nil {
				r.run(rule, model.Path, func() { rule.Model(model, r) })
			}
		}
	}
	return nil
}

// wanted says whether findings in a file are asked for.
func (s *scan) wanted(name string) bool {
	if s.options.Only == nil {
		return true
	}
	_, found := slices.BinarySearch(s.options.Only, name)
	return found
}

// findings puts together what the rules and the files themselves reported.
func (s *scan) findings(repo *Repo) []Finding {
	var all []Finding
	for _, r := range s.reports {
		if r == nil {
			continue
		}
		for _, f := range r.findings {
			if s.wanted(f.Path) {
				f.Source = repo.source(f)
				all = append(all, *f)
			}
		}
	}
	slices.SortStableFunc(all, Finding.compare)
	return all
}

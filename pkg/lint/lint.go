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
	"fmt"
	"io/fs"

	"golang.org/x/sync/errgroup"

	"gitlab.com/towline/towline/pkg/fault"
)

// Own is the name of Towline's own rules, beside the tools whose findings are merged in.
const Own = "towline"

// Options is what is looked at, and how.
type Options struct {
	FS        fs.FS             // the repository; its links are not followed
	Listed    []string          // the files to look at, slash-separated, as git lists them; nil: the folder is walked
	Tracked   []string          // those of them that git tracks; nil: unknown
	Only      []string          // findings are wanted in these files, and below these folders, only; nil: in all
	Installed map[string]string // version of each Python package of the project's environment, by its normalised name; nil: unknown
	Profile   Profile           // "" for the one that Detect finds
	Settings  Settings
	Baseline  *Baseline // findings that are known, and not told; nil for none
	Rules     []Rule    // nil: the whole Catalogue
	Limits    Limits

	// Others runs other tools, beside the rules. It is given the repository's
	// files that findings are wanted in; nil: there are none.
	Others func(ctx context.Context, repo *Repo) Others
}

// Others is what other tools found.
type Others struct {
	Findings []Finding
	Ran      []string // the tools that ran to their end
}

// Result is what was found.
type Result struct {
	Profile  Profile
	Why      string    // why it is that profile, if it was detected
	Findings []Finding // by path, line, column and rule
	Files    int       // how many were looked at
	Ignored  int       // findings that a comment silences
	Known    int       // findings that stand in the baseline
}

// Run looks for every rule in every file, several files at a time. Beside a
// result its error is that of a rule that broke down; without one it is that
// of ctx, or of a repository that cannot be read at all.
func Run(ctx context.Context, o Options) (Result, error) {
	if o.Rules == nil {
		o.Rules = Catalogue()
	}
	o.Limits = o.Limits.withDefaults()
	s := newScan(o)
	repo, err := s.survey(ctx)
	if err != nil {
		return Result{}, err
	}
	why := ""
	if repo.Profile = o.Profile; o.Profile == "" {
		repo.Profile, why = Detect(repo)
	}
	s.settle(repo)
	var others Others
	group, within := errgroup.WithContext(ctx)
	if o.Others != nil {
		group.Go(func() error {
			others = o.Others(within, repo)
			return nil
		})
	}
	group.Go(func() error { return s.look(within, repo) })
	if err := group.Wait(); err != nil {
		return Result{}, err
	}
	if ctx.Err() != nil {
		return Result{}, context.Cause(ctx)
	}
	result := s.finish(repo, others)
	result.Profile, result.Why, result.Files = repo.Profile, why, len(repo.files)
	return result, s.broken()
}

// scan is one run of the linter.
type scan struct {
	options Options
	levels  map[string]Severity // of each rule, in this profile and with these settings
	only    selection
	exclude excluder
	own     *Report   // of the linter itself, about what is no file
	reports []*Report // one for each file, then one for each rule that sees more
	ignores [][]ignore
}

func newScan(o Options) *scan {
	s := &scan{options: o, levels: map[string]Severity{}, only: selected(o.Only), exclude: newExcluder(o.Settings)}
	s.own = s.report()
	return s
}

func (s *scan) report() *Report { return &Report{levels: s.levels, rules: s.options.Rules} }

// settle finds out how bad each rule is here.
func (s *scan) settle(repo *Repo) {
	for i := range s.options.Rules {
		rule := &s.options.Rules[i]
		s.levels[rule.ID] = rule.severity(repo.Profile)
		if severity, set := s.options.Settings.Severity[rule.ID]; set {
			s.levels[rule.ID] = severity
		}
	}
	s.checkSettings(repo)
}

// look runs the rules: first those that see one file at a time, then those
// that see the repository or a model.
func (s *scan) look(ctx context.Context, repo *Repo) error {
	if err := s.files(ctx, repo); err != nil {
		return err
	}
	for i := range s.options.Rules {
		rule := &s.options.Rules[i]
		if s.levels[rule.ID] == Off || rule.Repo == nil && rule.Model == nil {
			continue
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		r := s.report()
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

// files runs the rules that see one file at a time.
func (s *scan) files(ctx context.Context, repo *Repo) error {
	s.reports, s.ignores = make([]*Report, len(repo.files)), make([][]ignore, len(repo.files))
	var rules []*Rule
	for i := range s.options.Rules {
		if rule := &s.options.Rules[i]; (rule.File != nil || rule.Python != nil) && s.levels[rule.ID] != Off {
			rules = append(rules, rule)
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	next := make(chan int)
	for range workers() {
		group.Go(func() error {
			for i := range next {
				s.file(repo.files[i], i, rules)
			}
			return nil
		})
	}
	group.Go(func() error {
		defer close(next)
		for i, f := range repo.files {
			if !s.wanted(f.Path) || s.exclude.all(f.Path) {
				continue
			}
			select {
			case next <- i:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		return nil
	})
	return group.Wait()
}

// file runs the rules over one file, and notes which findings its comments silence.
func (s *scan) file(f *File, i int, rules []*Rule) {
	r := s.report()
	for _, rule := range rules {
		if rule.File != nil {
			r.run(rule, f.Path, func() { rule.File(f, r) })
		}
		if rule.Python != nil && f.Kind == Python {
			r.run(rule, f.Path, func() { rule.Python(f, f.Python(), r) })
		}
		if rule.Python != nil && f.Kind == Notebook {
			r.notebook(rule, f)
		}
	}
	if f.Kind == Python && len(f.Repo.models) > 0 {
		f.traits() // while it is parsed
	}
	s.ignores[i] = readIgnores(f)
	r.unread(f)
	f.release()
	if len(r.findings) > 0 || len(r.broken) > 0 {
		s.reports[i] = r
	}
}

// wanted says whether findings in a file are asked for.
func (s *scan) wanted(name string) bool { return s.only.has(name) }

// selection is a set of files and folders; nil is all of them.
type selection map[string]bool

func selected(paths []string) selection {
	if paths == nil {
		return nil
	}
	set := selection{}
	for _, name := range paths {
		set[name] = true
	}
	return set
}

// has says whether a file is one of the set, or below one.
func (s selection) has(name string) bool {
	if s == nil || s[name] {
		return true
	}
	for i, c := range name {
		if c == '/' && s[name[:i]] {
			return true
		}
	}
	return false
}

// broken is the error of rules that broke down: their silence is no clean bill.
func (s *scan) broken() error {
	var lines []string
	for _, r := range append(s.reports, s.own) {
		if r != nil {
			lines = append(lines, r.broken...)
		}
	}
	if len(lines) == 0 {
		return nil
	}
	return fault.Newf(fault.Bug, "lint: %s", counted(len(lines), "rule broke down", "rules broke down")).
		With(lines[:min(len(lines), 20)]...).
		Hintf("please report this; until then switch the rule off in towline.yaml, under lint.rules")
}

// counted is a number with the word for it.
func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

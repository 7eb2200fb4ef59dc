package lint

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
)

// finish puts together what rules and tools found, and takes out what is not wanted.
func (s *scan) finish(repo *Repo, others Others) Result {
	var result Result
	all := s.gather(repo, others)
	fingerprint(all)
	all, result.Ignored = s.silence(repo, all)
	all = append(all, s.aboutIgnores(repo, others)...)
	fingerprintNew(all)
	all, result.Known = s.known(all, others)
	slices.SortStableFunc(all, func(a, b *Finding) int { return a.compare(*b) })
	result.Findings = make([]Finding, len(all))
	for i, f := range all {
		result.Findings[i] = *f
	}
	return result
}

// gather collects the findings that are asked for, in order, with their sources.
func (s *scan) gather(repo *Repo, others Others) []*Finding {
	var all []*Finding
	for _, r := range append(s.reports, s.own) {
		if r != nil {
			all = append(all, r.findings...)
		}
	}
	for i := range others.Findings {
		all = append(all, &others.Findings[i])
	}
	all = slices.DeleteFunc(all, func(f *Finding) bool {
		if f.Tool == Own && f.Severity == Off {
			f.Severity = s.levels[f.Rule] // reported before the profile was known
		}
		if severity, set := s.options.Settings.severityOf(f); set {
			f.Severity = severity
		}
		return f.Severity == Off || !s.wanted(f.Path) || s.exclude.finding(f)
	})
	slices.SortStableFunc(all, func(a, b *Finding) int { return a.compare(*b) })
	all = withoutTwins(all)
	s.sources(repo, all)
	return all
}

// sources adds the line that each finding is about. Findings are by path, so
// that one file is held at a time.
func (s *scan) sources(repo *Repo, all []*Finding) {
	var file *File
	secret := secretLines(all)
	for _, f := range all {
		if secret[lineOf{f.Path, f.Line}] {
			f.Source, f.hidden = redacted, true
		}
		if f.Line == 0 || f.Source != "" {
			continue
		}
		if file == nil || file.Path != f.Path {
			if file != nil {
				file.release()
			}
			if file, _ = repo.File(f.Path); file == nil {
				continue
			}
		}
		if f.Cell > 0 {
			f.Source = clip(file.cellLine(f.Cell, f.CellLine), f.Column)
		} else {
			f.Source = clip(file.Line(f.Line), f.Column)
		}
	}
}

// redacted stands for a line that holds a secret.
const redacted = "[redacted]"

// lineOf is one line of a file.
type lineOf struct {
	path string
	line int
}

// secretLines are those that any finding says hold a secret.
func secretLines(all []*Finding) map[lineOf]bool {
	lines := map[lineOf]bool{}
	for _, f := range all {
		for line := f.Line; f.hidden && line <= max(f.Line, f.EndLine); line++ {
			lines[lineOf{f.Path, line}] = true
		}
	}
	return lines
}

// cellLine is a line of a notebook's cell.
func (f *File) cellLine(cell, line int) string {
	n, err := f.Notebook()
	if err != nil || cell > len(n.Cells) || line > len(n.Cells[cell-1].Source) {
		return ""
	}
	return n.Cells[cell-1].Source[line-1].Text
}

// fingerprint gives each finding what it is known by: tool, rule, path, the
// text of its line and which of the findings with all these it is. Lines may
// be put in above, and it stays. Findings are in order.
func fingerprint(all []*Finding) {
	seen := map[string]int{}
	for _, f := range all {
		text := strings.Join(strings.Fields(f.Source), " ")
		if f.Line == 0 {
			text = ""
		}
		key := strings.Join([]string{f.Tool, f.Rule, f.Path, text}, "\x00")
		seen[key]++
		sum := sha256.Sum256([]byte(key + "\x00" + strconv.Itoa(seen[key])))
		f.Fingerprint = hex.EncodeToString(sum[:16])
	}
}

// fingerprintNew gives the linter's findings about comments theirs.
func fingerprintNew(all []*Finding) {
	fresh := slices.DeleteFunc(slices.Clone(all), func(f *Finding) bool { return f.Fingerprint != "" })
	fingerprint(fresh)
}

// silence takes out the findings that comments are about.
func (s *scan) silence(repo *Repo, all []*Finding) (rest []*Finding, silenced int) {
	for _, f := range all {
		quiet := false
		i := repo.from(f.Path)
		if i < len(repo.files) && repo.files[i].Path == f.Path {
			for j := range s.ignores[i] {
				quiet = s.ignores[i][j].silences(f) || quiet
			}
		}
		if quiet {
			silenced++
		} else {
			rest = append(rest, f)
		}
	}
	return rest, silenced
}

// aboutIgnores reports comments that are faulty or silence nothing. Whether
// one for another tool is used is known only if that tool ran.
func (s *scan) aboutIgnores(repo *Repo, others Others) []*Finding {
	r := s.report()
	for i, list := range s.ignores {
		for _, g := range list {
			file := repo.files[i]
			if g.mistaken != "" {
				r.comment(ruleFaultyIgnore, file, g, "%s: it silences nothing", g.mistaken)
				continue
			}
			for j, rule := range g.rules {
				tool, _, foreign := strings.Cut(rule, ":")
				switch {
				case !foreign && !s.knows(rule):
					r.comment(ruleFaultyIgnore, file, g, "there is no rule %s", rule)
				case g.used[j] || foreign && !slices.Contains(others.Ran, tool):
				default:
					r.comment(ruleUnusedIgnore, file, g, "%s finds nothing here that could be ignored", rule)
				}
			}
		}
	}
	s.sources(repo, r.findings)
	return slices.DeleteFunc(r.findings, func(f *Finding) bool { return f.Severity == Off || s.exclude.finding(f) })
}

// comment reports a finding about a comment.
func (r *Report) comment(id string, f *File, g ignore, format string, args ...any) {
	before := len(r.findings)
	r.linter(id, f.Path, g.line, format, args...)
	if len(r.findings) > before {
		last := r.findings[len(r.findings)-1]
		last.Cell, last.CellLine = g.cell.cell, g.cell.line
	}
}

// known takes out the findings of the baseline, and reports entries of it that
// nothing was found for, as far as that could have been.
func (s *scan) known(all []*Finding, others Others) (rest []*Finding, known int) {
	if s.options.Baseline == nil {
		return all, 0
	}
	entries := map[string]bool{}
	for _, entry := range s.options.Baseline.Findings {
		entries[entry.Fingerprint] = false
	}
	for _, f := range all {
		if _, listed := entries[f.Fingerprint]; listed {
			entries[f.Fingerprint] = true
			known++
		} else {
			rest = append(rest, f)
		}
	}
	r := s.report()
	for _, entry := range s.options.Baseline.Findings {
		ran := entry.Tool == Own || slices.Contains(others.Ran, entry.Tool)
		if !entries[entry.Fingerprint] && ran && s.wanted(entry.Path) {
			entries[entry.Fingerprint] = true // told once
			r.linter(ruleStaleBaseline, BaselineFile, 0, "%s is not found in %s any more: %s", entry.Rule, entry.Path, entry.Message)
		}
	}
	r.bound(0)
	fingerprint(r.findings)
	return append(rest, slices.DeleteFunc(r.findings, func(f *Finding) bool { return f.Severity == Off })...), known
}

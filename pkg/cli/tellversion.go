package cli

import (
	"fmt"
	"io"
	"text/tabwriter"

	"gitlab.com/towline/towline/pkg/record"
)

// tellVersions prints the versions alone on stdout, and what they rest on as a
// table on stderr.
func (a *app) tellVersions(repo repository, all []versioned, records []record.Record, o versionOptions) error {
	for i, v := range all {
		for _, warning := range v.warnings {
			fmt.Fprintf(a.stderr, "towline: warning: %s: %s\n", records[i].Model, warning)
		}
	}
	switch {
	case a.output == "json" && len(records) == 1:
		return a.printJSON(records[0])
	case a.output == "json":
		return a.printJSON(map[string]any{"models": records})
	case a.output == "env":
		return a.printEnv(repo, records)
	}
	for _, rec := range records {
		if len(records) == 1 {
			fmt.Fprintln(a.stdout, rec.Version.Version)
		} else {
			fmt.Fprintf(a.stdout, "%s %s\n", rec.Model, rec.Version.Version)
		}
	}
	if err := versionTable(a.stderr, records); err != nil || !o.explain {
		return err
	}
	for _, rec := range records {
		if err := explain(a.stderr, rec); err != nil {
			return err
		}
	}
	return nil
}

// printEnv prints what release.env holds.
func (a *app) printEnv(repo repository, records []record.Record) error {
	for _, rec := range records {
		prefix := record.EnvPrefix
		if len(repo.manifest.Models) > 1 {
			prefix = record.Prefix(rec.Model)
		}
		lines, err := rec.Env(prefix)
		if err != nil {
			return err
		}
		if _, err := a.stdout.Write(lines); err != nil {
			return err
		}
	}
	return nil
}

// versionTable has a line for each model.
func versionTable(w io.Writer, records []record.Record) error {
	table := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, "model\tversion\tbase\tbump\tcandidate\twhat")
	for _, rec := range records {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", rec.Model, rec.Version.Version, or(rec.Base, "none"), rec.Bump,
			or(rec.Candidate, "none yet"), whatOf(rec.Version))
	}
	return table.Flush()
}

// whatOf says in a few words what a version means.
func whatOf(v record.Version) string {
	switch {
	case v.Superseded:
		return "nothing to release: a later commit is released already"
	case v.Reused:
		return "nothing to release: it is released already"
	case !v.Released:
		return "nothing to release since " + v.Version
	case v.Base == "":
		return "the first version"
	}
	return "to be released"
}

// sayVersion is a version in one line.
func sayVersion(v record.Version) string {
	switch {
	case !v.Released:
		return fmt.Sprintf("%s: nothing to release since then", v.Version)
	case v.Base == "":
		return fmt.Sprintf("%s, the first", v.Version)
	}
	return fmt.Sprintf("%s, a %s release after %s", v.Version, v.Bump, v.Base)
}

// explain shows what a version rests on, in the order in which it was found.
func explain(w io.Writer, rec record.Record) error {
	fmt.Fprintf(w, "\n%s %s, because\n", rec.Model, rec.Version.Version)
	table := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, reason := range rec.Reason {
		if reason.Commit == "" {
			fmt.Fprintf(table, "  ·\t·\t%s\n", reason.Text)
			continue
		}
		text := reason.Header + " (" + reason.Text + ")"
		fmt.Fprintf(table, "  %s\t%s\t%s\n", start(reason.Commit, 8), or(reason.Bump, "·"), text)
	}
	return table.Flush()
}

// start is the beginning of a hash, for people to read.
func start(hash string, length int) string {
	if len(hash) > length {
		return hash[:length]
	}
	return hash
}

package doctor

import (
	"fmt"
	"strings"

	"gitlab.com/towline/towline/pkg/fault"
)

// Repository is what was found of the model's repository.
type Repository struct {
	InJob    bool
	Manifest Answer
	Problems []string // of the manifest, one each
	Models   []string
	// Environment is where models would go; Destination says why that is not known.
	Environment string
	Destination Answer

	From    string // source that was handed over; "" for the repository itself
	Waiting bool   // another project hands the source over, and it was not fetched yet

	Git     Answer // reading it
	HasGit  bool   // there is a repository with a commit
	Shallow bool
	Commits int
	Reach   Answer // whether the rest of the history can be had
}

func (r Repository) checks() []Check {
	all := []Check{r.manifest(), r.environment()}
	if r.From != "" || r.Waiting {
		return append(all, Check{Name: "history", State: NotChecked, Found: "versions are the model project's"})
	}
	return append(all, r.history())
}

func (r Repository) manifest() Check {
	c := r.Manifest.check("manifest", "valid: "+count(len(r.Models), "model")+", "+strings.Join(r.Models, ", "))
	if r.From != "" && c.State == OK {
		c.Found += ", handed over in " + r.From
	}
	if c.State == Failed && r.Waiting && c.Code == fault.Missing {
		return Check{Name: "manifest", State: NotChecked, Found: "another project hands it over: towline fetch, and then towline doctor --from .towline/upstream"}
	}
	if len(r.Problems) > 0 {
		c.Found += ": " + strings.Join(r.Problems, "; ")
	}
	return c
}

// environment says where models would go. A job that names no target checks and
// tests only, perhaps.
func (r Repository) environment() Check {
	c := r.Destination.check("environment", r.Environment)
	if c.Code == fault.Usage {
		return c.as(Warning)
	}
	return c
}

func (r Repository) history() Check {
	const name = "history"
	switch {
	case !r.Git.Good():
		return r.Git.check(name, "")
	case !r.HasGit && r.InJob:
		return Check{
			Name: name, State: Failed, Found: "no git repository with a commit", Code: fault.Missing,
			Setting: "remove GIT_STRATEGY: none or empty from the job's variables: versions come from commits and tags",
		}
	case !r.HasGit:
		return Check{Name: name, State: Warning, Found: "no git repository with a commit", Setting: "git init, and commit: versions come from commits and tags"}
	case !r.Shallow:
		return Check{Name: name, State: OK, Found: "complete"}
	}
	found := "shallow, with " + count(r.Commits, "commit")
	switch {
	case r.Reach.Not != "":
		return Check{Name: name, State: Warning, Found: found + "; whether the rest can be fetched is not known: " + r.Reach.Not}
	case !r.Reach.Good():
		c := r.Reach.check(name, "")
		c.Found = found + ", and the rest cannot be fetched: " + c.Found
		c.Setting = "set GIT_DEPTH: 0 in the job's variables (or Settings, CI/CD, General pipelines, Git shallow clone: 0)"
		return c
	}
	return Check{Name: name, State: OK, Found: found + "; towline version fetches what it needs of the rest"}
}

// count is a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

package cli

import (
	"context"
	"os/exec"
	"slices"
	"strings"
	"sync"

	"gitlab.com/towline/towline/pkg/doctor"
	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/lint/tools"
	"gitlab.com/towline/towline/pkg/localcloud/runtime"
	"gitlab.com/towline/towline/pkg/manifest"
	"gitlab.com/towline/towline/pkg/proc"
	"gitlab.com/towline/towline/pkg/workspace"
)

// machine looks at what is installed here.
func (e *examination) machine(ctx context.Context) {
	m := &e.facts.Machine
	m.Local = e.repoErr != nil && e.a.target != "aws" || e.dest.local
	m.Proxies, m.NoProxy = e.proxies()
	m.Disks = e.disks()
	m.Sandbox.Wish = e.a.sandbox()
	wanted := pythonsOf(e.repo.manifest)
	m.Pythons = make([]doctor.Python, len(wanted))
	all := tools.All()
	m.Linters = make([]doctor.Linter, len(all))
	var wait sync.WaitGroup
	wait.Go(func() { m.Git = e.program(ctx, "git") })
	wait.Go(func() { m.UV = e.uv(ctx) })
	wait.Go(func() {
		if m.Local && m.Sandbox.Wish != "none" {
			m.Sandbox.Answer = e.look(ctx, func(ctx context.Context) error { return runtime.TrySandbox(ctx, e.a.environ) })
		}
	})
	for i, python := range wanted {
		wait.Go(func() {
			python.Answer = e.look(ctx, func(ctx context.Context) (err error) {
				python.Path, err = runtime.FindPython(ctx, e.a.environ, python.Version)
				return err
			})
			m.Pythons[i] = python
		})
	}
	for i, tool := range all {
		wait.Go(func() { m.Linters[i] = e.linter(ctx, tool) })
	}
	wait.Wait()
}

// pythonsOf are the versions of Python that the models want.
func pythonsOf(m manifest.Manifest) []doctor.Python {
	var all []doctor.Python
	for _, model := range m.Models {
		i := slices.IndexFunc(all, func(p doctor.Python) bool { return p.Version == model.Image.Python })
		if i < 0 {
			all = append(all, doctor.Python{Version: model.Image.Python})
			i = len(all) - 1
		}
		all[i].Models = append(all[i].Models, model.Name)
	}
	return all
}

// program finds a program on the PATH, and asks for its version.
func (e *examination) program(ctx context.Context, name string) doctor.Program {
	var p doctor.Program
	path, err := exec.LookPath(name)
	if err != nil {
		p.Answer = doctor.Answered(fault.Newf(fault.Missing, "no %s on the PATH", name))
		if name == "git" {
			p.Hint = "install git 2.30 or newer"
		}
		return p
	}
	p.Answer = e.look(ctx, func(ctx context.Context) error {
		out, err := proc.Command{Name: path, Args: []string{"--version"}, Env: e.a.environ}.Output(ctx)
		if err != nil {
			return fault.Newf(fault.Remote, "ask %s for its version: %w", name, err)
		}
		p.Version = versionIn(string(out))
		return nil
	})
	return p
}

// versionIn is the first word of a text that begins with a digit.
func versionIn(text string) string {
	for word := range strings.FieldsSeq(text) {
		if word[0] >= '0' && word[0] <= '9' {
			return word
		}
	}
	return strings.TrimSpace(text)
}

// uv finds the installer that TOWLINE_UV names, or the one on the PATH.
func (e *examination) uv(ctx context.Context) doctor.Program {
	named := e.a.getenv("TOWLINE_UV")
	if named == "" {
		return e.program(ctx, "uv")
	}
	p := e.program(ctx, named)
	if p.Kind == fault.Missing {
		p.Said, p.Hint = "TOWLINE_UV names "+named+", which is no program", "correct TOWLINE_UV, or unset it"
	}
	return p
}

func (e *examination) linter(ctx context.Context, tool tools.Tool) doctor.Linter {
	found := doctor.Linter{Name: tool.Name, Wish: e.repo.manifest.Lint.Tools.Ruff}
	if tool.Name == "pylint" {
		found.Wish = e.repo.manifest.Lint.Tools.Pylint
	}
	uv := e.a.getenv("TOWLINE_UV")
	if uv == "" {
		uv, _ = exec.LookPath("uv") // "" if there is none
	}
	root, err := e.a.root()
	if err != nil {
		found.Answer = doctor.Answered(err)
		return found
	}
	found.Answer = e.look(ctx, func(ctx context.Context) (err error) {
		found.Version, found.Absent, err = tool.Version(ctx, tools.Options{Root: root, Environ: e.a.environ, UV: uv})
		return err
	})
	return found
}

// disks are the places that are written to.
func (e *examination) disks() []doctor.Disk {
	var all []doctor.Disk
	add := func(what, dir string, err error) {
		d := doctor.Disk{For: what, Path: dir}
		if err == nil {
			d.Free, err = workspace.Free(dir)
		}
		d.Answer = doctor.Answered(err)
		all = append(all, d)
	}
	cache, err := e.a.cache()
	add("cache", cache, err)
	root, err := e.a.root()
	add("repository", root, err)
	return all
}

// proxies are the variables that lead requests elsewhere.
func (e *examination) proxies() (set []doctor.Variable, except string) {
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"} {
		for _, spelled := range []string{name, strings.ToLower(name)} {
			if value := e.a.getenv(spelled); value != "" {
				set = append(set, doctor.Variable{Name: spelled, Value: value})
			}
		}
	}
	return set, or(e.a.getenv("NO_PROXY"), e.a.getenv("no_proxy"))
}

// repository looks at the manifest and at git.
func (e *examination) repository(ctx context.Context) {
	r := &e.facts.Repository
	r.InJob, r.From = e.inJob, e.a.from
	r.Manifest, r.Problems = doctor.Answered(e.repoErr), fault.DetailsOf(e.repoErr)
	r.Waiting = e.a.from == "" && e.upstream.Project != "" && e.upstream.Known != "--upstream"
	for _, model := range e.repo.manifest.Models {
		r.Models = append(r.Models, model.Name)
	}
	r.Environment, r.Destination = e.environment()
	if r.From != "" || r.Waiting {
		return
	}
	root, err := e.a.root()
	if err != nil {
		r.Git = doctor.Answered(err)
		return
	}
	git, err := e.a.openGit(ctx, root, true)
	if err != nil {
		r.Git = doctor.Answered(err)
		return
	}
	if r.HasGit = git != nil; !r.HasGit {
		return
	}
	r.Git = e.look(ctx, func(ctx context.Context) (err error) {
		r.Commits, r.Shallow, err = git.Depth(ctx)
		return err
	})
	if r.Shallow {
		r.Reach = e.ask(ctx, git.Reach)
	}
}

// environment is where models would go.
func (e *examination) environment() (name string, known doctor.Answer) {
	switch {
	case e.repoErr != nil:
		return "", doctor.NotAsked("it stands in the manifest")
	case e.destErr != nil:
		return "", doctor.Answered(e.destErr)
	case e.dest.local:
		return "local: the cloud inside towline; --target aws --env NAME looks at another", doctor.Answer{}
	}
	return e.dest.name + ", in " + e.dest.Region, doctor.Answer{}
}

package lint

import (
	"regexp"
	"slices"
	"strings"
	"sync"

	"gopkg.in/yaml.v3"
)

// gitlabRules are about GitLab's CI configuration: family 7.
func gitlabRules() []Rule {
	return slices.Concat(includeRules(), jobRules(), scriptRules(), deploymentRules())
}

// ci makes a rule's hook of what looks at one file of CI configuration.
func ci(look func(*pipeline, *Report)) func(*File, *Report) {
	return func(f *File, r *Report) {
		if !isPipeline(f.Path) {
			return
		}
		if p := readPipeline(f); p != nil {
			look(p, r)
		}
	}
}

// node reports a finding at a node of the file.
func (p *pipeline) node(r *Report, n *yaml.Node, format string, args ...any) *Finding {
	return r.At(p.file, n.Line, n.Column, format, args...)
}

// ciFile is an example of one file.
func ciFile(text string) map[string]string { return map[string]string{".gitlab-ci.yml": text} }

func includeRules() []Rule {
	return []Rule{{
		ID: "TL701", Name: "unpinned-include", Severity: Major, In: map[Profile]Severity{Prototype: Minor},
		Looks:  "included components, project files and addresses without a version",
		Why:    "in March 2025 somebody moved the tags of tj-actions/changed-files, and 23,000 repositories ran what printed their secrets (CVE-2025-30066): what is included runs with your variables",
		Advice: "name a release or a commit: component@1.2.0, ref: <commit>; for addresses add integrity",
		Bad:    Example{Files: ciFile("include:\n  - component: $CI_SERVER_FQDN/ml/towline/train@main\n"), At: ".gitlab-ci.yml:2"},
		Good:   Example{Files: ciFile("include:\n  - component: $CI_SERVER_FQDN/ml/towline/train@1.2.0\n")},
		File:   ci(unpinnedIncludes),
	}, {
		ID: "TL702", Name: "component-inputs", Severity: Critical,
		Looks:  "inputs of components and local files that are in this repository: unknown ones, missing ones, values that are no option",
		Why:    "without an input that has no default there is no pipeline, and so no job that tells why; gitlab-ci-local takes unknown inputs without a word, so the check at home passes",
		Advice: "give what spec:inputs asks for",
		Bad: Example{Files: map[string]string{
			".gitlab-ci.yml":     "include:\n  - local: templates/gate.yml\n    inputs:\n      reprot: a.json\n",
			"templates/gate.yml": "spec:\n  inputs:\n    report:\n      default: a.json\n---\ngate:\n  script: [towline gate]\n",
		}, At: ".gitlab-ci.yml:4"},
		Good: Example{Files: map[string]string{
			".gitlab-ci.yml":     "include:\n  - local: templates/gate.yml\n    inputs:\n      report: a.json\n",
			"templates/gate.yml": "spec:\n  inputs:\n    report:\n      default: a.json\n---\ngate:\n  script: [towline gate]\n",
		}},
		File: ci(componentInputs),
	}}
}

var (
	fullVersion = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^v?[0-9]+\.[0-9]+\.[0-9]+|^[0-9a-f]{40}$|^\$`) })
	partVersion = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^v?[0-9]+(\.[0-9]+)?$`) })
	branchName  = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^(main|master|develop|development|trunk|HEAD|latest|stable|production|staging|refs/heads/.*)$`)
	})
	commitInAddress = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`/([0-9a-f]{40}|v?[0-9]+\.[0-9]+\.[0-9]+[^/]*)/`) })
)

func unpinnedIncludes(p *pipeline, r *Report) {
	for _, item := range items(key(p.root, "include")) {
		if component := key(item, "component"); text(component) != "" {
			unpinnedComponent(p, r, component)
			continue
		}
		if project := key(item, "project"); text(project) != "" {
			ref := key(item, "ref")
			switch {
			case ref == nil:
				p.node(r, project, "%s has no ref: it is taken from the default branch", text(project))
			case branchName().MatchString(text(ref)):
				p.node(r, ref, "%s of %s is a branch", text(ref), text(project))
			}
			continue
		}
		address := key(item, "remote")
		if address == nil {
			address = item
		}
		if value := text(address); strings.HasPrefix(value, "https://") && key(item, "integrity") == nil && !commitInAddress().MatchString(value) {
			f := p.node(r, address, "what lies at this address may be another text tomorrow")
			f.Severity = min(f.Severity, Minor)
		}
	}
}

func unpinnedComponent(p *pipeline, r *Report, component *yaml.Node) {
	reference := text(component)
	name, version, named := cutLast(reference, "@")
	switch {
	case !named:
		p.node(r, component, "%s has no version", reference)
	case fullVersion().MatchString(version):
	case partVersion().MatchString(version):
		f := p.node(r, component, "%s of %s is whatever release of %s is newest", version, name, version)
		f.Severity = min(f.Severity, Info)
	case version == "~latest":
		p.node(r, component, "~latest of %s is whatever release is newest", name)
	default:
		p.node(r, component, "%s of %s is a branch, or a tag that says no version", version, name)
	}
}

// cutLast cuts at the last separator; without one, before is the whole text.
func cutLast(text, separator string) (before, after string, found bool) {
	i := strings.LastIndex(text, separator)
	if i < 0 {
		return text, "", false
	}
	return text[:i], text[i+len(separator):], true
}

func componentInputs(p *pipeline, r *Report) {
	for _, item := range items(key(p.root, "include")) {
		file, at := includedFile(p.file.Repo, item)
		if file == nil {
			continue
		}
		component := readPipeline(file)
		if component == nil || component.spec == nil {
			continue
		}
		wanted := key(component.spec, "inputs")
		given := key(item, "inputs")
		for name, value := range entries(given) {
			input := key(wanted, name.Value)
			if input == nil {
				p.node(r, name, "%s has no input %s", file.Path, name.Value)
				continue
			}
			if options := key(input, "options"); options != nil && text(value) != "" && !strings.Contains(text(value), "$") &&
				!slices.ContainsFunc(items(options), func(o *yaml.Node) bool { return o.Value == text(value) }) {
				p.node(r, value, "%s is no option of the input %s of %s", text(value), name.Value, file.Path)
			}
		}
		for name, input := range entries(wanted) {
			if key(input, "default") == nil && key(input, "rules") == nil && key(given, name.Value) == nil {
				p.node(r, at, "%s needs the input %s", file.Path, name.Value)
			}
		}
	}
}

// includedFile is the file of this repository that is included, if it is one.
func includedFile(repo *Repo, item *yaml.Node) (file *File, at *yaml.Node) {
	if local := key(item, "local"); text(local) != "" {
		f, _ := repo.File(strings.TrimPrefix(text(local), "/"))
		return f, local
	}
	component := key(item, "component")
	reference, _, _ := cutLast(text(component), "@")
	_, name, ours := strings.Cut(reference, "$CI_PROJECT_PATH/")
	if !ours {
		return nil, nil
	}
	for _, candidate := range []string{"templates/" + name + ".yml", "templates/" + name + "/template.yml"} {
		if f, ok := repo.File(candidate); ok {
			return f, component
		}
	}
	return nil, nil
}

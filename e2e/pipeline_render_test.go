package e2e_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// gitlab renders pipelines as GitLab does: from files of projects, by path.
type gitlab struct {
	projects  map[string]string // path of a project → its folder
	variables map[string]string
	includes  int
}

const mostIncludes = 150

// render gives the merged configuration of a file of a project, before extends.
func (g *gitlab) render(project, file string, inputs tree) (tree, error) {
	text, err := os.ReadFile(filepath.Join(g.projects[project], filepath.FromSlash(strings.TrimPrefix(file, "/"))))
	if err != nil {
		return nil, err
	}
	return g.renderText(project, file, text, inputs)
}

// splitFile is a file of a pipeline in its two parts, which nobody changes.
type splitFile struct {
	spec spec
	body tree
}

// parsedFiles keeps what was parsed: the same file stands in many pipelines.
var parsedFiles sync.Map

func parsedFile(text []byte) (splitFile, error) {
	if known, ok := parsedFiles.Load(string(text)); ok {
		return known.(splitFile), nil
	}
	header, body, err := splitSpec(text)
	if err == nil {
		parsedFiles.Store(string(text), splitFile{header, body})
	}
	return splitFile{header, body}, err
}

func (g *gitlab) renderText(project, name string, text []byte, inputs tree) (tree, error) {
	file, err := parsedFile(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	header, body := file.spec, file.body
	values, err := header.settle(inputs)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	filled, err := interpolate(body, values, g.variables)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	own := filled.(tree)
	merged := tree{}
	for _, include := range list(own["include"]) {
		if g.includes++; g.includes > mostIncludes {
			return nil, fmt.Errorf("more than %d includes", mostIncludes)
		}
		part, err := g.include(project, include)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		merged = merge(merged, part)
	}
	delete(own, "include")
	return merge(merged, own), nil
}

var componentAddress = regexp.MustCompile(`^\$CI_SERVER_FQDN/([^@]+)/([a-z-]+)@(.+)$`)

// include finds the file behind an include. What a file includes as local lies
// in that file's own project, at the same commit.
func (g *gitlab) include(from string, include any) (tree, error) {
	entry, ok := include.(tree)
	if !ok {
		entry = tree{"local": include}
	}
	inputs, _ := entry["inputs"].(tree)
	switch {
	case entry["local"] != nil:
		return g.render(from, fmt.Sprint(entry["local"]), inputs)
	case entry["component"] != nil:
		m := componentAddress.FindStringSubmatch(fmt.Sprint(entry["component"]))
		if m == nil || m[3] == "~latest" {
			return nil, fmt.Errorf("component %v: wanted $CI_SERVER_FQDN/PROJECT/NAME@VERSION", entry["component"])
		}
		return g.renderIn(expand(m[1], g.variables), "/templates/"+m[2]+".yml", inputs)
	case entry["project"] != nil:
		if entry["ref"] == nil {
			return nil, fmt.Errorf("project %v is included without a ref", entry["project"])
		}
		return g.renderIn(fmt.Sprint(entry["project"]), fmt.Sprint(entry["file"]), inputs)
	}
	return nil, fmt.Errorf("include %v is not understood", entry)
}

func (g *gitlab) renderIn(project, file string, inputs tree) (tree, error) {
	if g.projects[project] == "" {
		return nil, fmt.Errorf("there is no project %s", project)
	}
	return g.render(project, file, inputs)
}

// list is a value that may stand alone or in a list.
func list(value any) []any {
	switch v := value.(type) {
	case nil:
		return nil
	case []any:
		return v
	}
	return []any{value}
}

// merge lays over on under: maps key by key, all else replaced.
func merge(under, over tree) tree {
	merged := tree{}
	for key, value := range under {
		merged[key] = value
	}
	for key, value := range over {
		below, isMap := merged[key].(tree)
		above, too := value.(tree)
		if isMap && too {
			value = merge(below, above)
		}
		merged[key] = value
	}
	return merged
}

// notJobs are the names at the top of a configuration that are no jobs.
var notJobs = []string{"stages", "default", "workflow", "variables", "include", "image", "services", "cache", "before_script", "after_script", "spec"}

// jobs resolves extends, and gives the jobs that run.
func jobs(config tree) (map[string]tree, error) {
	all := map[string]tree{}
	var problems []error
	for name := range config {
		if slices.Contains(notJobs, name) || strings.HasPrefix(name, ".") {
			continue
		}
		job, err := extended(config, name, 0)
		if err != nil {
			problems = append(problems, err)
		}
		all[name] = job
	}
	return all, errors.Join(problems...)
}

func extended(config tree, name string, depth int) (tree, error) {
	own, ok := config[name].(tree)
	if !ok {
		return nil, fmt.Errorf("there is no job %s to extend", name)
	}
	if depth > 11 {
		return nil, fmt.Errorf("job %s extends too deeply", name)
	}
	whole := tree{}
	for _, parent := range list(own["extends"]) {
		part, err := extended(config, fmt.Sprint(parent), depth+1)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		whole = merge(whole, part)
	}
	whole = merge(whole, own)
	delete(whole, "extends")
	return whole, nil
}

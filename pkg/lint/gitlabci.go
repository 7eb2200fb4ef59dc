package lint

import (
	"bytes"
	"path"
	"strings"

	"gopkg.in/yaml.v3"
)

// pipeline is one file of GitLab's CI configuration. Nodes keep their places;
// nothing is expanded, so that aliases cost what they are worth.
type pipeline struct {
	file *File
	spec *yaml.Node // the header of a component; nil if there is none
	root *yaml.Node
	jobs []ciJob

	byName map[string][]int // the jobs of a name
}

// ciJob is one job, or a hidden one whose name begins with a dot.
type ciJob struct {
	name string

	node *yaml.Node
	in   *pipeline
}

// isPipeline says whether a file is read by GitLab as CI configuration, by its path.
func isPipeline(name string) bool {
	if path.Ext(name) != ".yml" && path.Ext(name) != ".yaml" {
		return false
	}
	base := strings.TrimSuffix(strings.TrimSuffix(path.Base(name), ".yml"), ".yaml")
	return strings.HasSuffix(base, ".gitlab-ci") || base == ".gitlab-ci" || strings.HasPrefix(name, ".gitlab/ci/") || strings.HasPrefix(name, ".gitlab-ci/")
}

// ciKeywords are keys at the top that are no jobs.
var ciKeywords = set("default", "include", "stages", "variables", "workflow", "spec", "image", "services", "cache", "before_script", "after_script", "pages:deploy")

// readPipeline reads a file of CI configuration; nil if it is none. What is
// not YAML has no jobs: GitLab says so itself.
func readPipeline(f *File) *pipeline { return f.load().pipeline() }

func parsePipeline(f *File, data []byte) *pipeline {
	p := &pipeline{file: f, byName: map[string][]int{}}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for range 2 {
		var document yaml.Node
		if decoder.Decode(&document) != nil || len(document.Content) == 0 {
			break
		}
		root := document.Content[0]
		if spec := key(root, "spec"); spec != nil && p.spec == nil && len(root.Content) == 2 {
			p.spec = spec
			continue
		}
		p.root = root
		break
	}
	if p.root == nil {
		if p.spec == nil {
			return nil
		}
		p.root = &yaml.Node{Kind: yaml.MappingNode}
	}
	for name, node := range entries(p.root) {
		if !ciKeywords[name.Value] && follow(node).Kind == yaml.MappingNode {
			p.byName[name.Value] = append(p.byName[name.Value], len(p.jobs))
			p.jobs = append(p.jobs, ciJob{name.Value, follow(node), p})
		}
	}
	return p
}

// follow goes through an alias. An alias of an alias there is not in YAML.
func follow(n *yaml.Node) *yaml.Node {
	if n != nil && n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// mostEntries bounds what merge keys may add up to.
const mostEntries = 10_000

// entries yields keys and values of a mapping, its own before those that it
// merges (<<).
func entries(n *yaml.Node) func(func(*yaml.Node, *yaml.Node) bool) {
	return func(yield func(*yaml.Node, *yaml.Node) bool) {
		queue, seen := []*yaml.Node{follow(n)}, 0
		for i := 0; i < min(len(queue), mostEntries) && seen < mostEntries; i++ {
			m := queue[i]
			if m == nil {
				continue
			}
			if m.Kind == yaml.SequenceNode && i > 0 { // <<: [*a, *b]
				for _, item := range m.Content[:min(len(m.Content), mostEntries)] {
					queue = append(queue, follow(item))
				}
				continue
			}
			if m.Kind != yaml.MappingNode {
				continue
			}
			for j := 0; j+1 < len(m.Content) && seen < mostEntries; j += 2 {
				if seen++; m.Content[j].Tag == "!!merge" {
					queue = append(queue, follow(m.Content[j+1]))
					continue
				}
				if !yield(m.Content[j], m.Content[j+1]) {
					return
				}
			}
		}
	}
}

// key is the value of a key of a mapping, or nil.
func key(n *yaml.Node, names ...string) *yaml.Node {
	for _, name := range names {
		var found *yaml.Node
		for k, v := range entries(n) {
			if k.Value == name {
				found = follow(v)
				break
			}
		}
		if n = found; n == nil {
			return nil
		}
	}
	return n
}

// items are the items of a list, or the one value that may stand for a list.
func items(n *yaml.Node) []*yaml.Node {
	if n = follow(n); n == nil {
		return nil
	}
	if n.Kind != yaml.SequenceNode || n.Tag == "!reference" {
		return []*yaml.Node{n}
	}
	list := make([]*yaml.Node, len(n.Content))
	for i, item := range n.Content {
		list[i] = follow(item)
	}
	return list
}

// text is a scalar's text; "" of anything else, and of what is filled in later.
func text(n *yaml.Node) string {
	if n = follow(n); n == nil || n.Kind != yaml.ScalarNode || strings.Contains(n.Value, "$[[") {
		return ""
	}
	return n.Value
}

// deepestExtends is how far GitLab follows extends.
const deepestExtends = 11

// key is a keyword of the job: its own, or that of the jobs it extends, as far
// as they are in this file, or the default's.
func (j ciJob) key(name string) *yaml.Node {
	seen := map[string]bool{}
	if found := j.inherited(name, seen); found != nil {
		return found
	}
	if found := key(j.in.root, "default", name); found != nil {
		return found
	}
	if name == "image" || name == "services" || name == "before_script" {
		return key(j.in.root, name)
	}
	return nil
}

func (j ciJob) inherited(name string, seen map[string]bool) *yaml.Node {
	if found := key(j.node, name); found != nil {
		return found
	}
	if seen[j.name] || len(seen) > deepestExtends {
		return nil
	}
	seen[j.name] = true
	parents := items(key(j.node, "extends"))
	for i := len(parents) - 1; i >= 0; i-- {
		for _, other := range j.in.byName[text(parents[i])] {
			if found := j.in.jobs[other].inherited(name, seen); found != nil {
				return found
			}
		}
	}
	return nil
}

// opaque says whether the job takes part of its keywords from elsewhere:
// another file, or a component.
func (j ciJob) opaque() bool {
	for _, parent := range items(key(j.node, "extends")) {
		if len(j.in.byName[text(parent)]) == 0 {
			return true
		}
	}
	return false
}

// variable is the value of a variable, of the job or of the pipeline, or nil.
func (j ciJob) variable(name string) *yaml.Node {
	for _, n := range []*yaml.Node{key(j.key("variables"), name), key(j.in.root, "variables", name)} {
		if value := key(n, "value"); value != nil {
			return value
		}
		if n != nil {
			return n
		}
	}
	return nil
}

// command is one line of a script.
type command struct {
	text string
	line int
}

// commands are the lines of the job's scripts.
func (j ciJob) commands() []command {
	s := script{most: mostEntries}
	for _, name := range []string{"before_script", "script", "after_script"} {
		for _, item := range items(key(j.node, name)) {
			s.add(item, 0)
		}
	}
	return s.commands
}

// script collects the lines of scripts. Lists in lists count as if they were
// written out, which aliases can make very long.
type script struct {
	commands []command
	most     int // so many nodes are looked at yet
}

func (s *script) add(n *yaml.Node, depth int) {
	if s.most--; s.most < 0 {
		return
	}
	if n.Kind == yaml.SequenceNode && n.Tag != "!reference" && depth < 10 {
		for _, item := range n.Content {
			s.add(follow(item), depth+1)
		}
		return
	}
	if n.Kind != yaml.ScalarNode {
		return
	}
	first := n.Line
	if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		first++
	}
	for line := range strings.Lines(n.Value) {
		s.commands = append(s.commands, command{strings.TrimSpace(line), first})
		first++
	}
}

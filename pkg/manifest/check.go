package manifest

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Local is the name of the environment that is built in.
const Local = "local"

// taken are names that the folder .towline uses beside those of the models.
var taken = []string{"cache", "image", "local", "reports"}

var s3Address = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^s3://` + bucketName + `(/[^\x00-\x1f\\]*)?$`) })

// checker finds what no single key shows: names that clash, and keys that contradict each other.
type checker struct {
	m        Manifest
	problems []Problem
}

func check(m Manifest) []Problem {
	c := &checker{m: m}
	c.names()
	for i, model := range m.Models {
		at := fmt.Sprintf("models[%d]", i)
		c.paths(at, model)
		c.image(at, model)
		c.channels(at+".train.channels", model)
		c.variables(at+".train.environment", model.Train.Environment)
		if model.Evaluate != nil {
			c.evaluate(at+".evaluate", model)
		}
		if model.Serve != nil {
			c.variables(at+".serve.environment", model.Serve.Environment)
		}
	}
	c.linked()
	c.environments()
	return c.problems
}

func (c *checker) problem(at, format string, args ...any) {
	c.problems = append(c.problems, Problem{c.m.where[at], at + ": " + fmt.Sprintf(format, args...)})
}

// names refuses models and environments that could not be told apart later.
func (c *checker) names() {
	endpoints := map[string]string{}
	for i, model := range c.m.Models {
		at := fmt.Sprintf("models[%d].name", i)
		if model.Name == "" {
			continue
		}
		if slices.Contains(taken, model.Name) {
			c.problem(at, "%s is the name of a folder in .towline, choose another one", model.Name)
		}
		for j, other := range c.m.Models[:i] {
			switch {
			case other.Name == model.Name:
				c.problem(at, "models[%d] is called %s too", j, model.Name)
			case prefixesCollide(model.Name, other.Name):
				c.problem(at, "the tags of %s and of models[%d], %s, could not be told apart", model.Name, j, other.Name)
			}
		}
		for _, environment := range append(slices.Sorted(maps.Keys(c.m.Environments)), Local) {
			endpoint, owner := model.Name+"-"+environment, model.Name+" in "+environment
			if first, clash := endpoints[endpoint]; clash && !strings.HasPrefix(first, model.Name+" ") {
				c.problem(at, "the endpoints of %s and of %s would have the same name", owner, first)
			}
			endpoints[endpoint] = owner
		}
	}
}

// prefixesCollide says whether a tag of one model could be read as one of the
// other: no tag prefix may be another one's followed by a digit.
func prefixesCollide(a, b string) bool {
	short, long := a, b
	if len(short) > len(long) {
		short, long = long, short
	}
	rest, ok := strings.CutPrefix(long, short+"-v")
	return ok && rest != "" && rest[0] >= '0' && rest[0] <= '9'
}

// linked refuses groups of models that there are not, or that overlap.
func (c *checker) linked() {
	groups := map[string]int{}
	for i, group := range c.m.Linked {
		for j, name := range group {
			at := fmt.Sprintf("linked[%d][%d]", i, j)
			if _, known := c.m.Model(name); !known {
				c.problem(at, "there is no model %s", quoted(name))
			}
			if first, twice := groups[name]; twice && first != i {
				c.problem(at, "%s is in linked[%d] already", quoted(name), first)
			}
			groups[name] = i
		}
	}
}

// paths refuses paths that leave the repository.
func (c *checker) paths(at string, model Model) {
	c.path(at+".path", "", model.Path)
	for i, shared := range model.Shared {
		c.path(fmt.Sprintf("%s.shared[%d]", at, i), "", shared)
	}
	for i, excluded := range model.Version.Exclude {
		c.path(fmt.Sprintf("%s.version.exclude[%d]", at, i), "", excluded)
	}
	c.path(at+".image.requirements", model.Path, model.Image.Requirements)
	if model.Evaluate != nil {
		c.path(at+".evaluate.file", "", model.Evaluate.File)
	}
	if model.Serve != nil && model.Serve.Sample != nil {
		c.path(at+".serve.sample.file", model.Path, model.Serve.Sample.File)
	}
}

func (c *checker) path(at, folder, name string) {
	if name == "" {
		return
	}
	if strings.ContainsAny(name, "\\\x00\n\r") {
		c.problem(at, "%s is not a path, wanted one with / between its parts", quoted(name))
		return
	}
	if path.IsAbs(name) {
		c.problem(at, "%s is absolute, wanted a path within the repository", quoted(name))
		return
	}
	whole := path.Join(folder, name)
	if whole == ".." || strings.HasPrefix(whole, "../") {
		c.problem(at, "%s leaves the repository", quoted(name))
		return
	}
	if top, _, _ := strings.Cut(whole, "/"); top == ".towline" || top == ".git" {
		c.problem(at, "%s lies in %s, which is no part of a model", quoted(name), top)
	}
}

// image refuses what an image cannot be, or what a model that is not trained
// cannot have.
func (c *checker) image(at string, model Model) {
	trained := c.m.where[at+".train"] != Position{}
	for i, folder := range model.Image.Programs {
		c.path(fmt.Sprintf("%s.image.programs[%d]", at, i), model.Path, folder)
	}
	if model.Image.User != "" && (trained || model.Serve != nil) {
		c.problem(at+".image.user", "SageMaker runs train and serve as root: name no user for a model that has them")
	}
	if _, set := model.Image.Environment["PATH"]; set {
		c.problem(at+".image.environment.PATH", "the PATH is made from that of the base: name folders under image.programs")
	}
	if !trained && model.Evaluate != nil {
		c.problem(at+".evaluate", "there is nothing to judge without train")
	}
	if !trained && model.Serve != nil {
		c.problem(at+".serve", "there is nothing to serve without train")
	}
}

// channels tells folders from addresses, and keeps the channels' variables apart.
func (c *checker) channels(at string, model Model) {
	variables := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(model.Train.Channels)) {
		source, key := model.Train.Channels[name], at+"."+quoted(name)
		if strings.HasPrefix(strings.ToLower(name), "towline-") {
			c.problem(key, "channels that begin with towline- are Towline's own, choose another name")
		}
		switch {
		case IsFolder(source):
			c.path(key, model.Path, source)
		case !s3Address().MatchString(source):
			c.problem(key, "%s is neither a folder nor an address such as s3://bucket/prefix/", quoted(source))
		}
		variable := "SM_CHANNEL_" + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(name))
		if first, clash := variables[variable]; clash {
			c.problem(key, "the channels %s and %s would share the variable %s", first, name, variable)
		}
		variables[variable] = name
	}
}

// IsFolder says whether a channel is filled from a folder of the repository,
// rather than from an address.
func IsFolder(source string) bool { return !strings.Contains(source, "://") }

func (c *checker) variables(at string, environment Scalars) {
	for _, name := range slices.Sorted(maps.Keys(environment)) {
		if strings.HasPrefix(name, "TOWLINE_") {
			c.problem(at+"."+quoted(name), "variables that begin with TOWLINE_ are set by Towline itself")
		}
	}
}

func (c *checker) evaluate(at string, model Model) {
	channel := model.Evaluate.Channel
	if _, known := model.Train.Channels[channel]; channel != "" && !known {
		c.problem(at+".channel", "the training has no channel %s%s", quoted(channel), wantedChannel(model.Train.Channels))
	}
	lines := map[string]int{}
	for i, rule := range model.Evaluate.Gate {
		c.rule(fmt.Sprintf("%s.gate[%d]", at, i), rule)
		if first, twice := lines[rule.Metric]; twice && rule.Metric != "" {
			c.problem(fmt.Sprintf("%s.gate[%d].metric", at, i), "gate[%d] is a rule for %s already", first, quoted(rule.Metric))
		}
		lines[rule.Metric] = i
	}
}

// wantedChannel lists the channels there are.
func wantedChannel(channels map[string]string) string {
	if len(channels) == 0 {
		return ": it has none"
	}
	return ", wanted " + either(slices.Sorted(maps.Keys(channels)))
}

// rule refuses a rule that asks for nothing, or for what its direction excludes.
func (c *checker) rule(at string, rule Rule) {
	limits := []struct {
		name  string
		value *float64
		goes  string
	}{
		{"at_least", rule.AtLeast, "higher"}, {"may_drop", rule.MayDrop, "higher"},
		{"at_most", rule.AtMost, "lower"}, {"may_rise", rule.MayRise, "lower"},
	}
	none := true
	for _, limit := range limits {
		if limit.value == nil {
			continue
		}
		none = false
		if rule.Better != limit.goes && (rule.Better == "higher" || rule.Better == "lower") {
			c.problem(at+"."+limit.name, "%s goes with better: %s, but %s is better here", limit.name, limit.goes, rule.Better)
		}
		if strings.HasPrefix(limit.name, "may_") && *limit.value < 0 {
			c.problem(at+"."+limit.name, "%g is negative, wanted how far the metric may move the wrong way", *limit.value)
		}
	}
	if none {
		c.problem(at, "the rule has no limit, wanted one of at_least, may_drop, at_most and may_rise")
	}
}

func (c *checker) environments() {
	for _, name := range slices.Sorted(maps.Keys(c.m.Environments)) {
		at := "environments." + quoted(name)
		if name == Local {
			c.problem(at, "the environment local is built in, choose another name")
		}
		for _, tag := range slices.Sorted(maps.Keys(c.m.Environments[name].Tags)) {
			if lower := strings.ToLower(tag); strings.HasPrefix(lower, "aws:") || strings.HasPrefix(lower, "towline:") {
				c.problem(at+".tags."+quoted(tag), "tags that begin with aws: or towline: are not the user's to set")
			}
		}
	}
}

package manifest

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

const (
	nullTag = "!!null"

	// mostNodes bounds what aliases may make of a small file.
	mostNodes = 100_000
)

// reader turns YAML nodes into the manifest's types. It goes on after a
// problem, so that all of them are found in one go.
type reader struct {
	keys     map[string]Key
	where    map[string]Position
	problems []Problem
	patterns map[string]*regexp.Regexp
	visited  int
	spent    bool // the file was too large once its aliases were followed
}

// place is where a node stands: path as the user counts (models[0].name), key
// as the format names it (models[].name).
type place struct {
	path, key string
}

func newReader() *reader {
	return &reader{keys: Keys(), where: map[string]Position{}, patterns: map[string]*regexp.Regexp{}}
}

func (p place) child(name string) place {
	return place{path: dotted(p.path, quoted(name)), key: dotted(p.key, name)}
}

func (p place) entry(name string) place {
	return place{path: dotted(p.path, quoted(name)), key: dotted(p.key, "*")}
}

func (p place) item(i int) place {
	return place{path: fmt.Sprintf("%s[%d]", p.path, i), key: p.key + "[]"}
}

func dotted(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// read sets v from n, which must be of v's type and keep to the limits of its key.
func (r *reader) read(n *yaml.Node, v reflect.Value, at place) {
	n, ok := r.follow(n, at)
	if !ok {
		return
	}
	r.where[at.path] = Position{n.Line, n.Column}
	switch target := v.Addr().Interface().(type) {
	case *Duration:
		r.readDuration(n, target, at)
		return
	case *Scalars:
		r.readScalars(n, target, at)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		r.read(n, v.Elem(), at)
	case reflect.Struct:
		r.readStruct(n, v, at)
	case reflect.Map:
		r.readMap(n, v, at)
	case reflect.Slice:
		r.readList(n, v, at)
	default:
		r.readScalar(n, v, at)
	}
}

// follow goes through aliases, within bounds, and refuses what stands for nothing.
func (r *reader) follow(n *yaml.Node, at place) (*yaml.Node, bool) {
	r.visited++
	if r.visited > mostNodes {
		if !r.spent {
			r.problem(n, at, "the file has more values than a manifest may have, counting those behind aliases")
		}
		r.spent = true
		return nil, false
	}
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.ShortTag() == nullTag {
		r.problem(n, at, "there is no value, wanted one or no key at all")
		return nil, false
	}
	return n, true
}

func (r *reader) problem(n *yaml.Node, at place, format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	if at.path != "" {
		message = at.path + ": " + message
	}
	r.problems = append(r.problems, Problem{Position{n.Line, n.Column}, message})
}

func (r *reader) readStruct(n *yaml.Node, v reflect.Value, at place) {
	fields := fieldsOf(v.Type())
	seen := map[string]bool{}
	for _, pair := range r.pairs(n, at) {
		field, ok := fields[pair.name]
		if !ok {
			r.problem(pair.key, at.child(pair.name), "unknown key%s", meant(pair.name, fields))
			continue
		}
		seen[pair.name] = true
		r.read(pair.value, v.FieldByIndex(field.Index), at.child(pair.name))
	}
	if n.Kind != yaml.MappingNode {
		return
	}
	for _, field := range reflect.VisibleFields(v.Type()) {
		if name, optional := yamlName(field); name != "" && !seen[name] {
			r.readAbsent(n, v.FieldByIndex(field.Index), at.child(name), optional)
		}
	}
}

// readAbsent fills in the default of a key that is not there.
func (r *reader) readAbsent(parent *yaml.Node, v reflect.Value, at place, optional bool) {
	if !optional {
		r.problem(parent, at, "the key is missing")
		return
	}
	if r.keys[at.key].Whole {
		return
	}
	text := r.keys[at.key].Default
	if text == "" && v.Kind() == reflect.Struct {
		text = "{}"
	}
	if text == "" {
		return
	}
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(text), &document); err != nil {
		r.problem(parent, at, "the default %q is not YAML: %v", text, err)
		return
	}
	value := document.Content[0]
	value.Line, value.Column = parent.Line, parent.Column
	r.read(value, v, at)
}

func (r *reader) readMap(n *yaml.Node, v reflect.Value, at place) {
	v.Set(reflect.MakeMap(v.Type()))
	pairs := r.pairs(n, at)
	r.checkCount(n, len(pairs), at)
	for _, pair := range pairs {
		r.checkName(pair.key, pair.name, at)
		value := reflect.New(v.Type().Elem()).Elem()
		r.read(pair.value, value, at.entry(pair.name))
		v.SetMapIndex(reflect.ValueOf(pair.name), value)
	}
}

func (r *reader) readList(n *yaml.Node, v reflect.Value, at place) {
	if n.Kind != yaml.SequenceNode {
		r.problem(n, at, "found %s, wanted a list%s", found(n), asList(n))
		return
	}
	r.checkCount(n, len(n.Content), at)
	seen := map[string]int{}
	for i, item := range n.Content {
		value := reflect.New(v.Type().Elem()).Elem()
		r.read(item, value, at.item(i))
		v.Set(reflect.Append(v, value))
		if first, twice := seen[item.Value]; twice && r.keys[at.key].Unique {
			r.problem(item, at.item(i), "%s stands in the list already, as item %d", quoted(item.Value), first)
		}
		seen[item.Value] = i
	}
}

func (r *reader) readScalar(n *yaml.Node, v reflect.Value, at place) {
	tag, wanted := n.ShortTag(), ""
	switch v.Kind() {
	case reflect.String:
		if tag != "!!str" {
			wanted = "text"
		}
	case reflect.Bool:
		if tag != "!!bool" {
			wanted = "true or false"
		}
	case reflect.Int:
		if tag != "!!int" {
			wanted = "a whole number"
		}
	case reflect.Float64:
		if tag != "!!int" && tag != "!!float" {
			wanted = "a number"
		}
	}
	if n.Kind != yaml.ScalarNode || wanted != "" {
		r.problem(n, at, "found %s, wanted %s%s", found(n), wanted, quotes(n, wanted))
		return
	}
	if err := n.Decode(v.Addr().Interface()); err != nil {
		r.problem(n, at, "%s is out of range", quoted(n.Value))
		return
	}
	r.checkScalar(n, v, at)
}

// readScalars keeps each value as the text that stands in the file.
func (r *reader) readScalars(n *yaml.Node, s *Scalars, at place) {
	pairs := r.pairs(n, at)
	r.checkCount(n, len(pairs), at)
	*s = Scalars{}
	for _, pair := range pairs {
		r.checkName(pair.key, pair.name, at)
		value, ok := r.follow(pair.value, at.entry(pair.name))
		if !ok {
			continue
		}
		r.where[at.entry(pair.name).path] = Position{value.Line, value.Column}
		if !plain(value) {
			r.problem(value, at.entry(pair.name), "found %s, wanted text, a number, true or false", found(value))
			continue
		}
		r.checkText(value, value.Value, at.entry(pair.name), r.keys[at.key])
		(*s)[pair.name] = value.Value
	}
}

func (r *reader) readDuration(n *yaml.Node, d *Duration, at place) {
	parsed, err := parseDuration(n)
	if err != nil {
		r.problem(n, at, "%v", err)
		return
	}
	*d = parsed
	key := r.keys[at.key]
	if key.Shortest != 0 && time.Duration(parsed) < key.Shortest || key.Longest != 0 && time.Duration(parsed) > key.Longest {
		r.problem(n, at, "%s is out of range, wanted %s to %s", parsed, Duration(key.Shortest), Duration(key.Longest))
	}
}

// pair is one key of a map with its value.
type pair struct {
	name       string
	key, value *yaml.Node
}

// pairs are the keys of a map, each once.
func (r *reader) pairs(n *yaml.Node, at place) []pair {
	if n.Kind != yaml.MappingNode {
		r.problem(n, at, "found %s, wanted a map of keys to values", found(n))
		return nil
	}
	var list []pair
	lines := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		for key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		switch first, twice := lines[key.Value]; {
		case key.ShortTag() == "!!merge":
			r.problem(key, at, "merge keys (<<) are not known here: write the keys out, or use an alias for the whole value")
		case !plain(key):
			r.problem(key, at, "found %s as a key, wanted a name", found(key))
		case twice:
			r.problem(key, at.child(key.Value), "the key stands here twice, first in line %d", first)
		default:
			lines[key.Value] = key.Line
			list = append(list, pair{key.Value, key, n.Content[i+1]})
		}
	}
	return list
}

// fieldsOf gives the fields of a struct by their names in YAML.
func fieldsOf(t reflect.Type) map[string]reflect.StructField {
	fields := map[string]reflect.StructField{}
	for _, field := range reflect.VisibleFields(t) {
		if name, _ := yamlName(field); name != "" {
			fields[name] = field
		}
	}
	return fields
}

// yamlName is the field's name in YAML, and whether it may be left out.
func yamlName(field reflect.StructField) (name string, optional bool) {
	name, options, _ := strings.Cut(field.Tag.Get("yaml"), ",")
	return name, options == "omitempty"
}

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"

	"github.com/invopop/jsonschema"

	"gitlab.com/towline/towline/pkg/manifest"
)

const manifestPackage = "pkg/manifest"

// manifestSchema is the manifest's JSON Schema: shapes and descriptions from
// the Go types, limits from manifest.Keys.
func manifestSchema(root string) (*jsonschema.Schema, error) {
	comments, err := fieldComments(filepath.Join(root, filepath.FromSlash(manifestPackage)))
	if err != nil {
		return nil, err
	}
	r := jsonschema.Reflector{
		DoNotReference: true,
		Anonymous:      true,
		FieldNameTag:   "yaml",
		Mapper:         mapped,
		LookupComment: func(t reflect.Type, field string) string {
			return comments[t.Name()+"."+field]
		},
	}
	schema := r.Reflect(manifest.Manifest{})
	schema.Title = "Towline's manifest, " + manifest.File
	keys := manifest.Keys()
	if err := limit(schema, "", keys); err != nil {
		return nil, err
	}
	if len(keys) > 0 {
		return nil, fmt.Errorf("manifest.Keys names keys that the types have not: %v", reflect.ValueOf(keys).MapKeys())
	}
	return schema, nil
}

// fieldComments are the comments on the fields of the room's types, by Type.Field.
func fieldComments(dir string) (map[string]string, error) {
	// The library names packages by the folder it was given.
	var r jsonschema.Reflector
	if err := r.AddGoComments("", dir); err != nil {
		return nil, err
	}
	comments := map[string]string{}
	for name, text := range r.CommentMap {
		comments[lastTwo.FindString(name)] = text
	}
	return comments, nil
}

var lastTwo = regexp.MustCompile(`[A-Za-z]+\.[A-Za-z]+$`)

// mapped gives the types that read themselves.
func mapped(t reflect.Type) *jsonschema.Schema {
	switch t {
	case reflect.TypeFor[manifest.Scalars]():
		return &jsonschema.Schema{
			Type:                 "object",
			AdditionalProperties: &jsonschema.Schema{Extras: map[string]any{"type": []string{"string", "number", "boolean"}}},
		}
	case reflect.TypeFor[manifest.Duration]():
		return &jsonschema.Schema{Type: "string", Pattern: manifest.DurationPattern, Examples: []any{"90s", "15m", "2h"}}
	}
	return nil
}

// limit adds the limits of the keys to the schema of what stands at a place,
// and takes those that it has used out of keys.
func limit(s *jsonschema.Schema, at string, keys map[string]manifest.Key) error {
	if key, ok := keys[at]; ok {
		delete(keys, at)
		if err := limitOne(s, key); err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
	}
	if s.Items != nil {
		if err := limit(s.Items, at+"[]", keys); err != nil {
			return err
		}
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Properties != nil {
		if err := limit(s.AdditionalProperties, at+".*", keys); err != nil {
			return err
		}
	}
	for child := s.Properties.Oldest(); child != nil; child = child.Next() {
		name := child.Key
		if at != "" {
			name = at + "." + name
		}
		if err := limit(child.Value, name, keys); err != nil {
			return err
		}
	}
	return nil
}

func limitOne(s *jsonschema.Schema, key manifest.Key) error {
	texts := s
	switch s.Type {
	case "array":
		texts = s.Items
		s.MinItems, s.MaxItems, s.UniqueItems = count(key.Least), count(key.Most), key.Unique
	case "object":
		texts = s.AdditionalProperties
		s.MinProperties, s.MaxProperties = count(key.Least), count(key.Most)
		if key.Names != "" {
			s.PropertyNames = &jsonschema.Schema{Pattern: key.Names, MaxLength: count(key.NameLength)}
		}
	case "integer":
		s.Minimum, s.Maximum = number(key.Least), number(key.Most)
	}
	for _, choice := range key.OneOf {
		texts.Enum = append(texts.Enum, choice)
	}
	if key.Pattern != "" {
		texts.Pattern = key.Pattern
	}
	texts.MaxLength = count(key.Length)
	if texts.Type == "string" && key.OneOf == nil && (key.Pattern == "" || !regexp.MustCompile(key.Pattern).MatchString("")) {
		texts.MinLength = count(1)
	}
	value, err := key.DefaultValue()
	s.Default = value
	return err
}

func count(n int) *uint64 {
	if n == 0 {
		return nil
	}
	u := uint64(n)
	return &u
}

func number(n int) json.Number {
	if n == 0 {
		return ""
	}
	return json.Number(strconv.Itoa(n))
}

func schemaText(schema *jsonschema.Schema) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(schema); err != nil {
		return nil, err
	}
	return text.Bytes(), nil
}

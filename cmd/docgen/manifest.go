package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/invopop/jsonschema"

	"gitlab.com/towline/towline/pkg/manifest"
)

// manifestPage is the reference of every key, from the schema.
func manifestPage(schema *jsonschema.Schema) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# %s\n\n%s", manifest.File, generated)
	fmt.Fprintf(&b, "The manifest lies at the top of a model repository and says what the repository is. Keys that are not listed here\n"+
		"are errors, and all errors are listed at once. Required keys are in bold. Paths have `/` between their parts and stay\n"+
		"within the repository. An editor that is shown [`%[1]s`](../../pkg/manifest/%[1]s) completes and checks\n"+
		"the file as it is written: its first line is\n\n```yaml\n# yaml-language-server: $schema=./%[1]s\n```\n", manifest.SchemaFile)
	section(&b, schema, "", manifest.Keys())
	return b.Bytes()
}

// section writes the table of one map of keys, and then those of the maps below it.
func section(b *bytes.Buffer, s *jsonschema.Schema, at string, keys map[string]manifest.Key) {
	title := "Top"
	if at != "" {
		title = "`" + at + "`"
	}
	fmt.Fprintf(b, "\n## %s\n\n| key | value | default | what it is | limits |\n|---|---|---|---|---|\n", title)
	type below struct {
		at     string
		schema *jsonschema.Schema
	}
	var next []below
	for child := s.Properties.Oldest(); child != nil; child = child.Next() {
		path := child.Key
		if at != "" {
			path = at + "." + path
		}
		name := "`" + child.Key + "`"
		if slices.Contains(s.Required, child.Key) {
			name = "**" + name + "**"
		}
		value, key := child.Value, keys[path]
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", name, kind(value), code(key.Default), cell(value.Description), cell(limits(key)))
		switch {
		case value.Properties != nil:
			next = append(next, below{path, value})
		case value.Items != nil && value.Items.Properties != nil:
			next = append(next, below{path + "[]", value.Items})
		case value.AdditionalProperties != nil && value.AdditionalProperties.Properties != nil:
			next = append(next, below{path + ".*", value.AdditionalProperties})
		}
	}
	for _, n := range next {
		section(b, n.schema, n.at, keys)
	}
}

// kind is the type of a value in words.
func kind(s *jsonschema.Schema) string {
	switch {
	case s.Type == "array" && s.Items.Type == "object":
		return "list of maps"
	case s.Type == "array" && s.Items.Type == "array":
		return "list of lists of texts"
	case s.Type == "array":
		return "list of texts"
	case s.Type == "object" && s.Properties != nil:
		return "map"
	case s.Type == "object" && s.AdditionalProperties.Properties != nil:
		return "map of maps, by name"
	case s.Type == "object":
		return "map of plain values, by name"
	case s.Pattern == manifest.DurationPattern:
		return "duration such as 90s, 15m or 2h"
	case s.Type == "string":
		return "text"
	case s.Type == "integer":
		return "whole number"
	case s.Type == "boolean":
		return "`true` or `false`"
	}
	return s.Type
}

// limits are what a value of the key must keep to, in words.
func limits(key manifest.Key) string {
	var parts []string
	if key.Takes != "" {
		parts = append(parts, key.Takes)
	}
	if key.NameRule != "" {
		parts = append(parts, "name: "+key.NameRule)
	}
	if key.OneOf != nil {
		parts = append(parts, "one of `"+strings.Join(key.OneOf, "`, `")+"`")
	}
	switch {
	case key.Least != 0 && key.Most != 0:
		parts = append(parts, fmt.Sprintf("%d to %d", key.Least, key.Most))
	case key.Least != 0:
		parts = append(parts, fmt.Sprintf("at least %d", key.Least))
	case key.Most != 0:
		parts = append(parts, fmt.Sprintf("at most %d", key.Most))
	}
	if key.Length != 0 {
		parts = append(parts, fmt.Sprintf("at most %d characters", key.Length))
	}
	if key.Longest != 0 {
		parts = append(parts, fmt.Sprintf("%s to %s", manifest.Duration(key.Shortest), manifest.Duration(key.Longest)))
	}
	return strings.Join(parts, "; ")
}

// cell is text that does not break a table.
func cell(text string) string { return strings.ReplaceAll(text, "|", "\\|") }

func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}

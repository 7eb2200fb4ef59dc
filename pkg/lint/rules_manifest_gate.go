package lint

import (
	"bytes"
	"fmt"
	"path"
	"strings"
)

// manifestGateRules are about how the manifest judges a model.
func manifestGateRules() []Rule {
	return []Rule{{
		ID: "TL214", Name: "unwritten-metric", Severity: Major, In: map[Profile]Severity{Prototype: Minor},
		Looks:  "metrics of the gate whose name stands nowhere in the model's code",
		Why:    "the gate refuses a model whose evaluation lacks the metric, after the training was paid for: its metrics are names in a JSON file that nothing else checks",
		Advice: "write the metric into the evaluation's metrics under this name, or correct the gate",
		Bad: Example{Files: map[string]string{
			"towline.yaml": exampleManifest, "train.py": "print({'metrics': {'mae': 1}})\n",
		}, At: "towline.yaml:11"},
		Good: Example{Files: map[string]string{
			"towline.yaml": exampleManifest, "train.py": "print({'metrics': {'rmse': 1}})\n",
		}},
		Model: unwrittenMetrics,
	}, {
		ID: "TL215", Name: "no-gate", Severity: Minor, In: map[Profile]Severity{Prototype: Off, Production: Critical},
		Looks:  "models that are served and whose gate is missing or empty",
		Why:    "aws-samples/sagemaker-custom-project-templates deploys without a gate, and its issue 15 tells of models that nobody approved starting a deployment",
		Advice: "name a metric and its limit under evaluate.gate",
		Bad:    Example{Files: exampleWith("        - {metric: rmse, better: lower, at_most: 2}", "        []"), At: "towline.yaml:11"},
		Good:   Example{Files: map[string]string{"towline.yaml": exampleManifest}},
		Model: func(m *Model, r *Report) {
			if m.Serve == nil || m.Evaluate != nil && len(m.Evaluate.Gate) > 0 {
				return
			}
			r.Manifest(m.Position("evaluate.gate"), "%s is served, and nothing judges it before", m.Name)
		},
	}, {
		ID: "TL216", Name: "no-test-channel", Severity: Info, In: map[Profile]Severity{Prototype: Off, Production: Minor},
		Looks:  "gates that compare with the champion without a channel for test data",
		Why:    "a metric on the data that the model was fitted to says little: Kapoor and Narayanan (Patterns, 2023) found leakage in 17 fields and 294 papers, and the first kind in their list is that there is no test set",
		Advice: "add a channel named test, or name the one that holds test data in evaluate.channel",
		Bad:    Example{Files: map[string]string{"towline.yaml": exampleManifest}, At: "towline.yaml:8"},
		Good:   Example{Files: exampleWith("channels: {train: data/train}", "channels: {train: data/train, test: data/test}")},
		Model: func(m *Model, r *Report) {
			if m.Evaluate == nil || len(m.Evaluate.Gate) == 0 || len(m.Train.Channels) == 0 || m.Evaluate.Channel != "" {
				return
			}
			if _, ok := m.Train.Channels["test"]; !ok {
				r.Manifest(m.Position("train.channels"), "the gate judges %s by the data it was trained on: no channel is named test", m.Name)
			}
		},
	}}
}

func unwrittenMetrics(m *Model, r *Report) {
	if m.Evaluate == nil || len(m.code()) == 0 {
		return
	}
	for i, rule := range m.Evaluate.Gate {
		if m.mentions(rule.Metric) || m.composes(rule.Metric) {
			continue
		}
		key := fmt.Sprintf("evaluate.gate[%d].metric", i)
		r.Manifest(m.Position(key), "no code of the model speaks of %q", rule.Metric)
	}
}

// composes says whether a metric's name may be put together by the code, as
// f"{split}_f1" does: all its parts stand there.
func (m *Model) composes(name string) bool {
	parts := strings.FieldsFunc(name, func(c rune) bool { return strings.ContainsRune("_-/.@ ", c) })
	if len(parts) < 2 {
		return false
	}
	for _, part := range parts {
		if !m.mentions(part) && !m.mentionsPart(part) {
			return false
		}
	}
	return true
}

// code are the model's Python files without its tests.
func (m *Model) code() []*File {
	var list []*File
	for _, f := range m.PythonFiles() {
		if !isTest(f.Path) {
			list = append(list, f)
		}
	}
	return list
}

// isTest says whether a file is part of tests, by its path.
func isTest(name string) bool {
	base := path.Base(name)
	if strings.HasPrefix(base, "test_") || strings.HasSuffix(base, "_test.py") || base == "conftest.py" {
		return true
	}
	for part := range strings.SplitSeq(path.Dir(name), "/") {
		if part == "tests" || part == "test" || part == "testing" || part == "testdata" || part == "fixtures" {
			return true
		}
	}
	return false
}

// mentions says whether one of the words stands in the model's code, as a whole.
func (m *Model) mentions(words ...string) bool {
	for _, f := range m.code() {
		text := f.Bytes()
		for _, word := range words {
			if containsWord(text, word) {
				return true
			}
		}
	}
	return false
}

// mentionsPart says whether a text stands in the model's code, within a word too.
func (m *Model) mentionsPart(text string) bool {
	for _, f := range m.code() {
		if len(text) > 1 && bytes.Contains(f.Bytes(), []byte(text)) {
			return true
		}
	}
	return false
}

// containsWord looks for a word that no letter, digit or underscore touches;
// at an end of the word that is none of these, anything may.
func containsWord(text []byte, word string) bool {
	for from := 0; ; {
		i := bytes.Index(text[from:], []byte(word))
		if i < 0 || word == "" {
			return false
		}
		start, end := from+i, from+i+len(word)
		before := start == 0 || !wordByte(text[start-1]) || !wordByte(word[0])
		after := end == len(text) || !wordByte(text[end]) || !wordByte(word[len(word)-1])
		if before && (after || word[len(word)-1] == '_') {
			return true
		}
		from = start + 1
	}
}

func wordByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

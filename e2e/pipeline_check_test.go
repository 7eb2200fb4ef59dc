package e2e_test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/pflag"
	"mvdan.cc/sh/v3/syntax"

	"gitlab.com/towline/towline/pkg/cli"
)

// gitlabStages are the stages of a project that names none.
var gitlabStages = []string{".pre", "build", "test", "deploy", ".post"}

// examine says what is wrong with a merged configuration that no schema shows.
func examine(config tree, stages []string) []string {
	all, err := jobs(config)
	if err != nil {
		return []string{err.Error()}
	}
	problems := examineOrder(all, stages)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		examineJob(all[name], func(format string, args ...any) {
			problems = append(problems, name+": "+fmt.Sprintf(format, args...))
		})
	}
	return problems
}

// examineOrder says which jobs cannot come after those that they need.
func examineOrder(all map[string]tree, stages []string) []string {
	var problems []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		problem := func(format string, args ...any) {
			problems = append(problems, name+": "+fmt.Sprintf(format, args...))
		}
		job := all[name]
		stage := fmt.Sprint(job["stage"])
		if !slices.Contains(stages, stage) {
			problem("there is no stage %s in %v", stage, stages)
		}
		for _, need := range list(job["needs"]) {
			entry, ok := need.(tree)
			if !ok {
				entry = tree{"job": need}
			}
			before := all[fmt.Sprint(entry["job"])]
			switch {
			case before == nil && entry["optional"] == true:
			case before == nil:
				problem("needs %v, which is no job", entry["job"])
			case slices.Index(stages, fmt.Sprint(before["stage"])) > slices.Index(stages, stage):
				problem("needs %v of a later stage", entry["job"])
			}
		}
		if round := circle(all, name, nil); round != nil {
			problem("needs itself: %v", round)
		}
	}
	return problems
}

// circle is the way from a job through needs to itself, or nil.
func circle(all map[string]tree, name string, way []string) []string {
	if slices.Contains(way, name) {
		return append(way, name)
	}
	for _, need := range list(all[name]["needs"]) {
		if entry, ok := need.(tree); ok {
			need = entry["job"]
		}
		if round := circle(all, fmt.Sprint(need), append(slices.Clone(way), name)); round != nil {
			return round
		}
	}
	return nil
}

var pinnedImage = regexp.MustCompile(`@sha256:[0-9a-f]{64}$`)

func examineJob(job tree, problem func(string, ...any)) {
	variables, _ := job["variables"].(tree)
	for name, value := range variables {
		switch value.(type) {
		case string, int, tree:
		default: // an input of another type, alone in its quotes, stays what it is
			problem("variable %s is the %T %v, and GitLab takes texts and whole numbers", name, value, value)
		}
	}
	switch {
	case job["trigger"] != nil && job["script"] != nil:
		problem("has both script and trigger")
	case job["trigger"] == nil && job["script"] == nil:
		problem("has neither script nor trigger")
	}
	if job["trigger"] != nil {
		for _, keyword := range []string{"image", "artifacts", "cache", "id_tokens", "timeout", "retry", "interruptible"} {
			if job[keyword] != nil && keyword != "interruptible" {
				problem("triggers a pipeline, which takes no %s", keyword)
			}
		}
		return
	}
	image := fmt.Sprint(job["image"])
	if image != "$TOWLINE_IMAGE" && !pinnedImage.MatchString(image) {
		problem("image %s is not pinned", image)
	}
	if job["timeout"] == nil {
		problem("has no timeout")
	}
	if job["interruptible"] == nil {
		problem("does not say whether it is interruptible")
	}
	for _, line := range slices.Concat(list(job["before_script"]), list(job["script"]), list(job["after_script"])) {
		if err := examineLine(fmt.Sprint(line), job); err != nil {
			problem("%v", err)
		}
	}
}

// examineLine holds a line of a script against the command tree.
func examineLine(line string, job tree) error {
	variables := map[string]string{}
	given, _ := job["variables"].(tree)
	for name, value := range given {
		variables[name] = fmt.Sprint(value)
	}
	for _, at := range variable.FindAllString(line, -1) {
		name := strings.Trim(at, "${}")
		if _, ok := variables[name]; !ok && !strings.HasPrefix(name, "CI_") {
			return fmt.Errorf("%q uses %s, which the job does not set", line, at)
		}
	}
	calls, err := towlineCalls(expand(line, variables))
	if err != nil {
		return err
	}
	if len(calls) != 1 {
		return fmt.Errorf("%q is not one call of towline", line)
	}
	key := strings.Join(calls[0], "\x00")
	if known, ok := parsed.Load(key); ok {
		err, _ := known.(error)
		return err
	}
	err = parses(calls[0])
	parsed.Store(key, any(err))
	return err
}

// parsed remembers which calls the command tree takes: most stand in many combinations.
var parsed sync.Map

// towlineCalls are the calls of towline in a shell script, as words.
func towlineCalls(script string) ([][]string, error) {
	file, err := syntax.NewParser().Parse(strings.NewReader(script), "")
	if err != nil {
		return nil, fmt.Errorf("%q: %w", script, err)
	}
	var calls [][]string
	syntax.Walk(file, func(node syntax.Node) bool {
		call, ok := node.(*syntax.CallExpr)
		if !ok || len(call.Args) == 0 || call.Args[0].Lit() != "towline" && !strings.HasSuffix(call.Args[0].Lit(), "bin/towline") {
			return true
		}
		var words []string
		for _, word := range call.Args[1:] {
			words = append(words, wordText(word))
		}
		calls = append(calls, words)
		return true
	})
	return calls, nil
}

// wordText is a word without its quotes; what the shell would put in is X.
func wordText(word *syntax.Word) string {
	var text strings.Builder
	var parts func([]syntax.WordPart)
	parts = func(list []syntax.WordPart) {
		for _, part := range list {
			switch p := part.(type) {
			case *syntax.Lit:
				text.WriteString(p.Value)
			case *syntax.SglQuoted:
				text.WriteString(p.Value)
			case *syntax.DblQuoted:
				parts(p.Parts)
			default:
				text.WriteString("X")
			}
		}
	}
	parts(word.Parts)
	return text.String()
}

// parses says whether the command tree takes the words.
func parses(words []string) error {
	root := cli.Root()
	root.SetOut(io.Discard)
	root.SetErr(io.Discard)
	cmd, rest, err := root.Find(words)
	if err != nil {
		return fmt.Errorf("towline %s: %w", strings.Join(words, " "), err)
	}
	if cmd == root && len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
		return fmt.Errorf("towline %s: there is no such command", strings.Join(words, " "))
	}
	cmd.DisableFlagParsing = false
	if err := cmd.ParseFlags(rest); err != nil && !errors.Is(err, pflag.ErrHelp) {
		return fmt.Errorf("towline %s: %w", strings.Join(words, " "), err)
	}
	if err := cmd.ValidateArgs(cmd.Flags().Args()); err != nil {
		return fmt.Errorf("towline %s: %w", strings.Join(words, " "), err)
	}
	return nil
}

package e2e_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// pageBlock is a fenced block of a page: its language, and the file or the step
// that its title names.
type pageBlock struct {
	language, title, text string
}

var fence = regexp.MustCompile("(?ms)^```([a-z]*)(?: title=(\\S+))?\n(.*?)^```$")

func blocksOf(page string) []pageBlock {
	var all []pageBlock
	for _, m := range fence.FindAllStringSubmatch(page, -1) {
		all = append(all, pageBlock{m[1], m[2], m[3]})
	}
	return all
}

// page reads the blocks of a page in docs.
func page(t *testing.T, name string) []pageBlock {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "docs", filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return blocksOf(string(text))
}

// titled is the one block of that title.
func titled(t *testing.T, blocks []pageBlock, title string) string {
	t.Helper()
	i := slices.IndexFunc(blocks, func(b pageBlock) bool { return b.title == title })
	if i < 0 {
		t.Fatalf("no block is titled %s", title)
	}
	return blocks[i].text
}

var (
	codeSpan   = regexp.MustCompile("`(towline [^`\n]+)`")
	typedLine  = regexp.MustCompile(`(?m)^(?:\$ )?(towline [^\n]+)$`)
	scriptLine = regexp.MustCompile(`(?m)(?:^\s*- |script: \[)(towline [^\n\]]+)`)
)

// shownCommand is a call of towline that a page or a pipeline shows.
type shownCommand struct {
	line  string
	named bool // in a sentence, where a flag may stand without its value
}

// commandLines are the calls that are shown whole: not those with an ellipsis.
func commandLines(text string, isPage bool) []shownCommand {
	var found []shownCommand
	add := func(text string, shape *regexp.Regexp) {
		for _, m := range shape.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(m[1], "…") {
				found = append(found, shownCommand{m[1], shape == codeSpan})
			}
		}
	}
	if !isPage {
		add(text, scriptLine)
		return found
	}
	for _, b := range blocksOf(text) {
		switch b.language {
		case "yaml":
			add(b.text, scriptLine)
		case "", "sh":
			add(b.text, typedLine)
		}
	}
	add(fence.ReplaceAllString(text, ""), codeSpan)
	return found
}

// understood says whether the command tree takes all calls of a line.
func (c shownCommand) understood() error {
	calls, err := towlineCalls(c.line)
	if err == nil && len(calls) == 0 {
		err = errors.New("no call of towline")
	}
	for _, words := range calls {
		problem := parses(words)
		if problem != nil && c.named {
			problem = parses(append(words, "X"))
		}
		err = errors.Join(err, problem)
	}
	return err
}

// What pages and examples tell people to type is understood.
func TestCommandsInPagesAndExamplesParse(t *testing.T) {
	count := 0
	for _, start := range []string{"../README.md", "../templates/README.md", "../docs", "../examples"} {
		err := filepath.WalkDir(start, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if entry.IsDir() && (entry.Name() == "reference" || entry.Name() == ".towline") {
				return fs.SkipDir // reference is written from the command tree
			}
			kind := filepath.Ext(path)
			if entry.IsDir() || kind != ".md" && kind != ".yml" {
				return nil
			}
			text, err := os.ReadFile(path)
			for _, line := range commandLines(string(text), kind == ".md") {
				count++
				if err := line.understood(); err != nil {
					t.Errorf("%s: %q: %v", path, line.line, err)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if count < 40 {
		t.Errorf("found %d commands, want those of all pages", count)
	}
}

func TestCommandsThatDoNotParseAreFound(t *testing.T) {
	text := "Run `towline deply`.\n```sh\ntowline run --dry\n$ towline fetch --from\n```\n```yaml\nscript: [towline traim]\n```\n"
	lines := commandLines(text, true)
	if len(lines) != 4 {
		t.Fatalf("found %v, want four commands", lines)
	}
	for _, line := range lines {
		if line.understood() == nil {
			t.Errorf("%q is taken for a command", line.line)
		}
	}
}

// Every page for users of GitLab is listed, and shows whole pipelines, which
// GitLab takes and whose jobs keep the rules.
func TestPagesForGitLabShowWholePipelines(t *testing.T) {
	files, err := filepath.Glob("../docs/gitlab/*.md")
	if err != nil {
		t.Fatal(err)
	}
	index, err := os.ReadFile("../docs/gitlab/README.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := 0
	for _, file := range files {
		name := filepath.Base(file)
		if name == "README.md" {
			continue
		}
		if !strings.Contains(string(index), "("+name+")") {
			t.Errorf("docs/gitlab/README.md does not name %s", name)
		}
		for _, b := range page(t, "gitlab/"+name) {
			if !strings.HasSuffix(b.title, ".gitlab-ci.yml") {
				continue
			}
			shown++
			g := ourGitLab()
			g.projects["science/diagnosis"] = ".." // with copies of the templates
			config, err := g.renderText("science/diagnosis", b.title, []byte(b.text), nil)
			if err != nil {
				t.Errorf("%s, %s: %v", name, b.title, err)
				continue
			}
			all, err := jobs(config)
			if err != nil || len(all) < 6 {
				t.Errorf("%s, %s: %d jobs, %v", name, b.title, len(all), err)
			}
		}
	}
	if shown < 7 {
		t.Errorf("the pages show %d pipelines, want those of every user", shown)
	}
}

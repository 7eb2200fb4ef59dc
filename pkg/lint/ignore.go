package lint

import (
	"bytes"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// ignore is a comment that silences rules.
type ignore struct {
	line     int // where the comment stands
	target   int // the line it is about; 0 for the whole file
	cell     place
	rules    []string
	reason   string
	used     []bool // by rule
	mistaken string // why it silences nothing, or ""
}

// The comments: # towline: ignore TL101 reason, // towline: ignore-file TL101, TL102 reason.
var (
	ignoreComment = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?:^|[^\w"'])(#|//|--|;|%|<!--|/\*)\s*towline:\s*(ignore(?:-file)?)\b[ \t:]*(.*)$`)
	})
	ignoredRule = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^(TL[0-9]{3}|pylint:[a-z0-9-]+|ruff:[A-Z]+[0-9]+),?$`)
	})
)

// mostIgnores bounds the comments of one file.
const mostIgnores = 10_000

// readIgnores finds the comments of a file that silence rules.
func readIgnores(f *File) []ignore {
	if f.Kind == JSON || binaryName(f.Path) || f.Size > f.most() {
		return nil
	}
	if !bytes.Contains(f.Bytes(), []byte("towline:")) || f.Binary() {
		return nil
	}
	if f.Kind == Notebook {
		return notebookIgnores(f)
	}
	var list []ignore
	lines := f.Lines()
	for i, line := range lines {
		found, alone, ok := parseIgnore(line)
		if !ok || len(list) == mostIgnores {
			continue
		}
		found.line = i + 1
		if found.target == 0 && alone {
			found.target = i + 1 + nextStatement(lines[i+1:])
		} else if found.target == 0 {
			found.target = i + 1
		}
		if found.target < 0 {
			found.target = 0
		}
		list = append(list, found)
	}
	return list
}

// notebookIgnores finds the comments in the code cells of a notebook.
func notebookIgnores(f *File) []ignore {
	n, err := f.Notebook()
	if err != nil {
		return nil
	}
	var list []ignore
	for _, cell := range n.Cells {
		for i, line := range cell.Source {
			found, alone, ok := parseIgnore(line.Text)
			if !ok || cell.Type != "code" || len(list) == mostIgnores {
				continue
			}
			found.line, found.cell = line.Line, place{cell.Number, i + 1, line.Line}
			switch {
			case found.target < 0:
				found.target = 0
			case alone && i+1 < len(cell.Source):
				found.target = cell.Source[i+1].Line
			default:
				found.target = line.Line
			}
			list = append(list, found)
		}
	}
	return list
}

// parseIgnore reads the comment of one line. The target of one for the whole
// file is -1. Alone says that there is nothing else on the line.
func parseIgnore(line string) (found ignore, alone, ok bool) {
	if !strings.Contains(line, "towline:") || len(line) > 10*longestSource {
		return ignore{}, false, false
	}
	match := ignoreComment().FindStringSubmatchIndex(line)
	if match == nil {
		return ignore{}, false, false
	}
	if line[match[4]:match[5]] == "ignore-file" {
		found.target = -1
	}
	words := strings.Fields(line[match[6]:match[7]])
	for len(words) > 0 && ignoredRule().MatchString(words[0]) {
		found.rules = append(found.rules, strings.TrimSuffix(words[0], ","))
		words = words[1:]
	}
	text := strings.Join(words, " ")
	text = strings.TrimSuffix(strings.TrimSuffix(text, "-->"), "*/")
	found.reason = strings.Trim(text, " \t-:–—")
	found.used = make([]bool, len(found.rules))
	switch {
	case len(found.rules) == 0:
		found.mistaken = "the comment names no rule"
	case found.reason == "":
		found.mistaken = "the comment gives no reason"
	}
	return found, strings.TrimSpace(line[:match[2]]) == "", true
}

// mostBetween is how many lines there may be between a comment and its statement.
const mostBetween = 100

// nextStatement is how many lines further the next line is that is neither
// empty nor such a comment itself.
func nextStatement(lines []string) int {
	for i, line := range lines[:min(len(lines), mostBetween)] {
		_, alone, comment := parseIgnore(line)
		if strings.TrimSpace(line) != "" && (!comment || !alone) {
			return i + 1
		}
	}
	return 1
}

// binaryName says whether files of that name hold no text.
func binaryName(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".csv", ".tsv", ".parquet", ".png", ".jpg", ".jpeg", ".gif", ".pdf", ".pkl", ".joblib", ".pt", ".pth", ".onnx", ".h5",
		".npy", ".npz", ".zip", ".gz", ".whl", ".so", ".bin", ".safetensors", ".ico", ".woff", ".woff2", ".jsonl", ".lock":
		return true
	}
	return false
}

// silences says whether the comment is about a finding, and by which of its rules.
func (g *ignore) silences(f *Finding) bool {
	i := slices.Index(g.rules, f.Rule)
	if g.mistaken != "" || i < 0 {
		return false
	}
	last := max(f.Line, f.EndLine)
	if g.target != 0 && (g.target < f.Line || g.target > last) {
		return false
	}
	g.used[i] = true
	return true
}

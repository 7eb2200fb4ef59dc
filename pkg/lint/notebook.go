package lint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// NotebookFile is a Jupyter notebook of format 4, read as far as rules care.
type NotebookFile struct {
	Format   int    // nbformat
	Language string // of its code; "" if it does not say
	Cells    []Cell

	edits []edit // that strip the outputs
	size  int
}

// Cell is one cell of a notebook.
type Cell struct {
	Number  int    // from 1, over cells of every type
	Type    string // code, markdown or raw
	Line    int    // of the file, where the cell begins
	Source  []CellLine
	Outputs int  // how many outputs are stored
	Output  int  // line of the file where they are; 0 if there are none
	Count   *int // how manieth execution the cell was; nil if it was not run
}

// CellLine is one line of a cell's source.
type CellLine struct {
	Text string // without its end
	Line int    // of the file
}

// edit replaces bytes of a file.
type edit struct {
	from, to int
	text     string
}

// deepest is how far JSON may be nested before it is not a notebook.
const deepest = 64

// mostLines is how many lines of source a notebook may have.
const mostLines = 500_000

var errNesting = errors.New("nested too deeply")

// parseNotebook reads a notebook. Outputs are passed over, however large they are.
func parseNotebook(data []byte) (*NotebookFile, error) {
	p := &notebookParser{data: data, decoder: json.NewDecoder(bytes.NewReader(data)), line: 1}
	p.decoder.UseNumber()
	n := &NotebookFile{size: len(data)}
	err := p.object(func(key string) error {
		switch key {
		case "nbformat":
			return p.number(&n.Format)
		case "cells":
			return p.list(func() error { return p.cell(n) })
		case "metadata":
			return p.metadata(n)
		}
		return p.skip()
	})
	if err != nil {
		return nil, fmt.Errorf("line %d: %w", p.lineAt(p.offset()), err)
	}
	return n, nil
}

// notebookParser walks through JSON, token by token, and knows where it is.
type notebookParser struct {
	data    []byte
	decoder *json.Decoder
	at      int // the line of this offset is known
	line    int
	lines   int // of source, so far
}

func (p *notebookParser) offset() int { return int(p.decoder.InputOffset()) }

// lineAt is the line of an offset. Offsets are asked for in mostly rising order.
func (p *notebookParser) lineAt(offset int) int {
	offset = min(offset, len(p.data))
	if offset < p.at {
		return p.line - bytes.Count(p.data[offset:p.at], []byte("\n"))
	}
	p.line += bytes.Count(p.data[p.at:offset], []byte("\n"))
	p.at = offset
	return p.line
}

func (p *notebookParser) token() (json.Token, error) {
	token, err := p.decoder.Token()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return token, err
}

// object reads an object; each is called to read or skip the value of a key.
func (p *notebookParser) object(each func(key string) error) error {
	if err := p.open('{', "an object"); err != nil {
		return err
	}
	return p.entries(each)
}

// entries reads the rest of an object whose bracket was read.
func (p *notebookParser) entries(each func(key string) error) error {
	for p.decoder.More() {
		token, err := p.token()
		if err != nil {
			return err
		}
		key, _ := token.(string)
		if err := each(key); err != nil {
			return err
		}
	}
	_, err := p.token()
	return err
}

// list reads a list; each is called to read or skip an item.
func (p *notebookParser) list(each func() error) error {
	if err := p.open('[', "a list"); err != nil {
		return err
	}
	for p.decoder.More() {
		if err := each(); err != nil {
			return err
		}
	}
	_, err := p.token()
	return err
}

func (p *notebookParser) open(bracket json.Delim, what string) error {
	token, err := p.token()
	if err != nil {
		return err
	}
	if token != bracket {
		return fmt.Errorf("not %s", what)
	}
	return nil
}

// skip passes over a value, and counts the items if it is a list.
func (p *notebookParser) skip() error {
	_, err := p.count()
	return err
}

func (p *notebookParser) count() (items int, err error) {
	depth := 0
	for {
		token, err := p.token()
		if err != nil {
			return 0, err
		}
		delim, bracket := token.(json.Delim)
		switch {
		case bracket && (delim == '{' || delim == '['):
			if depth == 1 {
				items++
			}
			if depth++; depth > deepest {
				return 0, errNesting
			}
		case bracket:
			depth--
		case depth == 1:
			items++
		}
		if depth == 0 {
			return items, nil
		}
	}
}

// number reads a whole number; anything else counts as 0.
func (p *notebookParser) number(n *int) error {
	token, err := p.token()
	if err != nil {
		return err
	}
	if number, ok := token.(json.Number); ok {
		value, _ := number.Int64()
		*n = int(value)
		return nil
	}
	if _, bracket := token.(json.Delim); bracket {
		return errors.New("not a number")
	}
	return nil
}

// metadata finds the language in kernelspec.language or language_info.name.
func (p *notebookParser) metadata(n *NotebookFile) error {
	return p.object(func(key string) error {
		wanted, known := map[string]string{"kernelspec": "language", "language_info": "name"}[key]
		if !known {
			return p.skip()
		}
		return p.object(func(key string) error {
			if key != wanted {
				return p.skip()
			}
			token, err := p.token()
			if name, ok := token.(string); ok {
				n.Language = strings.ToLower(name)
			} else if _, bracket := token.(json.Delim); bracket {
				return errors.New("a language is not text")
			}
			return err
		})
	})
}

// cell reads one cell, and notes how to strip its outputs.
func (p *notebookParser) cell(n *NotebookFile) error {
	cell := Cell{Number: len(n.Cells) + 1}
	var strip []edit
	if err := p.open('{', "a cell"); err != nil {
		return err
	}
	cell.Line = p.lineAt(p.offset())
	err := p.entries(func(key string) error {
		from := p.offset()
		switch key {
		case "cell_type":
			token, err := p.token()
			cell.Type, _ = token.(string)
			return err
		case "source":
			return p.source(&cell)
		case "execution_count":
			var count int
			if err := p.number(&count); err != nil {
				return err
			}
			if count > 0 {
				cell.Count = &count
				strip = append(strip, edit{from, p.offset(), ": null"})
			}
			return nil
		case "outputs":
			var err error
			if cell.Outputs, err = p.count(); err == nil && cell.Outputs > 0 {
				cell.Output = p.lineAt(from)
				strip = append(strip, edit{from, p.offset(), ": []"})
			}
			return err
		}
		return p.skip()
	})
	if cell.Type == "code" {
		n.edits = append(n.edits, strip...)
	}
	n.Cells = append(n.Cells, cell)
	return err
}

// source reads the source of a cell: one text, or a list of lines.
func (p *notebookParser) source(c *Cell) error {
	token, err := p.token()
	if err != nil {
		return err
	}
	add := func(token json.Token) error {
		text, ok := token.(string)
		if !ok {
			return errors.New("source is not text")
		}
		if p.lines += 1 + strings.Count(text, "\n"); p.lines > mostLines {
			return fmt.Errorf("it has more than %d lines of source", mostLines)
		}
		line := p.lineAt(p.offset())
		for part := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
			c.Source = append(c.Source, CellLine{strings.TrimSuffix(part, "\r"), line})
		}
		return nil
	}
	if token != json.Delim('[') {
		return add(token)
	}
	for p.decoder.More() {
		if token, err = p.token(); err != nil {
			return err
		}
		if err := add(token); err != nil {
			return err
		}
	}
	_, err = p.token()
	return err
}

// HasOutputs says whether any cell was run and saved with what came of it.
func (n *NotebookFile) HasOutputs() bool { return len(n.edits) > 0 }

// Stripped is the notebook's file without outputs and execution counts; all
// else stays as it is, byte for byte.
func (n *NotebookFile) Stripped(data []byte) ([]byte, error) {
	if len(data) != n.size {
		return nil, errors.New("the file has changed")
	}
	var b bytes.Buffer
	at := 0
	for _, e := range n.edits {
		b.Write(data[at:e.from])
		b.WriteString(e.text)
		at = e.to
	}
	b.Write(data[at:])
	return b.Bytes(), nil
}

// place is where a line of a notebook's code is.
type place struct {
	cell, line int // the cell's number, and the line in it
	file       int // line of the file
}

// code is the code of all code cells as one Python text, and where each of its
// lines comes from. Lines that are not Python (%magics, !commands, ?help) and
// cells in other languages are masked, so that positions stay what they are.
func (n *NotebookFile) code() (text []byte, places []place) {
	var b bytes.Buffer
	if n.Language != "" && n.Language != "python" && n.Language != "ipython" {
		return nil, nil
	}
	for _, cell := range n.Cells {
		if cell.Type != "code" {
			continue
		}
		foreign, indent := otherLanguage(cell), leadingIndent(cell)
		mask := "" // what stands for the lines of a command
		for i, line := range cell.Source {
			text := strings.TrimPrefix(line.Text, indent)
			switch {
			case foreign:
				text = ""
			case mask != "" || magic(text):
				if mask == "" {
					mask = masked(text)
				}
				if text = mask; !strings.HasSuffix(line.Text, `\`) {
					mask = ""
				}
			}
			b.WriteString(text + "\n")
			places = append(places, place{cell.Number, i + 1, line.Line})
		}
	}
	return b.Bytes(), places
}

// otherLanguage says whether a cell's first magic hands it to something else
// than Python, such as %%bash.
func otherLanguage(c Cell) bool {
	for _, line := range c.Source {
		text := strings.TrimSpace(line.Text)
		if text == "" {
			continue
		}
		name, isMagic := strings.CutPrefix(text, "%%")
		if !isMagic {
			return false
		}
		name, _, _ = strings.Cut(name, " ")
		switch name {
		case "time", "timeit", "capture", "prun", "python", "python3", "pypy", "memray_flamegraph", "px", "local":
			return false
		}
		return true
	}
	return false
}

// magic says whether IPython, and not Python, reads a line.
func magic(line string) bool {
	text := strings.TrimSpace(line)
	if text == "" {
		return false
	}
	switch rest := text[1:]; text[0] {
	case '%':
		return rest != "" && (rest[0] == '%' || isName(rest[:1])) // an operator is followed by a space
	case '!':
		return !strings.HasPrefix(rest, "=")
	case '?':
		return true
	}
	if isHelp(text) || isCommand(text) {
		return true
	}
	// files = !ls, timing = %timeit -o f()
	name, value, assigned := strings.Cut(text, "=")
	value = strings.TrimSpace(value)
	return assigned && value != "" && (value[0] == '!' || value[0] == '%') && isName(strings.TrimSpace(name))
}

// isHelp says whether a line asks for help: frame.head?
func isHelp(text string) bool {
	return strings.HasSuffix(text, "?") && strings.Trim(text, "?._[]"+letters+digits) == ""
}

// isCommand says whether a line is a command without a mark: pip install boto3.
func isCommand(text string) bool {
	word, rest, more := strings.Cut(text, " ")
	return more && automagics[word] && isArgument(strings.TrimSpace(rest))
}

const (
	letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits  = "0123456789"
)

// automagics are commands that IPython takes without a % or ! before them.
var automagics = set("pip", "conda", "mamba", "uv", "cd", "ls", "cp", "mv", "rm", "mkdir", "rmdir", "cat", "pwd", "man", "more", "less")

// isArgument says whether a text may be that of a command; an operator makes
// an expression of it, of a variable that has a command's name.
func isArgument(text string) bool {
	if text == "" || strings.ContainsAny(text[:1], "=.(,)[]:<>%*+|&^") {
		return text != "" && text[0] == '.'
	}
	word, _, _ := strings.Cut(text, " ")
	return word != "is" && word != "in" && word != "not" && word != "and" && word != "or" && word != "if" && word != "-" && word != "/"
}

// leadingIndent is the indentation of a cell's first line, which IPython takes
// from all of its lines.
func leadingIndent(c Cell) string {
	for _, line := range c.Source {
		if text := strings.TrimLeft(line.Text, " \t"); text != "" {
			return line.Text[:len(line.Text)-len(text)]
		}
	}
	return ""
}

func isName(text string) bool {
	for i, c := range text {
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return text != ""
}

// masked is a statement that does nothing, indented as the line was.
func masked(line string) string {
	return line[:len(line)-len(strings.TrimLeft(line, " \t"))] + "pass"
}

package lint

import "fmt"

// notebookRules are about notebooks.
func notebookRules() []Rule {
	return []Rule{{
		ID: "TL105", Name: "notebook-outputs", Severity: Minor, In: map[Profile]Severity{Prototype: Info},
		Looks:  "notebooks that git tracks with outputs or execution counts",
		Why:    "outputs carry data, personal data and tokens into history and make every diff unreadable: nbstripout was written for that reason",
		Advice: "strip them with: towline lint --fix",
		Bad:    Example{Files: map[string]string{"a.ipynb": notebookWith(`"execution_count": 1, "outputs": [{"output_type": "stream", "text": ["x"]}]`)}, At: "a.ipynb:3"},
		Good:   Example{Files: map[string]string{"a.ipynb": notebookWith(`"execution_count": null, "outputs": []`)}},
		File:   notebookOutputs,
	}, {
		ID: "TL106", Name: "notebook-order", Severity: Minor, In: map[Profile]Severity{Prototype: Info},
		Looks:  "notebooks whose cells were run in another order than they stand, as their counts say",
		Why:    "of 863,878 notebooks of GitHub that were run from top to bottom 24 % came to the end, and 4 % gave the results that were stored (Pimentel and others, MSR 2019)",
		Advice: "restart the kernel and run all cells, or strip the counts with: towline lint --fix",
		Bad: Example{Files: map[string]string{"a.ipynb": notebookWith(
			`"execution_count": 7, "outputs": []`, `"execution_count": 2, "outputs": []`)}, At: "a.ipynb:4"},
		Good: Example{Files: map[string]string{"a.ipynb": notebookWith(
			`"execution_count": 2, "outputs": []`, `"execution_count": 7, "outputs": []`)}},
		File: notebookOrder,
	}, {
		ID: "TL107", Name: "old-notebook", Severity: Info,
		Looks:  "notebooks of a format before 4, which Jupyter converted in 2015",
		Why:    "what is not read is not checked: format 3 keeps cells in worksheets, where neither this linter nor ruff looks",
		Advice: "convert it with: jupyter nbconvert --to notebook --inplace FILE",
		Bad:    Example{Files: map[string]string{"a.ipynb": `{"nbformat": 3, "worksheets": []}`}, At: "a.ipynb"},
		Good:   Example{Files: map[string]string{"a.ipynb": `{"nbformat": 4, "cells": []}`}},
		File: func(f *File, r *Report) {
			if n := notebookOf(f); n != nil && n.Format > 0 && n.Format < 4 {
				r.Whole(f, "the notebook has format %d", n.Format)
			}
		},
	}}
}

// notebookWith is a notebook of code cells with these fields, one on each line from the third on.
func notebookWith(cells ...string) string {
	text := "{\"nbformat\": 4,\n \"cells\": [\n"
	for i, cell := range cells {
		if i > 0 {
			text += ",\n"
		}
		text += fmt.Sprintf(`  {"cell_type": "code", "source": ["x = %d"], %s}`, i, cell)
	}
	return text + "\n]}\n"
}

// notebookOf is the notebook in a file; nil if it is none.
func notebookOf(f *File) *NotebookFile {
	if f.Kind != Notebook {
		return nil
	}
	n, err := f.Notebook()
	if err != nil {
		return nil
	}
	return n
}

func notebookOutputs(f *File, r *Report) {
	n := notebookOf(f)
	if n == nil || !n.HasOutputs() || !f.Repo.Tracked(f.Path) {
		return
	}
	outputs, first := 0, 0
	for _, cell := range n.Cells {
		if cell.Outputs > 0 && first == 0 {
			first = cell.Output
		}
		outputs += cell.Outputs
	}
	finding := r.At(f, first, 0, "the notebook stores %s", counted(outputs, "output", "outputs"))
	if outputs == 0 {
		finding.Message = "the notebook stores how its cells were run"
	}
	finding.Fix = &Fix{Path: f.Path, Content: func() ([]byte, error) {
		data := f.Bytes()
		n, err := f.Notebook()
		if err != nil {
			return nil, err
		}
		return n.Stripped(data)
	}}
}

func notebookOrder(f *File, r *Report) {
	n := notebookOf(f)
	if n == nil {
		return
	}
	last := 0
	for _, cell := range n.Cells {
		if cell.Count == nil {
			continue
		}
		if *cell.Count <= last {
			r.At(f, cell.Line, 0, "cell %d was run as number %d, after a cell below it or twice; the one above was number %d", cell.Number, *cell.Count, last)
			return
		}
		last = *cell.Count
	}
}

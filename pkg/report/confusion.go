package report

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"gitlab.com/towline/towline/pkg/record"
)

const (
	maxDrawn     = 50 // classes of a confusion matrix that are drawn
	maxWritten   = 12 // classes whose cells have room for numbers
	maxMistakes  = 12
	maxClassRows = 50
)

// confusion is a confusion matrix, ready to be shown.
type confusion struct {
	Problem  string // why it is not shown; "" if it is
	Classes  int
	Rows     int64 // of the test data
	Right    int64
	Picture  *picture // nil for more than maxDrawn classes
	Table    []class
	Omitted  string // what the table leaves out
	Mistakes []mistake
	labels   []string
	matrix   [][]int64
}

// class is how one class fared.
type class struct {
	Name              string
	Rows              int64
	Recall, Precision float64 // NaN if nothing is of the class, or nothing was called it
}

// mistake is one class called another.
type mistake struct {
	Observed, Called string
	Count            int64
	Share            float64 // of the observed class
}

func confusionOf(rec record.Record) *confusion {
	if rec.Evaluation == nil || rec.Evaluation.Confusion == nil {
		return nil
	}
	given := rec.Evaluation.Confusion
	c := &confusion{Classes: len(given.Matrix), labels: given.Labels, matrix: given.Matrix}
	if c.Problem = c.problem(); c.Problem != "" {
		return c
	}
	c.tabulate()
	c.findMistakes()
	if c.Classes <= maxDrawn {
		c.Picture = c.draw()
	}
	return c
}

// problem says what is wrong with the matrix.
func (c *confusion) problem() string {
	if c.Classes == 0 {
		return "the confusion matrix is empty"
	}
	if len(c.labels) != c.Classes {
		return fmt.Sprintf("the confusion matrix has %d rows and %d labels, wanted as many", c.Classes, len(c.labels))
	}
	for i, row := range c.matrix {
		if len(row) != c.Classes {
			return fmt.Sprintf("row %d of the confusion matrix has %d cells, wanted %d", i+1, len(row), c.Classes)
		}
		for j, n := range row {
			if n < 0 || n > 1<<52 {
				return fmt.Sprintf("row %d of the confusion matrix counts %d in cell %d, wanted a count", i+1, n, j+1)
			}
		}
	}
	return ""
}

func (c *confusion) tabulate() {
	called := make([]int64, c.Classes)
	for _, row := range c.matrix {
		for j, n := range row {
			called[j] += n
		}
	}
	for i, row := range c.matrix {
		rows := total(row)
		c.Rows += rows
		c.Right += row[i]
		c.Table = append(c.Table, class{
			Name: name(c.labels[i]), Rows: rows,
			Recall: share(row[i], rows), Precision: share(row[i], called[i]),
		})
	}
	if len(c.Table) > maxClassRows {
		slices.SortStableFunc(c.Table, func(a, b class) int { return cmp.Compare(a.Recall, b.Recall) })
		c.Omitted = more(len(c.Table), maxClassRows, "classes of higher recall")
		c.Table = c.Table[:maxClassRows]
	}
}

// findMistakes keeps the most frequent ones.
func (c *confusion) findMistakes() {
	var all []mistake
	for i, row := range c.matrix {
		rows := total(row)
		for j, n := range row {
			if i == j || n == 0 {
				continue
			}
			all = append(all, mistake{name(c.labels[i]), name(c.labels[j]), n, share(n, rows)})
		}
		slices.SortStableFunc(all, func(a, b mistake) int { return cmp.Compare(b.Count, a.Count) })
		all = first(all, maxMistakes)
	}
	c.Mistakes = all
}

func total(row []int64) int64 {
	var sum int64
	for _, n := range row {
		sum += n
	}
	return sum
}

// share is part of whole; NaN for a part of nothing.
func share(part, whole int64) float64 { return float64(part) / float64(whole) }

// Accuracy is the share of rows that were called right.
func (c *confusion) Accuracy() string { return percent(share(c.Right, c.Rows)) }

// summary is the matrix in a sentence.
func (c *confusion) summary() string {
	return fmt.Sprintf("%d rows of %d classes, %d called right (%s).", c.Rows, c.Classes, c.Right, c.Accuracy())
}

// grid is where the cells of the picture lie.
type grid struct {
	left, top, cell float64
	letters         int // of a label
}

func (c *confusion) grid() grid {
	g := grid{letters: 16}
	switch {
	case c.Classes <= 4:
		g.cell = 88
	case c.Classes <= 8:
		g.cell = 62
	case c.Classes <= maxWritten:
		g.cell = 48
	case c.Classes <= 25:
		g.cell = 24
	default:
		g.cell = 13
	}
	longest := 0
	for _, label := range c.labels {
		longest = max(longest, min(len([]rune(name(label))), g.letters))
	}
	g.left = 34 + 7.2*float64(longest)
	g.top = 48
	if c.slanted() {
		g.top = 40 + 7.2*float64(longest)
	}
	return g
}

// slanted says that the labels of the columns do not fit side by side.
func (c *confusion) slanted() bool {
	width := map[bool]int{true: 11, false: 7}[c.Classes <= 4]
	for _, label := range c.labels {
		if len([]rune(name(label))) > width {
			return true
		}
	}
	return c.Classes > 8
}

// draw makes the heat map. A cell's strength is its share of its row.
func (c *confusion) draw() *picture {
	g := c.grid()
	side := g.cell * float64(c.Classes)
	p := &picture{
		ID: "confusion", Title: "Confusion matrix",
		Description: fmt.Sprintf("%d classes, %d rows, %s called right. The table below has the numbers.", c.Classes, c.Rows, c.Accuracy()),
		Width:       int(g.left + side + 70), Height: int(g.top + side + 12),
	}
	p.text(g.left+side/2, 14, "middle", "axis", "called")
	p.turned(12, g.top+side/2, -90, "middle", "axis", "observed")
	for i, row := range c.matrix {
		c.drawRow(p, g, i, row)
	}
	p.rect(g.left, g.top, side, side, "frame", "")
	return p
}

func (c *confusion) drawRow(p *picture, g grid, i int, row []int64) {
	middle := g.cell * (float64(i) + 0.5)
	label := clip(name(c.labels[i]), g.letters)
	small := map[bool]string{true: "tick", false: "tiny"}[c.Classes <= 25]
	p.text(g.left-8, g.top+middle+4, "end", small, label).Tip = name(c.labels[i])
	if c.slanted() {
		p.turned(g.left+middle+4, g.top-8, -90, "start", small, label)
	} else {
		p.text(g.left+middle, g.top-10, "middle", small, label).Tip = name(c.labels[i])
	}
	rows := total(row)
	for j, n := range row {
		part := share(n, rows)
		x, y := g.left+g.cell*float64(j), g.top+g.cell*float64(i)
		tip := fmt.Sprintf("%s called %s: %d of %d (%s)", name(c.labels[i]), name(c.labels[j]), n, rows, percent(part))
		kind := map[bool]string{true: "right", false: "wrong"}[i == j]
		p.rect(x, y, g.cell, g.cell, "cell "+kind, tip).Opacity = strength(n, part)
		if c.Classes <= maxWritten {
			c.write(p, x+g.cell/2, y+g.cell/2, n, part)
		}
	}
}

// strength is the opacity of a cell: a single mistake still shows.
func strength(n int64, part float64) string {
	if n == 0 {
		return "0"
	}
	return strconv.FormatFloat(0.08+0.92*part, 'f', 2, 64)
}

// write puts count and share of the row into a cell.
func (c *confusion) write(p *picture, x, y float64, n int64, part float64) {
	class := "count"
	if c.Classes > 4 {
		class = "count small"
	}
	if part > 0.7 {
		class += " strong"
	}
	p.text(x, y, "middle", class, compact(n))
	p.text(x, y+15, "middle", class+" share", percent(part))
}

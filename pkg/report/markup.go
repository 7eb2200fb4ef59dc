package report

import (
	"fmt"
	"html"
	"strings"
)

// markup is HTML in the making. Its methods escape everything but their own
// format, so no text of a record can become markup: use a constant for the
// format, and put verbs only where text stands or between quotes.
//
// A program that links html/template keeps every method of every library,
// because templates find methods by name: that makes it twice as large.
type markup struct{ text strings.Builder }

// put adds the format with each argument escaped.
func (m *markup) put(format string, args ...string) {
	escaped := make([]any, len(args))
	for i, arg := range args {
		escaped[i] = html.EscapeString(arg)
	}
	fmt.Fprintf(&m.text, format, escaped...)
}

// optional adds the format unless the one text in it is empty.
func (m *markup) optional(format, text string) {
	if text != "" {
		m.put(format, text)
	}
}

// cells are the columns of a table: what a column is called, and how it is set.
type cells []cell

type cell struct {
	text  string
	class string // "" for plain text, n for a number
}

// head begins a table. A caption says what it is about; "" for none.
func (m *markup) head(caption string, columns cells) {
	m.put("<table>\n")
	m.optional("<caption>%s</caption>\n", caption)
	m.put("<thead><tr>")
	for _, c := range columns {
		m.put(`<th scope="col"`)
		m.close(c, "th")
	}
	m.put("</tr></thead>\n<tbody>\n")
}

// row adds a row whose first cell names it.
func (m *markup) row(columns cells) {
	m.put("<tr>")
	for i, c := range columns {
		if i == 0 {
			m.put(`<th scope="row"`)
			m.close(c, "th")
			continue
		}
		m.put("<td")
		m.close(c, "td")
	}
	m.put("</tr>\n")
}

// close ends the tag that is open, and the cell.
func (m *markup) close(c cell, tag string) {
	m.optional(` class="%s"`, c.class)
	m.put(">%s</%s>", c.text, tag)
}

func (m *markup) foot() { m.put("</tbody>\n</table>\n") }

// facts is a table of names and texts without a head.
func (m *markup) facts(list []fact, class string) {
	m.put("<table class=\"facts\">\n<tbody>\n")
	for _, f := range list {
		m.row(cells{{f.Name, ""}, {f.Text, class}})
	}
	m.foot()
}

// section begins a part of the page.
func (m *markup) section(id, title string) {
	m.put("<section aria-labelledby=\"%s\">\n<h2 id=\"%s\">%s</h2>\n", id, id, title)
}

// fold begins a part that opens at a click.
func (m *markup) fold(summary string, open bool) {
	attribute := "details"
	if open {
		attribute = `details open="open"`
	}
	m.text.WriteString("<" + attribute + ">")
	m.put("<summary>%s</summary>\n<div class=\"wide\">\n", summary)
}

// draw adds a picture as inline SVG.
func (m *markup) draw(p *picture) {
	if p == nil {
		return
	}
	width, height := px(float64(p.Width)), px(float64(p.Height))
	m.put("<div class=\"drawing\" style=\"flex:0 1 %spx\">\n", width)
	m.put(`<svg class="picture" viewBox="0 0 %s %s" style="max-width:%spx" role="img" aria-labelledby="%s-title %s-text">`+"\n",
		width, height, width, p.ID, p.ID)
	m.put("<title id=\"%s-title\">%s</title>\n<desc id=\"%s-text\">%s</desc>\n", p.ID, p.Title, p.ID, p.Description)
	for _, s := range p.Shapes {
		m.shape(s)
	}
	m.put("</svg>\n</div>\n")
}

func (m *markup) shape(s shape) {
	switch s.Kind {
	case "rect":
		m.put(`<rect class="%s" x="%s" y="%s" width="%s" height="%s"`, s.Class, s.X, s.Y, s.Width, s.Height)
		m.optional(` fill-opacity="%s"`, s.Opacity)
	case "line":
		m.put(`<line class="%s" x1="%s" y1="%s" x2="%s" y2="%s"`, s.Class, s.X, s.Y, s.X2, s.Y2)
	default:
		m.put(`<text class="%s" x="%s" y="%s" text-anchor="%s"`, s.Class, s.X, s.Y, s.Anchor)
		m.optional(` transform="%s"`, s.Turn)
	}
	m.put(">%s", s.Text)
	m.optional("<title>%s</title>", s.Tip)
	m.put("</%s>\n", s.Kind)
}

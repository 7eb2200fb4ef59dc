package report

import (
	"math"
	"strconv"
)

// picture is a drawing, made of a few kinds of shapes and turned into inline
// SVG by the page's template, which escapes every text. Colours come from the
// page's style sheet by class, so that one drawing serves light, dark and print.
type picture struct {
	ID            string
	Title         string
	Description   string // what a reader hears who does not see it
	Width, Height int
	Shapes        []shape
}

// shape is one mark. Kind is rect, line or text; coordinates are in units of
// the picture and written with one decimal place.
type shape struct {
	Kind          string
	X, Y, X2, Y2  string
	Width, Height string
	Class         string
	Opacity       string // of the fill; "" for full
	Anchor        string // of a text: start, middle or end
	Turn          string // a text's rotation about its own place; "" for none
	Text          string
	Tip           string // shown when pointed at
}

func (p *picture) rect(x, y, width, height float64, class, tip string) *shape {
	return p.add(shape{Kind: "rect", X: px(x), Y: px(y), Width: px(max(width, 0)), Height: px(max(height, 0)), Class: class, Tip: tip})
}

func (p *picture) line(x, y, x2, y2 float64, class, tip string) {
	p.add(shape{Kind: "line", X: px(x), Y: px(y), X2: px(x2), Y2: px(y2), Class: class, Tip: tip})
}

func (p *picture) text(x, y float64, anchor, class, text string) *shape {
	return p.add(shape{Kind: "text", X: px(x), Y: px(y), Anchor: anchor, Class: class, Text: text})
}

// turned writes a text upwards at an angle, ending at the place.
func (p *picture) turned(x, y, degrees float64, anchor, class, text string) {
	p.text(x, y, anchor, class, text).Turn = "rotate(" + px(degrees) + " " + px(x) + " " + px(y) + ")"
}

func (p *picture) add(s shape) *shape {
	p.Shapes = append(p.Shapes, s)
	return &p.Shapes[len(p.Shapes)-1]
}

func px(v float64) string {
	if !finite(v) {
		return "0"
	}
	return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64)
}

// niceStep is the number of the form 1, 2 or 5 times a power of ten that is
// nearest above raw.
func niceStep(raw float64) float64 {
	if !finite(raw) || raw <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, m := range []float64{1, 2, 5} {
		if m*power >= raw*(1-1e-9) {
			return m * power
		}
	}
	return 10 * power
}

// ticks are the multiples of a nice step from lo to hi, about so many.
func ticks(lo, hi float64, about int) []float64 {
	step := niceStep((hi - lo) / float64(about))
	var list []float64
	for i := math.Ceil(lo/step - 1e-9); i*step <= hi+step*1e-9 && len(list) < 4*about; i++ {
		list = append(list, i*step)
	}
	return list
}

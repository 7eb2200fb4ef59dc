package report

import (
	"fmt"
	"math"
	"slices"

	"gitlab.com/towline/towline/pkg/record"
)

const (
	minBins = 5
	maxBins = 40
)

// residuals are the errors of a regression (observed minus predicted),
// summarised and drawn.
type residuals struct {
	Problem string // why they are not shown; "" if they are
	Count   int
	Skipped int // that are no finite numbers
	Picture *picture
	Facts   []fact
	Outside string // what the picture pools in its outermost bars
	sorted  []float64
}

func residualsOf(rec record.Record) *residuals {
	if rec.Evaluation == nil || len(rec.Evaluation.Residuals) == 0 {
		return nil
	}
	r := &residuals{}
	for _, v := range rec.Evaluation.Residuals {
		if finite(v) {
			r.sorted = append(r.sorted, v)
		}
	}
	r.Count, r.Skipped = len(r.sorted), len(rec.Evaluation.Residuals)-len(r.sorted)
	if r.Count == 0 {
		r.Problem = "none of the residuals is a finite number"
		return r
	}
	slices.Sort(r.sorted)
	r.summarise()
	r.draw()
	return r
}

// summarise gives the usual numbers: bias, spread, and how large errors are.
func (r *residuals) summarise() {
	n := float64(r.Count)
	mean, absolute, square := 0.0, 0.0, 0.0
	for _, v := range r.sorted {
		mean += v / n
		absolute += math.Abs(v) / n
		square += v * v / n
	}
	spread := math.Sqrt(max(square-mean*mean, 0))
	r.Facts = []fact{
		{"rows", fmt.Sprint(r.Count)},
		{"mean (bias)", number(mean)},
		{"standard deviation", number(spread)},
		{"mean absolute error", number(absolute)},
		{"root mean square error", number(math.Sqrt(square))},
		{"median", number(r.quantile(0.5))},
		{"from 5 % to 95 %", number(r.quantile(0.05)) + " to " + number(r.quantile(0.95))},
		{"smallest to greatest", number(r.sorted[0]) + " to " + number(r.sorted[r.Count-1])},
	}
	if r.Skipped > 0 {
		r.Facts = append(r.Facts, fact{"left out (not finite)", fmt.Sprint(r.Skipped)})
	}
}

// quantile interpolates between order statistics (type 7 of Hyndman and Fan 1996).
func (r *residuals) quantile(q float64) float64 {
	at := q * float64(r.Count-1)
	low := int(at)
	high := min(low+1, r.Count-1)
	part := at - float64(low)
	return r.sorted[low]*(1-part) + r.sorted[high]*part
}

// bins are the histogram: equal widths on nice numbers, centred on zero, the
// outermost ones open where values lie far outside.
type bins struct {
	lo, width float64
	counts    []int
	outside   int
}

// bins chooses the width by Freedman and Diaconis (1981), and ends three
// interquartile ranges beyond the quartiles, so that a few outliers do not
// squeeze all the others into one bar.
func (r *residuals) bins() (bins, bool) {
	lo, hi := r.sorted[0], r.sorted[r.Count-1]
	q1, q3 := r.quantile(0.25), r.quantile(0.75)
	if iqr := q3 - q1; iqr > 0 {
		lo, hi = max(lo, q1-3*iqr), min(hi, q3+3*iqr)
	}
	if !finite(hi-lo) || hi-lo < math.Abs(hi)*1e-12 {
		return bins{}, false
	}
	width := 2 * (q3 - q1) / math.Cbrt(float64(r.Count))
	width = niceStep(min(max(width, (hi-lo)/maxBins), (hi-lo)/minBins))
	b := bins{lo: math.Floor(lo/width) * width, width: width}
	b.counts = make([]int, int(math.Ceil((hi-b.lo)/width*(1+1e-12)))+1)
	for _, v := range r.sorted {
		i := math.Floor((v - b.lo) / width)
		if v < lo || v > hi {
			b.outside++
		}
		b.counts[int(min(max(i, 0), float64(len(b.counts)-1)))]++
	}
	if last := len(b.counts) - 1; last > 0 && b.counts[last] == 0 {
		b.counts = b.counts[:last]
	}
	return b, true
}

func (r *residuals) draw() {
	b, ok := r.bins()
	if !ok {
		return // all alike, or too far apart: the numbers say it
	}
	if b.outside > 0 {
		r.Outside = fmt.Sprintf("%d of %d lie beyond the ends and are counted in the outermost bars", b.outside, r.Count)
	}
	const left, top, width, height = 56.0, 18.0, 560.0, 220.0
	p := &picture{
		ID: "residuals", Title: "Histogram of residuals",
		Description: fmt.Sprintf("%d residuals, observed minus predicted. The list beside it has the numbers.", r.Count),
		Width:       int(left + width + 24), Height: int(top + height + 52),
	}
	end := b.lo + b.width*float64(len(b.counts))
	x := func(v float64) float64 { return left + width*(v-b.lo)/(end-b.lo) }
	highest := float64(slices.Max(b.counts))
	y := func(n float64) float64 { return top + height*(1-n/highest) }
	for _, n := range ticks(0, highest, 4) {
		if n == math.Trunc(n) {
			p.line(left, y(n), left+width, y(n), "rule", "")
			p.text(left-8, y(n)+4, "end", "tick", compact(int64(n)))
		}
	}
	for i, n := range b.counts {
		from := b.lo + b.width*float64(i)
		tip := fmt.Sprintf("%s to %s: %d", number(from), number(from+b.width), n)
		p.rect(x(from)+0.5, y(float64(n)), x(from+b.width)-x(from)-1, top+height-y(float64(n)), "bar", tip)
	}
	p.line(left, top+height, left+width, top+height, "base", "")
	for _, v := range ticks(b.lo, end, 8) {
		p.line(x(v), top+height, x(v), top+height+5, "base", "")
		p.text(x(v), top+height+19, "middle", "tick", number(v))
	}
	if b.lo <= 0 && end >= 0 {
		p.line(x(0), top-6, x(0), top+height, "zero", "no error")
	}
	p.text(left+width/2, top+height+42, "middle", "axis", "residual (observed minus predicted)")
	p.text(left-8, 10, "end", "axis", "rows")
	r.Picture = p
}

package report

import (
	"fmt"

	"gitlab.com/towline/towline/pkg/record"
)

// barsOf draws every metric on a scale of its own: the candidate, the champion
// below it, and a mark for each limit. It is nil if there is nothing to draw.
func barsOf(rec record.Record) *picture {
	var drawn []metric
	for _, m := range metricsOf(rec) {
		if finite(m.Value) && len(drawn) < maxBars {
			drawn = append(drawn, m)
		}
	}
	if len(drawn) == 0 {
		return nil
	}
	const row, top = 46.0, 30.0
	p := &picture{
		ID: "metrics", Title: "Metrics of candidate and champion",
		Description: fmt.Sprintf("%d metrics, each on a scale of its own. The table below has the numbers.", len(drawn)),
		Width:       720, Height: int(top + row*float64(len(drawn)) + 4),
	}
	p.legend(rec)
	for i, m := range drawn {
		p.drawMetric(m, top+row*float64(i))
	}
	return p
}

// legend names the marks that are used.
func (p *picture) legend(rec record.Record) {
	x := 170.0
	p.rect(x, 4, 22, 12, "bar", "")
	p.text(x+28, 14, "start", "tick", "candidate")
	if rec.Verdict == nil {
		return
	}
	for _, check := range rec.Verdict.Checks {
		if check.Champion != nil {
			x += 110
			p.rect(x, 5, 22, 8, "rival", "")
			p.text(x+28, 14, "start", "tick", "champion")
			break
		}
	}
	for _, check := range rec.Verdict.Checks {
		if hasLimit(check) {
			x += 110
			p.line(x+8, 2, x+8, 18, "limit", "")
			p.text(x+18, 14, "start", "tick", "limit")
			break
		}
	}
}

func (p *picture) drawMetric(m metric, y float64) {
	const left, width = 170.0, 400.0
	lo, hi := scaleOf(m)
	x := func(v float64) float64 { return left + width*clampShare((v-lo)/(hi-lo)) }
	p.text(left-12, y+18, "end", "label", clip(name(m.Name), 20)).Tip = name(m.Name)
	p.rect(left, y+4, width, 30, "track", "")
	p.bar(x(0), x(m.Value), y+7, 14, "bar", fmt.Sprintf("%s of the candidate: %s", name(m.Name), number(m.Value)))
	p.text(left+width+14, y+18, "start", "label", number(m.Value))
	if m.Champion != nil {
		p.bar(x(0), x(*m.Champion), y+24, 7, "rival", fmt.Sprintf("%s of the champion: %s", name(m.Name), number(*m.Champion)))
		p.text(left+width+14, y+33, "start", "tick", "champion "+number(*m.Champion))
	}
	for _, check := range m.Checks {
		if !hasLimit(check) {
			continue
		}
		class := "limit"
		if check.Status == "failed" {
			class = "limit missed"
		}
		tip := fmt.Sprintf("%s must be %s: %s", name(m.Name), limitText(check), clip(check.Status, nameLength))
		p.line(x(check.Limit), y, x(check.Limit), y+38, class, tip)
	}
	p.line(x(0), y+4, x(0), y+34, "base", "")
}

// bar is a horizontal bar between two places, in either direction.
func (p *picture) bar(from, to, y, height float64, class, tip string) {
	p.rect(min(from, to), y, max(from, to)-min(from, to), height, class, tip)
}

// scaleOf is 0 to 1 for what looks like a share, else from zero to a little
// beyond the farthest number.
func scaleOf(m metric) (lo, hi float64) {
	lo, hi = min(0, m.Value), max(0, m.Value)
	for _, check := range m.Checks {
		if hasLimit(check) && finite(check.Limit) {
			lo, hi = min(lo, check.Limit), max(hi, check.Limit)
		}
		if check.Champion != nil && finite(*check.Champion) {
			lo, hi = min(lo, *check.Champion), max(hi, *check.Champion)
		}
	}
	if lo == 0 && hi <= 1 {
		return 0, 1
	}
	lo, hi = lo*1.08, hi*1.08
	if !finite(hi-lo) || hi == lo {
		return 0, 1
	}
	return lo, hi
}

// clampShare keeps a place inside the picture.
func clampShare(v float64) float64 {
	if !(v > 0) {
		return 0
	}
	return min(v, 1)
}

package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"gitlab.com/towline/towline/pkg/record"
)

// Metrics writes what the release scored as OpenMetrics text, for GitLab's
// metrics report, which compares it with that of the target branch.
//
// GitLab splits a line as a shell would and cuts it at the first #, so label
// values keep to characters that mean nothing to either.
func Metrics(rec record.Record) []byte {
	var text strings.Builder
	model := label(rec.Model)
	if rec.Evaluation != nil {
		text.WriteString("# TYPE towline_metric gauge\n# HELP towline_metric What the model scored on its test data.\n")
		said := map[string]bool{}
		for _, m := range first(metricsOf(rec), maxMetrics) {
			if metric := label(m.Name); !said[metric] {
				said[metric] = true
				fmt.Fprintf(&text, "towline_metric{model=\"%s\",metric=\"%s\"} %s\n", model, metric, sample(m.Value))
			}
		}
	}
	if rec.Verdict != nil {
		passed := map[bool]float64{true: 1}[rec.Verdict.Passed]
		gauge(&text, "towline_gate_passed", "Whether the gate let the model pass.", model, passed)
	}
	if rec.Image != nil {
		gauge(&text, "towline_image_size_bytes", "Compressed size of the image.", model, float64(rec.Image.Size))
	}
	if rec.Training != nil && rec.Training.BillableSeconds > 0 {
		gauge(&text, "towline_training_billable_seconds", "What the training is charged for.", model, float64(rec.Training.BillableSeconds))
	}
	text.WriteString("# EOF\n")
	return []byte(text.String())
}

func gauge(text *strings.Builder, family, help, model string, value float64) {
	fmt.Fprintf(text, "# TYPE %s gauge\n# HELP %s %s\n%s{model=\"%s\"} %s\n", family, family, help, family, model, sample(value))
}

// sample writes a value as OpenMetrics does.
func sample(v float64) string {
	switch {
	case math.IsNaN(v):
		return "NaN"
	case math.IsInf(v, 1):
		return "+Inf"
	case math.IsInf(v, -1):
		return "-Inf"
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

// label makes a label's value of any text.
func label(text string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("\"\\'#`$", r) || r == ' ' {
			return '_'
		}
		return r
	}, name(text))
}

package cloud

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/record"
)

// ParseEvaluation reads what a training measured: {"metrics": {"f1": 0.97},
// "confusion_matrix": {"labels": […], "matrix": [[…]]}, "residuals": […]}, or
// the metrics alone as one flat object. The name is the file's, for errors.
func ParseEvaluation(name string, body []byte) (record.Evaluation, error) {
	p := evaluation{name}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return record.Evaluation{}, p.notJSON(body, err)
	}
	found, err := p.metrics(fields)
	if err != nil {
		return record.Evaluation{}, err
	}
	if raw, ok := fields["confusion_matrix"]; ok && !null(raw) {
		if found.Confusion, err = p.confusion(raw); err != nil {
			return record.Evaluation{}, err
		}
	}
	if raw, ok := fields["residuals"]; ok && !null(raw) {
		if found.Residuals, err = p.residuals(raw); err != nil {
			return record.Evaluation{}, err
		}
	}
	return found, nil
}

// evaluation is the parser; it knows the file's name for its errors.
type evaluation struct{ name string }

// wrong is an error in the file, which the training code wrote.
func (p evaluation) wrong(format string, args ...any) *fault.Error {
	return fault.Newf(fault.Model, "read "+strings.ReplaceAll(p.name, "%", "%%")+": "+format, args...).
		Hintf(`mend the training code: it must write {"metrics": {"name": number}} there`)
}

// metrics are in an object of their own, or they are all that is not something else.
func (p evaluation) metrics(fields map[string]json.RawMessage) (record.Evaluation, error) {
	raw := fields
	if nested, ok := fields["metrics"]; ok {
		raw = nil
		if err := json.Unmarshal(nested, &raw); err != nil || raw == nil {
			return record.Evaluation{}, p.wrong("metrics is %s, wanted an object of numbers", kindOf(nested))
		}
	}
	found := record.Evaluation{Metrics: map[string]float64{}}
	for name, value := range raw {
		if _, nested := fields["metrics"]; !nested && (name == "confusion_matrix" || name == "residuals") {
			continue
		}
		number, ok := finite(value)
		if !ok {
			return record.Evaluation{}, p.wrong("metric %q is %s, wanted a number", name, kindOf(value))
		}
		found.Metrics[name] = number
	}
	if len(found.Metrics) == 0 {
		return record.Evaluation{}, p.wrong("it holds no metrics")
	}
	return found, nil
}

// confusion reads the matrix. Labels may be numbers, as scikit-learn's often are.
func (p evaluation) confusion(raw json.RawMessage) (*record.Confusion, error) {
	var given struct {
		Labels []json.RawMessage `json:"labels"`
		Matrix [][]float64       `json:"matrix"`
	}
	if err := json.Unmarshal(raw, &given); err != nil {
		return nil, p.wrong(`confusion_matrix is not {"labels": […], "matrix": [[…]]}: %w`, err)
	}
	n := len(given.Labels)
	if n == 0 || len(given.Matrix) != n {
		return nil, p.wrong("confusion_matrix has %d labels and %d rows, wanted as many of each", n, len(given.Matrix))
	}
	found := &record.Confusion{Labels: make([]string, n), Matrix: make([][]int64, n)}
	for i, row := range given.Matrix {
		label, ok := labelOf(given.Labels[i])
		if !ok {
			return nil, p.wrong("confusion_matrix: label %d is %s, wanted a text or a number", i+1, kindOf(given.Labels[i]))
		}
		if len(row) != n {
			return nil, p.wrong("confusion_matrix: row %d has %d columns, wanted %d", i+1, len(row), n)
		}
		found.Labels[i], found.Matrix[i] = label, make([]int64, n)
		for j, count := range row {
			if count < 0 || count != math.Trunc(count) || count > 1<<53 {
				return nil, p.wrong("confusion_matrix: row %d holds %v, wanted counts", i+1, count)
			}
			found.Matrix[i][j] = int64(count)
		}
	}
	return found, nil
}

func (p evaluation) residuals(raw json.RawMessage) ([]float64, error) {
	var values []*float64 // null must not become 0
	if err := json.Unmarshal(raw, &values); err != nil {
		return nil, p.wrong("residuals is not a list of numbers: %w", err)
	}
	list := make([]float64, len(values))
	for i, v := range values {
		if v == nil {
			return nil, p.wrong("residuals: number %d is null", i+1)
		}
		list[i] = *v
	}
	return list, nil
}

// notJSON explains why a body is none: above all NaN and Infinity, which
// Python's json writes although JSON has no such numbers.
func (p evaluation) notJSON(body []byte, err error) error {
	if key, word := unknownNumber(body); word != "" {
		where := "it holds " + word
		if key != "" {
			where = key + " is " + word
		}
		return fault.Newf(fault.Model, "read %s: %s, which is not JSON", p.name, where).
			Hintf("mend the training code: leave out a metric that could not be computed, or write a number")
	}
	if trimmed := bytes.TrimSpace(body); json.Valid(trimmed) {
		return p.wrong("it is %s, wanted an object", kindOf(trimmed))
	}
	return p.wrong("it is not JSON: %w", err)
}

// unknownNumber finds NaN, Infinity or -Infinity outside of texts, and the key before it.
func unknownNumber(body []byte) (key, word string) {
	for i := 0; i < len(body); i++ {
		switch body[i] {
		case '"':
			end := textEnd(body, i)
			var text string
			if json.Unmarshal(body[i:end], &text) == nil && bytes.HasPrefix(bytes.TrimSpace(body[end:]), []byte(":")) {
				key = text
			}
			i = end - 1
		case 'N', 'I', '-':
			for _, word := range []string{"NaN", "Infinity", "-Infinity"} {
				if bytes.HasPrefix(body[i:], []byte(word)) {
					return key, word
				}
			}
		}
	}
	return "", ""
}

// textEnd is the index behind the closing quote of the text that begins at start.
func textEnd(body []byte, start int) int {
	for i := start + 1; i < len(body); i++ {
		switch body[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(body)
}

// finite reads a number that a float64 can hold.
func finite(raw json.RawMessage) (float64, bool) {
	var number *float64
	err := json.Unmarshal(raw, &number)
	if err != nil || number == nil {
		return 0, false
	}
	return *number, true
}

// labelOf is the text of a label, as it is written in the file.
func labelOf(raw json.RawMessage) (string, bool) {
	var text string
	if json.Unmarshal(raw, &text) == nil && !null(raw) {
		return text, true
	}
	switch kindOf(raw) {
	case "a number", "a boolean":
		return string(bytes.TrimSpace(raw)), true
	}
	return "", false
}

func null(raw json.RawMessage) bool { return string(bytes.TrimSpace(raw)) == "null" }

// kindOf names a JSON value for an error.
func kindOf(raw []byte) string {
	trimmed := bytes.TrimSpace(raw)
	if len(trimmed) == 0 {
		return "empty"
	}
	switch trimmed[0] {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "a text"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	var number float64
	if json.Unmarshal(trimmed, &number) != nil {
		return "a number out of range"
	}
	return "a number"
}

package lint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"gitlab.com/towline/towline/pkg/fault"
)

// BaselineFile is the name of the baseline, at the top of the repository.
const BaselineFile = ".towline-baseline.json"

// MaxBaseline is how many bytes a baseline may have.
const MaxBaseline = 64 << 20

const baselineVersion = 1

// Baseline lists findings that are known and not told, so that an old
// repository can begin clean.
type Baseline struct {
	Version  int     `json:"version"`
	Findings []Known `json:"findings"`
}

// Known is one finding of a baseline. It is found again by its fingerprint, so
// that lines may move; the rest is for people.
type Known struct {
	Fingerprint string `json:"fingerprint"`
	Tool        string `json:"tool"`
	Rule        string `json:"rule"`
	Path        string `json:"path"`
	Message     string `json:"message"`
}

// NewBaseline takes findings up, except what is said of the baseline itself.
func NewBaseline(findings []Finding) Baseline {
	b := Baseline{Version: baselineVersion, Findings: []Known{}}
	for _, f := range findings {
		if f.Rule != ruleStaleBaseline {
			b.Findings = append(b.Findings, Known{f.Fingerprint, f.Tool, f.Rule, f.Path, f.Message})
		}
	}
	return b
}

// Encode is the baseline's file: the same findings always give the same bytes.
func (b Baseline) Encode() ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(b)
	return text.Bytes(), err
}

// ParseBaseline reads a baseline's file.
func ParseBaseline(data []byte) (*Baseline, error) {
	var b Baseline
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(&b)
	if err == nil && decoder.More() {
		err = errors.New("more follows after the end")
	}
	if errors.Is(err, io.EOF) {
		err = errors.New("the file is empty")
	}
	if err == nil && b.Version != baselineVersion {
		err = fmt.Errorf("found version %d, wanted %d", b.Version, baselineVersion)
	}
	if err != nil {
		return nil, fault.Newf(fault.Repository, "read %s: %w", BaselineFile, err).
			Hintf("restore it from git, or write it anew: towline lint --write-baseline")
	}
	return &b, nil
}

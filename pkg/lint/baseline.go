package lint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

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
	b, err := decodeBaseline(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")))
	if err != nil {
		return nil, fault.Newf(fault.Repository, "read %s: %w", BaselineFile, err).
			Hintf("restore it from git, or write it anew: towline lint --write-baseline")
	}
	return b, nil
}

func decodeBaseline(data []byte) (*Baseline, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, errors.New("the file is empty")
	}
	var head struct {
		Version *int `json:"version"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, plainJSON(err)
	}
	switch {
	case head.Version == nil:
		return nil, fmt.Errorf("found no version, wanted %d", baselineVersion)
	case *head.Version != baselineVersion:
		return nil, fmt.Errorf("found version %d, wanted %d", *head.Version, baselineVersion)
	}
	var b Baseline
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&b); err != nil {
		return nil, plainJSON(err)
	}
	for i, entry := range b.Findings {
		if entry.Fingerprint == "" || entry.Tool == "" {
			return nil, fmt.Errorf("entry %d has no fingerprint or no tool", i+1)
		}
	}
	return &b, nil
}

// plainJSON is what is wrong with JSON, without the words of Go.
func plainJSON(err error) error {
	if wrong := (*json.UnmarshalTypeError)(nil); errors.As(err, &wrong) {
		if wrong.Field == "" {
			return fmt.Errorf("found a JSON %s, wanted an object", wrong.Value)
		}
		return fmt.Errorf("%s is a JSON %s, wanted something else", wrong.Field, wrong.Value)
	}
	return errors.New(strings.TrimPrefix(err.Error(), "json: "))
}

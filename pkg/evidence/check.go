package evidence

import (
	"fmt"
	"strings"

	"gitlab.com/towline/towline/pkg/fault"
)

// Status is how a check came out.
type Status string

// A check that is missing found nothing to look at; one that is skipped was
// not asked for, or has nothing to be held against.
const (
	Passed  Status = "passed"
	Failed  Status = "failed"
	Missing Status = "missing"
	Skipped Status = "skipped"
)

// The names of the checks.
const (
	CheckManifest   = "manifest"
	CheckConfig     = "config"
	CheckLayer      = "layer"
	CheckReferrers  = "referrers"
	CheckSignature  = "signature"
	CheckProvenance = "provenance"
	CheckSource     = "source"
	CheckSBOM       = "sbom"
)

// Check is one thing that was looked at.
type Check struct {
	Name   string `json:"name"`
	Status Status `json:"status"`
	Text   string `json:"text"`
}

// Checkf makes a check.
func Checkf(name string, status Status, format string, args ...any) Check {
	return Check{Name: name, Status: status, Text: fmt.Sprintf(format, args...)}
}

// Report is everything that was looked at.
type Report struct {
	Image  string  `json:"image"`
	Digest string  `json:"digest,omitempty"`
	Checks []Check `json:"checks"`
}

// Err is nil if nothing failed and nothing that was required is missing. A
// failed check is a fault.Repository, a missing one a fault.Missing.
func (r Report) Err(required []string) error {
	var failed, missing []string
	for _, c := range r.Checks {
		line := c.Name + ": " + c.Text
		switch {
		case c.Status == Failed:
			failed = append(failed, line)
		case c.Status == Missing && contains(required, c.Name):
			missing = append(missing, line)
		}
	}
	switch {
	case len(failed) > 0:
		return fault.Newf(fault.Repository, "verify %s: %s does not hold", r.Image, plural(len(failed), "check")).With(failed...).
			Hintf("do not use this image: find out who changed it, and publish it anew")
	case len(missing) > 0:
		return fault.Newf(fault.Missing, "verify %s: %s missing", r.Image, plural(len(missing), "piece of evidence", "pieces of evidence")).With(missing...).
			Hintf("publish the evidence with towline push, for a signature with --sign-key")
	}
	return nil
}

// plural counts things in words that are given, or made with an s.
func plural(n int, words ...string) string {
	if n == 1 {
		return "1 " + words[0]
	}
	if len(words) > 1 {
		return fmt.Sprintf("%d %s", n, words[1])
	}
	return fmt.Sprintf("%d %ss", n, words[0])
}

func contains(list []string, name string) bool {
	for _, item := range list {
		if strings.EqualFold(item, name) {
			return true
		}
	}
	return false
}

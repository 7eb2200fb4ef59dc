package release

import (
	"encoding/json"
	"strings"
)

// trailerToken starts the last line of a release tag's message.
const trailerToken = "Towline: "

// Trailer is what a release tag knows of its release, in the last line of its message.
type Trailer struct {
	Identity    string `json:"identity,omitempty"`    // of the model
	Candidate   string `json:"candidate,omitempty"`   // what it was called until the gate had passed
	Environment string `json:"environment,omitempty"` // that it was made in; another one gives another identity
	Code        string `json:"code,omitempty"`        // commit
	Data        string `json:"data,omitempty"`        // digest
	Image       string `json:"image,omitempty"`       // digest
	Registry    string `json:"registry,omitempty"`    // ARN in the model registry
	Pipeline    string `json:"pipeline,omitempty"`    // URL
	Claim       string `json:"claim,omitempty"`       // random, of the allocation that made the tag
}

// TagMessage is the message of a release tag: subject, notes, and the trailer.
func TagMessage(subject, notes string, t Trailer) string {
	text, err := json.Marshal(t)
	if err != nil {
		text = []byte("{}")
	}
	parts := []string{subject}
	if notes = strings.TrimSpace(notes); notes != "" {
		parts = append(parts, notes)
	}
	return strings.Join(append(parts, trailerToken+string(text)), "\n\n") + "\n"
}

// ParseTrailer finds the trailer in a tag's message.
func ParseTrailer(message string) (Trailer, bool) {
	lines := strings.Split(strings.TrimSpace(message), "\n")
	text, ok := strings.CutPrefix(lines[len(lines)-1], trailerToken)
	if !ok {
		return Trailer{}, false
	}
	var t Trailer
	if json.Unmarshal([]byte(text), &t) != nil {
		return Trailer{}, false
	}
	return t, true
}

// identity is that of the model which the tag released, or "".
func (m mark) identity() string {
	t, _ := ParseTrailer(m.Message)
	return t.Identity
}

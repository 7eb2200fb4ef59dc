package plan

// Export writes the packaged image to disk, whole: to an OCI layout, or to an
// archive. It yields digest, and adds nothing to the record.
type Export struct {
	Layout  string `json:"layout,omitempty"`
	To      string `json:"to,omitempty"` // folder or file, absolute
	Archive bool   `json:"archive,omitempty"`
	Tag     string `json:"tag,omitempty"`
}

// ID is "export".
func (Export) ID() string { return "export" }

// Facts name the destination.
func (a Export) Facts() []Fact { return facts("to", a.To, "tag", a.Tag) }

// Fill changes nothing.
func (a Export) Fill(Yields) (Action, error) { return a, nil }

package release

import (
	"fmt"
	"slices"
)

// Signature is what a model takes and gives.
type Signature struct {
	Inputs  []Field `json:"inputs"`
	Outputs []Field `json:"outputs"`
}

// Field is one input or output of a model.
type Field struct {
	Name    string `json:"name"`
	Type    string `json:"type,omitempty"`
	Default bool   `json:"default,omitempty"` // an input that may be left out
}

// Change is what the step to another signature asks for, and why: major where
// a caller of the old one may break, minor where one may send or leave out
// more, none where nothing differs.
func (s Signature) Change(to Signature) (Bump, []string) {
	most := None
	var why []string
	found := func(bump Bump, format string, args ...any) {
		most = max(most, bump)
		why = append(why, fmt.Sprintf(format, args...)+": "+bump.String())
	}
	for _, was := range s.Inputs {
		now, kept := field(to.Inputs, was.Name)
		switch {
		case !kept && was.Default:
			found(Minor, "input %s, which had a default, was removed", was.Name)
		case !kept:
			found(Major, "required input %s was removed", was.Name)
		case now.Type != was.Type:
			found(Major, "input %s was %s and is %s", was.Name, was.Type, now.Type)
		case was.Default && !now.Default:
			found(Major, "input %s lost its default", was.Name)
		case !was.Default && now.Default:
			found(Minor, "input %s got a default", was.Name)
		}
	}
	for _, now := range to.Inputs {
		_, old := field(s.Inputs, now.Name)
		switch {
		case old:
		case now.Default:
			found(Minor, "input %s was added, with a default", now.Name)
		default:
			found(Major, "input %s was added without a default", now.Name)
		}
	}
	if !slices.Equal(s.Outputs, to.Outputs) {
		found(Major, "the outputs changed")
	}
	return most, why
}

func field(fields []Field, name string) (Field, bool) {
	i := slices.IndexFunc(fields, func(f Field) bool { return f.Name == name })
	if i < 0 {
		return Field{}, false
	}
	return fields[i], true
}

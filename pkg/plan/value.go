package plan

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Value is a text that is known now, or that an earlier action will yield.
// Its zero value is the empty text.
type Value struct{ parts []part }

type part struct {
	text string
	ref  Ref // used where text is ""
}

// Ref names what an earlier action yields.
type Ref struct {
	Action string // the action's ID
	Field  string
}

// Text is a value that is known now.
func Text(s string) Value {
	if s == "" {
		return Value{}
	}
	return Value{parts: []part{{text: s}}}
}

// After is a value that the action with this ID yields under this field.
func After(action, field string) Value {
	return Value{parts: []part{{ref: Ref{action, field}}}}
}

// Join puts values behind one another.
func Join(values ...Value) Value {
	var all Value
	for _, v := range values {
		all.parts = append(all.parts, v.parts...)
	}
	return all
}

// Known says whether nothing is left to be yielded.
func (v Value) Known() bool {
	for _, p := range v.parts {
		if p.text == "" {
			return false
		}
	}
	return true
}

// String is the text; in place of what is still open stands "(known after ID)".
func (v Value) String() string {
	var text strings.Builder
	for _, p := range v.parts {
		if p.text == "" {
			fmt.Fprintf(&text, "(known after %s)", p.ref.Action)
			continue
		}
		text.WriteString(p.text)
	}
	return text.String()
}

// Equal makes values comparable for tests.
func (v Value) Equal(w Value) bool { return v.String() == w.String() }

// MarshalJSON writes what String says.
func (v Value) MarshalJSON() ([]byte, error) { return json.Marshal(v.String()) }

// Yields are the fields that the actions carried out so far have yielded, by ID.
type Yields map[string]map[string]string

// fill replaces the references of v.
func (y Yields) fill(v Value) (Value, error) {
	var filled strings.Builder
	for _, p := range v.parts {
		text := p.text
		if text == "" {
			found, ok := y[p.ref.Action][p.ref.Field]
			if !ok {
				return Value{}, fmt.Errorf("plan: %s.%s is used before it is known", p.ref.Action, p.ref.Field)
			}
			text = found
		}
		filled.WriteString(text)
	}
	return Text(filled.String()), nil
}

// fillAll replaces the references of every value in place.
func (y Yields) fillAll(values ...*Value) error {
	for _, v := range values {
		filled, err := y.fill(*v)
		if err != nil {
			return err
		}
		*v = filled
	}
	return nil
}

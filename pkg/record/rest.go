package record

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Rest is what a later Towline wrote into an object, under keys that this one
// does not know. It is written again with the object it came with; a stage
// that makes a section anew makes it without.
type Rest map[string]json.RawMessage

var restType = reflect.TypeFor[Rest]()

// readRest finds, for each object of the document that has a Rest, what its
// struct has no field for. A document that does not fit v changes nothing: it
// was refused before.
func readRest(document []byte, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			readRest(document, v.Elem())
		}
	case reflect.Slice:
		var items []json.RawMessage
		if !holdsRest(v.Type()) || json.Unmarshal(document, &items) != nil || len(items) != v.Len() {
			return
		}
		for i, item := range items {
			readRest(item, v.Index(i))
		}
	case reflect.Struct:
		readObject(document, v)
	}
}

func readObject(document []byte, v reflect.Value) {
	var unknown Rest
	if json.Unmarshal(document, &unknown) != nil {
		return
	}
	for name, index := range fields(v.Type()) {
		for key, raw := range unknown {
			if strings.EqualFold(key, name) { // as encoding/json finds a field
				readRest(raw, v.FieldByIndex(index))
				delete(unknown, key)
			}
		}
	}
	rest := v.FieldByName("Rest")
	if !rest.IsValid() || rest.Type() != restType || len(unknown) == 0 {
		return
	}
	for key, raw := range unknown {
		var compact bytes.Buffer
		if json.Compact(&compact, raw) == nil { // it was parsed before
			unknown[key] = compact.Bytes()
		}
	}
	rest.Set(reflect.ValueOf(unknown))
}

// writeRest puts what is unknown back into the document that was made of v,
// behind the keys of its object and in their order.
func writeRest(document []byte, v reflect.Value) ([]byte, error) {
	for v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	if !holdsRest(v.Type()) {
		return document, nil
	}
	switch v.Kind() {
	case reflect.Slice:
		return writeList(document, v)
	case reflect.Struct:
		return writeObject(document, v)
	}
	return document, nil
}

func writeList(document []byte, v reflect.Value) ([]byte, error) {
	var items []json.RawMessage
	if err := json.Unmarshal(document, &items); err != nil || items == nil {
		return document, err
	}
	for i := range items {
		item, err := writeRest(items[i], v.Index(i))
		if err != nil {
			return nil, err
		}
		items[i] = item
	}
	return plainJSON(items)
}

func writeObject(document []byte, v reflect.Value) ([]byte, error) {
	keys, values, err := members(document)
	if err != nil {
		return nil, err
	}
	known := fields(v.Type())
	for i, key := range keys {
		index, ok := known[key]
		if !ok {
			continue
		}
		if values[i], err = writeRest(values[i], v.FieldByIndex(index)); err != nil {
			return nil, err
		}
	}
	rest, _ := v.FieldByName("Rest").Interface().(Rest)
	for _, key := range slices.Sorted(maps.Keys(rest)) {
		keys, values = append(keys, key), append(values, rest[key])
	}
	var text bytes.Buffer
	text.WriteByte('{')
	for i, key := range keys {
		if i > 0 {
			text.WriteByte(',')
		}
		name, err := plainJSON(key)
		if err != nil {
			return nil, err
		}
		text.Write(name)
		text.WriteByte(':')
		text.Write(values[i])
	}
	text.WriteByte('}')
	return text.Bytes(), nil
}

// members are the keys of an object and their values, in their order.
func members(document []byte) (keys []string, values [][]byte, err error) {
	decoder := json.NewDecoder(bytes.NewReader(document))
	if _, err := decoder.Token(); err != nil {
		return nil, nil, err
	}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return nil, nil, err
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, nil, err
		}
		name, _ := key.(string)
		keys, values = append(keys, name), append(values, value)
	}
	return keys, values, nil
}

// fields are those of a struct and of what is embedded in it, by JSON name.
func fields(of reflect.Type) map[string][]int {
	found := map[string][]int{}
	for i := range of.NumField() {
		field := of.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case field.Anonymous && name == "":
			for inner, index := range fields(field.Type) {
				found[inner] = append([]int{i}, index...)
			}
		case name != "" && name != "-":
			found[name] = []int{i}
		}
	}
	return found
}

// holdsRest says whether what is unknown is kept anywhere in a type.
func holdsRest(of reflect.Type) bool {
	for of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice {
		of = of.Elem()
	}
	if of.Kind() != reflect.Struct {
		return false
	}
	_, found := of.FieldByName("Rest")
	return found
}

// plainJSON is JSON on one line, with < and > as they are.
func plainJSON(v any) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(v)
	return bytes.TrimSuffix(text.Bytes(), []byte("\n")), err
}

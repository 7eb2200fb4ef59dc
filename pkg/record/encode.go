package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"regexp"
	"sync"

	"gitlab.com/towline/towline/pkg/fault"
)

// MaxSize is how many bytes a record may have. Residuals of a regression are
// the only part that grows.
const MaxSize = 16 << 20

// IndexSchema names the format of the index of several models' records.
const IndexSchema = "towline/index/v1"

// Index is the records of a repository with several models, as its version job
// left them.
type Index struct {
	Schema  string   `json:"schema"`
	Project string   `json:"project"`
	Models  []Record `json:"models"`

	Rest Rest `json:"-"` // of a later Towline
}

var (
	name     = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`) })
	identity = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9a-f]{64}$`) })
	digest   = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^sha256:[0-9a-f]{64}$`) })
)

// Marshal writes a record as indented JSON. The same record gives the same bytes.
func Marshal(r Record) ([]byte, error) { return indented(r) }

// MarshalIndex writes an index as indented JSON.
func MarshalIndex(i Index) ([]byte, error) { return indented(i) }

func indented(v any) ([]byte, error) {
	text, err := plainJSON(v)
	if err == nil {
		text, err = writeRest(text, reflect.ValueOf(v))
	}
	var written bytes.Buffer
	if err == nil {
		err = json.Indent(&written, text, "", "  ")
	}
	if err != nil {
		return nil, fault.Newf(fault.Bug, "write %s: %w", File, err)
	}
	written.WriteByte('\n')
	return written.Bytes(), nil
}

// Unmarshal reads a record, which may come from another project. Its error is
// a fault.Repository that says what is wrong with it. What a later Towline of
// the same schema added is kept, and written again by Marshal.
func Unmarshal(data []byte) (Record, error) {
	var r Record
	if err := decode(data, Schema, &r); err != nil {
		return Record{}, err
	}
	if err := r.check(); err != nil {
		return Record{}, err
	}
	return r, nil
}

// UnmarshalIndex reads an index.
func UnmarshalIndex(data []byte) (Index, error) {
	var i Index
	if err := decode(data, IndexSchema, &i); err != nil {
		return Index{}, err
	}
	for _, r := range i.Models {
		if err := r.check(); err != nil {
			return Index{}, err
		}
	}
	return i, nil
}

// decode reads one JSON document of the given format.
func decode(data []byte, schema string, into any) error {
	if len(data) > MaxSize {
		return wrong("it has %d bytes, wanted %d at most", len(data), MaxSize)
	}
	var head struct {
		Schema string `json:"schema"`
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	if err := decoder.Decode(&head); err != nil {
		return wrong("it is not JSON: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return wrong("something follows the JSON document")
	}
	if head.Schema != schema {
		return wrong("its schema is %.40q, wanted %q", head.Schema, schema).
			Hintf("use one version of Towline in all jobs and projects, and the record of one model where one is wanted")
	}
	if err := json.Unmarshal(data, into); err != nil {
		return wrong("%w", err)
	}
	readRest(data, reflect.ValueOf(into))
	return nil
}

// check refuses texts that become parts of paths and addresses if they could lead elsewhere.
func (r Record) check() error {
	for _, part := range []struct {
		key, text string
		legal     *regexp.Regexp
		optional  bool
	}{
		{"project", r.Project, name(), false},
		{"model", r.Model, name(), false},
		{"identity", r.Identity, identity(), true},
		{"image.digest", r.imageDigest(), digest(), true},
	} {
		if part.optional && part.text == "" || part.legal.MatchString(part.text) {
			continue
		}
		return wrong("its %s is %.80q", part.key, part.text)
	}
	return nil
}

func (r Record) imageDigest() string {
	if r.Image == nil {
		return ""
	}
	return r.Image.Digest
}

func wrong(format string, args ...any) *fault.Error {
	return fault.Newf(fault.Repository, "read "+File+": "+format, args...).
		Hintf("run towline version again to write a new record")
}

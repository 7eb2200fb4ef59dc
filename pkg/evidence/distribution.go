package evidence

import (
	"net/url"
	"path"
	"slices"
	"strings"
	"unicode/utf8"
)

// Distribution is an installed Python distribution, as its metadata tells.
type Distribution struct {
	Name     string   `json:"name"`
	Version  string   `json:"version"`
	Licences []string `json:"licences,omitempty"` // one SPDX expression, or names
	SPDX     bool     `json:"spdx,omitempty"`     // Licences is one SPDX expression
	Requires []string `json:"requires,omitempty"` // names of distributions, without extras
	Layer    string   `json:"layer,omitempty"`    // digest of the layer that holds it
	Record   string   `json:"record,omitempty"`   // sha256 of its RECORD, hexadecimal
	Wheel    string   `json:"wheel,omitempty"`    // sha256 of the wheel, hexadecimal; "" if unknown
}

// MaxMetadata is how many bytes of a METADATA or RECORD file are read.
const MaxMetadata = 4 << 20

// limits of what one file may claim, so that a hostile one costs little.
const (
	maxField = 1000 // bytes of a name, a version, a licence
	maxList  = 500  // licences and requirements
)

// MetadataOf says which distribution a file of an image tells of: the name of
// the folder *.dist-info and the file's own. For other files both are "".
func MetadataOf(name string) (folder, file string) {
	folder, file = path.Split(path.Clean(name))
	if !strings.HasSuffix(folder, ".dist-info/") || file != "METADATA" && file != "RECORD" {
		return "", ""
	}
	return strings.TrimSuffix(folder, "/"), file
}

// ParseMetadata reads a METADATA file. It says false if that names no
// distribution. The format is that of
// https://packaging.python.org/en/latest/specifications/core-metadata/.
func ParseMetadata(text []byte) (Distribution, bool) {
	var d Distribution
	var expression, free string
	var classified []string
	for name, value := range headers(text) {
		switch name {
		case "name":
			d.Name = value
		case "version":
			d.Version = value
		case "license-expression":
			expression = value
		case "license":
			free = value
		case "classifier":
			if licence, ok := strings.CutPrefix(value, "License :: "); ok && len(classified) < maxList {
				classified = append(classified, licence)
			}
		case "requires-dist":
			if required := requirement(value); required != "" && len(d.Requires) < maxList {
				d.Requires = append(d.Requires, required)
			}
		}
	}
	slices.Sort(d.Requires)
	d.Requires = slices.Compact(d.Requires)
	d.Licences, d.SPDX = licences(expression, free, classified)
	return d, d.Name != "" && d.Version != ""
}

// headers gives the fields above the description: lower-case name and value.
// What follows on indented lines is left out, as no field here needs it.
func headers(text []byte) func(yield func(string, string) bool) {
	return func(yield func(string, string) bool) {
		for line := range strings.Lines(string(text[:min(len(text), MaxMetadata)])) {
			line = strings.TrimRight(line, "\r\n")
			if line == "" {
				return
			}
			name, value, ok := strings.Cut(line, ":")
			value = strings.TrimSpace(value)
			if !ok || strings.ContainsAny(name, " \t") || len(value) > maxField || !utf8.ValidString(value) {
				continue
			}
			if !yield(strings.ToLower(name), value) {
				return
			}
		}
	}
}

// requirement is the name in "numpy >=1.2 ; python_version < '3.12'", and ""
// for one that only an extra asks for.
func requirement(text string) string {
	name, marker, _ := strings.Cut(text, ";")
	if strings.Contains(marker, "extra") {
		return ""
	}
	end := strings.IndexFunc(name, func(r rune) bool {
		return !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.", r)
	})
	if end >= 0 {
		name = name[:end]
	}
	return normal(name)
}

// normal is a distribution's name as indexes compare it.
func normal(name string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(name), func(r rune) bool {
		return r == '-' || r == '_' || r == '.'
	}), "-")
}

// PURL is the package URL, by the rules of
// https://github.com/package-url/purl-spec for the type pypi.
func (d Distribution) PURL() string {
	name := strings.ReplaceAll(strings.ToLower(d.Name), "_", "-")
	return "pkg:pypi/" + escape(name) + "@" + escape(d.Version)
}

// escape quotes what a package URL cannot hold as it is.
func escape(text string) string {
	return strings.NewReplacer("+", "%2B", ":", "%3A", "@", "%40", "&", "%26", "=", "%3D").Replace(url.PathEscape(text))
}

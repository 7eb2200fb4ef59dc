package evidence

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Contents are what was found in an image.
type Contents struct {
	Image         string // digest, sha256:…
	Name          string // project/model
	Version       string // what the release is called
	Platform      string
	Base          string // scratch, or the reference by digest
	InputFile     string // what the dependencies were asked for by, relative to the repository; may be ""
	Distributions []Distribution
	Tool          string // Towline's version
}

// SBOM is the bill of materials as CycloneDX 1.6 JSON. The same contents give
// the same bytes; the serial number is made of them, and there is no time.
func SBOM(c Contents) ([]byte, error) {
	bom := cdxBOM{Schema: cdxSchema, Format: cdxFormat, Spec: cdxSpec, Version: 1}
	image := imageComponent(c)
	bom.Metadata = &cdxMetadata{
		Tools:      cdxTools{Components: []cdxComponent{{Type: cdxApplication, Name: "towline", Version: c.Tool}}},
		Component:  &image,
		Properties: gitlabProperties(c),
	}
	list := distinct(c.Distributions)
	components := make([]cdxComponent, 0, len(list)+1)
	if base, ok := baseComponent(c.Base); ok {
		components = append(components, base)
	}
	for _, d := range list {
		components = append(components, component(d))
	}
	bom.Components = components
	bom.Dependencies = dependencies(image.BOMRef, components, list)
	text, err := encode(bom)
	if err != nil {
		return nil, err
	}
	bom.SerialNumber = serial(text)
	return encode(bom)
}

func encode(bom cdxBOM) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(bom)
	return text.Bytes(), err
}

// serial is a UUID of version 8, whose bits are the maker's own, by RFC 9562.
func serial(text []byte) string {
	sum := sha256.Sum256(text)
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", sum[0:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

// imageComponent is the image as a whole, by its digest.
func imageComponent(c Contents) cdxComponent {
	short := c.Name[strings.LastIndex(c.Name, "/")+1:]
	image := cdxComponent{
		BOMRef: c.Image, Type: cdxContainer, Name: c.Name, Version: c.Version,
		PackageURL: "pkg:oci/" + escape(strings.ToLower(short)) + "@" + escape(c.Image),
		Hashes:     hashes(c.Image),
	}
	if c.Platform != "" {
		image.Properties = []cdxProperty{{Name: "towline:platform", Value: c.Platform}}
	}
	return image
}

// baseComponent is the image that this one is built on; what is in it is not
// looked into, since it is never downloaded.
func baseComponent(base string) (cdxComponent, bool) {
	name, digest, found := strings.Cut(base, "@")
	if !found {
		return cdxComponent{}, false
	}
	short := name[strings.LastIndex(name, "/")+1:]
	return cdxComponent{
		BOMRef: "base:" + digest, Type: cdxContainer, Name: name, Version: digest,
		PackageURL: "pkg:oci/" + escape(strings.ToLower(short)) + "@" + escape(digest) + "?repository_url=" + escape(name),
		Hashes:     hashes(digest),
		Properties: []cdxProperty{{Name: "towline:role", Value: "base image"}},
	}, true
}

func component(d Distribution) cdxComponent {
	purl := d.PURL()
	c := cdxComponent{
		BOMRef: purl, Type: cdxLibrary, Name: d.Name, Version: d.Version, PackageURL: purl,
		Licenses: licenceChoices(d),
	}
	if d.Wheel != "" {
		c.Hashes = hashes("sha256:" + d.Wheel)
	}
	var properties []cdxProperty
	if d.Layer != "" {
		properties = append(properties, cdxProperty{Name: propertyLayer, Value: d.Layer})
	}
	if d.Record != "" {
		properties = append(properties, cdxProperty{Name: propertyRecord, Value: d.Record})
	}
	c.Properties = properties
	return c
}

func licenceChoices(d Distribution) []cdxLicenseChoice {
	if len(d.Licences) == 0 {
		return nil
	}
	if d.SPDX {
		return []cdxLicenseChoice{{Expression: d.Licences[0]}}
	}
	var list []cdxLicenseChoice
	for _, name := range d.Licences {
		list = append(list, cdxLicenseChoice{License: &cdxLicense{Name: name}})
	}
	return list
}

// dependencies say that the image holds everything, and which distribution
// asks for which, as far as they are in the image.
func dependencies(image string, all []cdxComponent, list []Distribution) []cdxDependency {
	refs := map[string]string{}
	for _, d := range list {
		refs[normal(d.Name)] = d.PURL()
	}
	held := make([]string, 0, len(all))
	for _, c := range all {
		held = append(held, c.BOMRef)
	}
	graph := []cdxDependency{{Ref: image, DependsOn: held}}
	for _, d := range list {
		var needs []string
		for _, name := range d.Requires {
			if ref := refs[name]; ref != "" && ref != d.PURL() {
				needs = append(needs, ref)
			}
		}
		graph = append(graph, cdxDependency{Ref: d.PURL(), DependsOn: needs})
	}
	return graph
}

// gitlabProperties are what GitLab's dependency list reads of a report:
// https://docs.gitlab.com/development/sec/cyclonedx_property_taxonomy/.
func gitlabProperties(c Contents) []cdxProperty {
	properties := []cdxProperty{{Name: "gitlab:meta:schema_version", Value: "1"}}
	if c.InputFile != "" {
		properties = append(properties,
			cdxProperty{Name: "gitlab:dependency_scanning:input_file:path", Value: c.InputFile},
			cdxProperty{Name: "gitlab:dependency_scanning:package_manager:name", Value: "pip"})
	}
	return properties
}

// hashes is a digest in CycloneDX's form.
func hashes(digest string) []cdxHash {
	return []cdxHash{{Algorithm: cdxSHA256, Value: strings.TrimPrefix(digest, "sha256:")}}
}

// distinct sorts by package URL and names each once.
func distinct(list []Distribution) []Distribution {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b Distribution) int { return cmp.Compare(a.PURL(), b.PURL()) })
	return slices.CompactFunc(list, func(a, b Distribution) bool { return a.PURL() == b.PURL() })
}

// ParseSBOM gives the distributions that a bill of materials of Towline's own
// says to be in a layer.
func ParseSBOM(sbom []byte, layer string) []Distribution {
	var bom cdxBOM
	if err := json.Unmarshal(sbom, &bom); err != nil {
		return nil
	}
	names, needs := map[string]string{}, map[string][]string{}
	for _, c := range bom.Components {
		names[c.BOMRef] = normal(c.Name)
	}
	for _, d := range bom.Dependencies {
		needs[d.Ref] = d.DependsOn
	}
	var list []Distribution
	for _, c := range bom.Components {
		d := Distribution{Name: c.Name, Version: c.Version, Layer: property(c, propertyLayer), Record: property(c, propertyRecord)}
		if c.Type != cdxLibrary || d.Layer != layer || c.PackageURL != d.PURL() {
			continue
		}
		d.Licences, d.SPDX = licenceNames(c.Licenses)
		for _, ref := range needs[c.BOMRef] {
			if name := names[ref]; name != "" {
				d.Requires = append(d.Requires, name)
			}
		}
		list = append(list, d)
	}
	return list
}

func property(c cdxComponent, name string) string {
	for _, p := range c.Properties {
		if p.Name == name {
			return p.Value
		}
	}
	return ""
}

func licenceNames(of []cdxLicenseChoice) (list []string, spdx bool) {
	for _, choice := range of {
		if choice.Expression != "" {
			return []string{choice.Expression}, true
		}
		if choice.License != nil {
			list = append(list, choice.License.Name)
		}
	}
	return list, false
}

// Names of properties that are Towline's own.
const (
	propertyLayer  = "towline:layer"
	propertyRecord = "towline:record:sha256"
)

// described is the digest of the image that a bill of materials is about, and
// how many components it names.
func described(sbom []byte) (image string, components int, err error) {
	var bom struct {
		BOMFormat string `json:"bomFormat"`
		Metadata  struct {
			Component struct {
				BOMRef string `json:"bom-ref"`
			} `json:"component"`
		} `json:"metadata"`
		Components []struct{} `json:"components"`
	}
	if err := json.Unmarshal(sbom, &bom); err != nil {
		return "", 0, err
	}
	if bom.BOMFormat != cdxFormat {
		return "", 0, fmt.Errorf("its format is %q, wanted %s", clip(bom.BOMFormat), cdxFormat)
	}
	return bom.Metadata.Component.BOMRef, len(bom.Components), nil
}

// clip keeps what a stranger wrote short and on one line.
func clip(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
	if len(text) > 200 {
		return strings.ToValidUTF8(text[:200], "") + "…"
	}
	return text
}

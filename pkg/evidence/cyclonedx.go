package evidence

// The part of CycloneDX 1.6 that a bill of materials of Towline's own uses, in
// the order of the specification's reference model.
// https://cyclonedx.org/docs/1.6/json/

const (
	cdxFormat = "CycloneDX"
	cdxSpec   = "1.6"
	cdxSchema = "http://cyclonedx.org/schema/bom-1.6.schema.json"

	cdxApplication = "application"
	cdxContainer   = "container"
	cdxLibrary     = "library"

	cdxSHA256 = "SHA-256"
)

type cdxBOM struct {
	Schema       string          `json:"$schema"`
	Format       string          `json:"bomFormat"`
	Spec         string          `json:"specVersion"`
	SerialNumber string          `json:"serialNumber,omitempty"` // urn:uuid:…
	Version      int             `json:"version"`                // of this bill: 1 for the first
	Metadata     *cdxMetadata    `json:"metadata,omitempty"`
	Components   []cdxComponent  `json:"components"`
	Dependencies []cdxDependency `json:"dependencies,omitempty"`
}

type cdxMetadata struct {
	Tools      cdxTools      `json:"tools"`
	Component  *cdxComponent `json:"component,omitempty"` // what the bill is about
	Properties []cdxProperty `json:"properties,omitempty"`
}

type cdxTools struct {
	Components []cdxComponent `json:"components"`
}

type cdxComponent struct {
	BOMRef     string             `json:"bom-ref,omitempty"` // unique in the bill
	Type       string             `json:"type"`
	Name       string             `json:"name"`
	Version    string             `json:"version,omitempty"`
	Hashes     []cdxHash          `json:"hashes,omitempty"`
	Licenses   []cdxLicenseChoice `json:"licenses,omitempty"`
	PackageURL string             `json:"purl,omitempty"`
	Properties []cdxProperty      `json:"properties,omitempty"`
}

type cdxHash struct {
	Algorithm string `json:"alg"`
	Value     string `json:"content"` // hexadecimal
}

// cdxLicenseChoice is a licence by name, or an SPDX expression.
type cdxLicenseChoice struct {
	License    *cdxLicense `json:"license,omitempty"`
	Expression string      `json:"expression,omitempty"`
}

type cdxLicense struct {
	Name string `json:"name"`
}

type cdxDependency struct {
	Ref       string   `json:"ref"`
	DependsOn []string `json:"dependsOn,omitempty"`
}

type cdxProperty struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

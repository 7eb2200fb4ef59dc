package manifest

import (
	_ "embed"
	"slices"
)

// SchemaFile is the name under which the JSON Schema lies beside a manifest.
const SchemaFile = "towline.schema.json"

//go:embed towline.schema.json
var schema []byte

// Schema is the JSON Schema of the manifest, which editors complete and check
// by. It is generated from the types and from Keys by cmd/docgen.
func Schema() []byte { return slices.Clone(schema) }

package config

import _ "embed" // the schema

//go:generate go run ./gen

//go:embed schema.json
var schema []byte

// Schema returns the JSON schema (draft 2020-12) of the file, for editors. It knows the keys, types, bounds and words of
// values, but not what the parts of a file mean together.
func Schema() []byte { return append([]byte(nil), schema...) }

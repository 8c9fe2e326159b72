// Command gen writes what is made from the configuration's types and their comments: the JSON schema that the program
// embeds, and the reference for people. It runs in the repository's root: go run ./internal/config/gen.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

// The files that are written, from the repository's root.
const (
	schemaFile    = "internal/config/schema.json"
	referenceFile = "docs/config.md"
)

func main() {
	root := flag.String("root", ".", "the repository's root")
	flag.Parse()
	if err := write(*root); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// write generates both files below root.
func write(root string) error {
	if err := os.Chdir(root); err != nil { // comments are found by folders relative to the module's
		return err
	}
	files, err := generate()
	if err != nil {
		return err
	}
	for name, data := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
			return err
		}
		if err := os.WriteFile(name, data, 0o644); err != nil { //nolint:gosec // sources are for all to read
			return err
		}
	}
	return nil
}

// generate returns the content of each file by name. The working folder must be the repository's root.
func generate() (map[string][]byte, error) {
	r, err := reflector()
	if err != nil {
		return nil, err
	}
	schema, err := json.MarshalIndent(jsonSchema(r), "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write schema: %w", err)
	}
	var reference bytes.Buffer
	if err := writeReference(&reference, r.CommentMap); err != nil {
		return nil, err
	}
	return map[string][]byte{schemaFile: append(schema, '\n'), referenceFile: reference.Bytes()}, nil
}

package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"gatehouse/internal/config"
)

// TestFresh holds that the generated files are what the types and comments say.
func TestFresh(t *testing.T) {
	t.Chdir("../../..")
	files, err := generate()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s is stale: run go run ./internal/config/gen\n(-want +got):\n%s", name, diff)
		}
	}
	if !bytes.Equal(files[schemaFile], config.Schema()) {
		t.Error("the embedded schema is another one")
	}
}

// TestEveryKeyIsDescribed holds that no key or type lacks its comment.
func TestEveryKeyIsDescribed(t *testing.T) {
	t.Chdir("../../..")
	r, err := reflector()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range append(structs(reflect.TypeFor[config.Config]()), reflect.TypeFor[config.Config]()) {
		for _, key := range config.Keys(s) {
			if !strings.HasPrefix(r.CommentMap[commentName(key.Owner)+"."+key.Field.Name], key.Name+" ") {
				t.Errorf("%s.%s: the comment does not begin with the field's name", s.Name(), key.Field.Name)
			}
		}
	}
}

// TestExamples holds that the reference's examples together are a good file, and that each section has one.
func TestExamples(t *testing.T) {
	parts := sections(example)
	for _, key := range config.Keys(reflect.TypeFor[config.Config]()) {
		if parts[key.Name] == "" {
			t.Errorf("no example for %s", key.Name)
		}
		delete(parts, key.Name)
	}
	if len(parts) > 0 {
		t.Errorf("examples for no section: %v", slices.Collect(maps.Keys(parts)))
	}
	env := func(string) string { return "0123456789abcdef" }
	_, err := config.Parse("example.yaml", []byte(example), t.TempDir(), env)
	missing := 0
	for line := range strings.Lines(errorText(err)) {
		if !strings.Contains(line, "no such file") && !strings.Contains(line, "cannot find the file") {
			t.Error(line)
		}
		missing++
	}
	if missing != 3 { // the certificate, its key and the authorities
		t.Errorf("%d files are missing: %v", missing, err)
	}
	if _, err := config.Parse("five.yaml", []byte(fiveLines), t.TempDir(), env); err != nil {
		t.Error(err)
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(config.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// value reads YAML as the values that a schema looks at.
func value(t *testing.T, data []byte) (any, bool) {
	t.Helper()
	var v any
	if err := yaml.Unmarshal(data, &v); err != nil {
		return nil, false
	}
	if v == nil {
		v = map[string]any{}
	}
	j, err := json.Marshal(v)
	if err != nil {
		return nil, false
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(j))
	if err != nil {
		t.Fatal(err)
	}
	return doc, true
}

// TestSchemaTakesGoodFiles holds that the schema is not stricter than the loader, as the files are written and as they
// are shown.
func TestSchemaTakesGoodFiles(t *testing.T) {
	schema := compiled(t)
	files, _ := filepath.Glob("../testdata/good/*.yaml")
	shown, _ := filepath.Glob("../testdata/good/*.show")
	if len(files) == 0 || len(shown) != len(files) {
		t.Fatal("no files")
	}
	for _, file := range append(files, shown...) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		v, ok := value(t, bytes.TrimPrefix(bytes.TrimPrefix(data, []byte("%YAML 1.2\n---\n")), []byte("\xef\xbb\xbf")))
		if !ok {
			t.Errorf("%s: cannot be read", file)
		} else if err := schema.Validate(v); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
	if v, _ := value(t, []byte(example)); schema.Validate(v) != nil {
		t.Errorf("example: %v", schema.Validate(v))
	}
}

// TestSchemaRefusesBadFiles holds what editors see: every bad file but those whose mistakes are between values, in other
// files or in what YAML readers resolve.
func TestSchemaRefusesBadFiles(t *testing.T) {
	schema := compiled(t)
	beyond := []string{"same_address", "same_rule", "second_document", "tags_and_merge_keys"}
	files, _ := filepath.Glob("../testdata/bad/*.yaml")
	refused := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		if name == "billion_laughs" {
			continue // an unbounded reader must not be given it
		}
		v, ok := value(t, data)
		if !ok || slices.Contains(beyond, name) {
			continue
		}
		if schema.Validate(v) == nil {
			t.Errorf("%s: the schema takes it", name)
		}
		refused++
	}
	if refused < 15 {
		t.Errorf("only %d files could be read", refused)
	}
}

// TestSchemaRefusesLines holds single rules of the schema.
func TestSchemaRefusesLines(t *testing.T) {
	schema := compiled(t)
	for _, line := range []string{
		`log: {levle: info}`, `log: {level: loud}`, `log: {access: "yes"}`, `console: {listen: "shop.example:80"}`,
		`web_listeners: {a: {}}`, `web_listeners: {"a b": {address: ":80"}}`, `web_listeners: {a: {address: ":80", tls: {certificates: []}}}`,
		`web_listeners: {a: {address: ":80", tls: {min_version: 1.1, certificates: [{certificate: a, key: b}]}}}`,
		`web_farms: {a: {members: []}}`, `web_farms: {a: {members: ["ftp://a"]}}`, `web_farms: {a: {members: [{url: "http://a", weight: 0}]}}`,
		`web_farms: {a: {members: ["http://a"], verifier: "http://a"}}`, `web_farms: {a: {members: ["http://a"], verifier: {period: 1s}}}`,
		`web_farms: {a: {members: ["http://a"], affinity_key: {file: a, env: B}}}`, `web_farms: {a: {members: ["http://a"], affinity_key: secret}}`,
		`web_farms: {a: {members: ["http://a"], slow_start: 30}}`, `web_farms: {a: {members: ["http://a"], slow_start: soon}}`,
		`publishing_rules: {a: {}}`, `publishing_rules: {a: {farm: a, paths: [b]}}`, `publishing_rules: {a: {farm: a, hosts: ["a*b"]}}`,
		`connectivity_verifiers: {a: {http: "http://a", tcp: "a:1"}}`, `connectivity_verifiers: {a: {tcp: a}}`,
		`memory: {retention_bytes: lots}`, `memory: {processes: {a: {pid: 1, process: a}}}`, `memory: {processes: {a: {command: "("}}}`, `memory: {processes: {a: {unit: a}}}`,
	} {
		v, ok := value(t, []byte(line))
		if !ok || schema.Validate(v) == nil {
			t.Errorf("%s: the schema takes it", line)
		}
		if _, err := config.Parse("x", []byte(line), t.TempDir(), nil); err == nil {
			t.Errorf("%s: the loader takes it", line)
		}
	}
}

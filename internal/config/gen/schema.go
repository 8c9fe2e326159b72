package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode"

	"github.com/invopop/jsonschema"

	"gatehouse/internal/config"
)

// namePattern is what the loader takes for the name of a listener, rule, farm, verifier or watched process.
const namePattern = `^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`

// patterns are what a schema can say of a format; the loader says the rest.
func patterns() map[string]string {
	return map[string]string{
		config.FormatFile:        `.`,
		config.FormatFolder:      `.`,
		config.FormatText:        `.`,
		config.FormatAddress:     `^(|localhost|[0-9.]+|\[[0-9A-Za-z:.%]+\]):[0-9]{1,5}$`,
		config.FormatNetwork:     `^[0-9A-Fa-f:.]+(%.+)?(/[0-9]{1,3})?$`,
		config.FormatHost:        `^[0-9A-Za-z_:.%-]+$`,
		config.FormatHostHeader:  `^[0-9A-Za-z_:.%\[\]-]+$`,
		config.FormatHostPattern: `^(\*|(\*\.)?[0-9A-Za-z_:.%-]+)$`,
		config.FormatPathPattern: `^/[^?#*\\ ]*$`,
		config.FormatTarget:      `^([0-9A-Za-z_.-]+|\[[0-9A-Za-z:.%]+\]):[0-9]{1,5}$`,
		config.FormatURL:         `^https?://[^/?#@]+([/?][^#]*)?#?$`,
		config.FormatMemberURL:   memberURL,
		config.FormatMemberName:  `^[0-9A-Za-z._:\[\]-]{1,255}$`,
		config.FormatFarmURL:     `^https?://\*(:[0-9]{1,5})?([/?][^#]*)?#?$`,
		config.FormatFarmTarget:  `^\*(:[0-9]{1,5})?$`,
		config.FormatFarmHost:    `^\*$`,
		config.FormatUnit:        `^[^/]+\.[^/]+$`,
		config.FormatCgroup:      `.`,
		config.FormatVariable:    `^[A-Za-z_][A-Za-z0-9_]*$`,
	}
}

const (
	memberURL    = `^(https?|h2c)://[^/?#@]+/?#?$`
	farmTarget   = `^(https?://\*(:[0-9]{1,5})?([/?][^#]*)?#?|(tcp://)?\*(:[0-9]{1,5})?|icmp://\*)$`
	durationText = `^(0|([0-9]+d)?(([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))*)$`
	sizeText     = `^[0-9]+ *([KMGT]iB|[KMGT]B|kB|B)?$`
)

// reflector reads the comments of the configuration's types.
func reflector() (*jsonschema.Reflector, error) {
	r := &jsonschema.Reflector{
		FieldNameTag:               "yaml",
		RequiredFromJSONSchemaTags: true,
		ExpandedStruct:             true,
		Anonymous:                  true,
		Mapper:                     quantity,
	}
	if err := r.AddGoComments("gatehouse", "internal/config", jsonschema.WithFullComment()); err != nil {
		return nil, fmt.Errorf("read comments: %w", err)
	}
	for name, comment := range r.CommentMap {
		r.CommentMap[name] = strings.Join(strings.Fields(comment), " ")
	}
	root := reflect.TypeFor[config.Config]()
	for _, t := range append(structs(root), root) {
		name := commentName(t)
		r.CommentMap[name] = strings.Replace(r.CommentMap[name], t.Name(), words(t.Name()), 1)
		for _, key := range config.Keys(t) {
			name := commentName(key.Owner) + "." + key.Field.Name
			if rest, ok := strings.CutPrefix(r.CommentMap[name], key.Field.Name); ok {
				r.CommentMap[name] = key.Name + rest
			}
		}
	}
	return r, nil
}

// commentName is the key of a type's comment.
func commentName(t reflect.Type) string { return t.PkgPath() + "." + t.Name() }

// words takes a Go name apart: "WebListener" becomes "Web listener".
func words(name string) string {
	var b strings.Builder
	for i, r := range name {
		if i > 0 && unicode.IsUpper(r) && unicode.IsLower(rune(name[i-1])) {
			b.WriteByte(' ')
			r = unicode.ToLower(r)
		}
		b.WriteRune(r)
	}
	return b.String()
}

// quantity is the schema of the types that are written as text but are none.
func quantity(t reflect.Type) *jsonschema.Schema {
	switch t {
	case reflect.TypeFor[config.Duration]():
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "string", Pattern: durationText, MinLength: pointer(uint64(1))}, {Const: 0}}}
	case reflect.TypeFor[config.Size]():
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "string", Pattern: sizeText}, {Type: "integer", Minimum: "0"}}}
	}
	return nil
}

func pointer[T any](v T) *T { return &v }

// jsonSchema is the schema of a whole file.
func jsonSchema(r *jsonschema.Reflector) *jsonschema.Schema {
	root := r.Reflect(&config.Config{})
	root.Title = "gatehouse configuration"
	refine(root, reflect.TypeFor[config.Config]())
	for _, t := range structs(reflect.TypeFor[config.Config]()) {
		if s := root.Definitions[t.Name()]; s != nil {
			refine(s, t)
		}
	}
	shorten(root, "Member", "the member's URL", memberURL)
	shorten(root, "FarmVerifier", "the target", farmTarget)
	return root
}

// structs lists the struct types below t, each once, in the order of the file; inlined ones are parts of their owner.
func structs(t reflect.Type) []reflect.Type {
	var list []reflect.Type
	seen := map[reflect.Type]bool{}
	var visit func(reflect.Type)
	visit = func(t reflect.Type) {
		for _, key := range config.Keys(t) {
			if inner := structBelow(key.Field.Type); inner != nil && !seen[inner] {
				seen[inner] = true
				list = append(list, inner)
				visit(inner)
			}
		}
	}
	visit(t)
	return list
}

// structBelow is the struct that a type is made of, or nil.
func structBelow(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Map || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() == reflect.Struct {
		return t
	}
	return nil
}

// refine adds to a struct's schema what the tags say of its keys.
func refine(s *jsonschema.Schema, t reflect.Type) {
	for _, key := range config.Keys(t) {
		property, ok := s.Properties.Get(key.Name)
		if !ok {
			panic("no property " + key.Name)
		}
		if key.Required {
			s.Required = append(s.Required, key.Name)
		}
		if key.Choice {
			s.OneOf = append(s.OneOf, &jsonschema.Schema{Required: []string{key.Name}})
		}
		refineKey(property, key)
		if empty(key) {
			s.Properties.Set(key.Name, &jsonschema.Schema{
				Description: property.Description,
				AnyOf:       []*jsonschema.Schema{property, {Type: "null"}},
			})
			property.Description = ""
		}
	}
}

// empty reports whether a key may stand in a file with nothing behind it.
func empty(key config.Key) bool {
	k := key.Field.Type.Kind()
	return k == reflect.Struct || k == reflect.Map || k == reflect.Slice && !key.Required
}

func refineKey(s *jsonschema.Schema, key config.Key) {
	text := s
	switch key.Field.Type.Kind() {
	case reflect.Map:
		s.PropertyNames = &jsonschema.Schema{Pattern: namePattern}
	case reflect.Slice:
		text = s.Items
		if key.Required {
			s.MinItems = pointer(uint64(1))
		}
	case reflect.Int:
		s.Minimum, s.Maximum = json.Number(key.Min), json.Number(key.Max)
	}
	for _, word := range key.Enum {
		s.Enum = append(s.Enum, word)
		if _, err := strconv.ParseFloat(word, 64); err == nil { // the loader takes it without quotes too
			s.Enum, s.Type = append(s.Enum, json.Number(word)), ""
		}
	}
	if key.Format == config.FormatRegexp {
		text.Format = "regex"
	}
	text.Pattern += patterns()[key.Format]
	if key.Default != "" {
		s.Default = defaultValue(key)
	}
}

// defaultValue is a default as JSON has it.
func defaultValue(key config.Key) any {
	switch key.Field.Type.Kind() {
	case reflect.Bool:
		return key.Default == "true"
	case reflect.Int:
		return json.Number(key.Default)
	case reflect.Int64:
		if n, err := strconv.Atoi(key.Default); err == nil {
			return n
		}
	}
	return key.Default
}

// shorten lets a definition be written as one text too.
func shorten(root *jsonschema.Schema, name, what, pattern string) {
	full := root.Definitions[name]
	root.Definitions[name] = &jsonschema.Schema{
		Description: full.Description,
		OneOf:       []*jsonschema.Schema{{Type: "string", Pattern: pattern, Description: "Short form: " + what + "."}, full},
	}
	full.Description = ""
}

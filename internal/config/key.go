package config

import (
	"reflect"
	"strings"
)

// Key is a key of a mapping in the file, as the tags of a struct's field say it. The decoder, the JSON schema and the
// reference are made of the same keys.
type Key struct {
	Name     string
	Field    reflect.StructField
	Owner    reflect.Type // the struct that declares the field, which may be an inlined one
	Default  string       // as written in a file; empty for the zero value
	Required bool
	Choice   bool     // exactly one of the mapping's choices must be given
	Enum     []string // the only values
	Min, Max string   // bounds of numbers, durations and sizes, as written in a file
	Format   string   // of a text, or of each text of a list: one of the Format constants
	index    []int
}

// Keys lists the keys of a struct type in the order of declaration, those of inlined structs where they stand.
func Keys(t reflect.Type) []Key {
	var list []Key
	for i := range t.NumField() {
		f := t.Field(i)
		name, option, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if option == "inline" {
			for _, inner := range Keys(f.Type) {
				inner.index = append([]int{i}, inner.index...)
				list = append(list, inner)
			}
			continue
		}
		if name == "" || !f.IsExported() {
			continue
		}
		key := Key{Name: name, Field: f, Owner: t, Default: f.Tag.Get("default"), Required: f.Tag.Get("required") == "true",
			Choice: f.Tag.Get("choice") == "true", Min: f.Tag.Get("min"), Max: f.Tag.Get("max"), Format: f.Tag.Get("format"), index: []int{i}}
		if enum := f.Tag.Get("enum"); enum != "" {
			key.Enum = strings.Split(enum, ",")
		}
		list = append(list, key)
	}
	return list
}

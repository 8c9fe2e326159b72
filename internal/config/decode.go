package config

import (
	"encoding"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// decoder fills the configuration's structs from nodes. It reports what does not fit and goes on.
type decoder struct {
	base     string // folder that relative file names begin at
	problems *collector
}

// shortForm is what types are that may be written as one text.
type shortForm interface {
	// fromText sets the value from its short form. The receiver has its defaults.
	fromText(s string) error
}

// field is what a struct's tags say of a key.
type field struct {
	key      string
	index    []int
	defaults string // of the key's value, as written in a file
	required bool
	enum     []string
	min, max string // bounds of numbers, durations and sizes, as written in a file
	format   string // of a text, or of each text of a list
}

// fields lists the keys of a struct in the order of declaration, those of inlined structs where they stand.
func fields(t reflect.Type) []field {
	var list []field
	for i := range t.NumField() {
		f := t.Field(i)
		name, option, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if option == "inline" {
			for _, inner := range fields(f.Type) {
				inner.index = append([]int{i}, inner.index...)
				list = append(list, inner)
			}
			continue
		}
		if name == "" || !f.IsExported() {
			continue
		}
		entry := field{key: name, index: []int{i}, defaults: f.Tag.Get("default"), required: f.Tag.Get("required") == "true",
			min: f.Tag.Get("min"), max: f.Tag.Get("max"), format: f.Tag.Get("format")}
		if enum := f.Tag.Get("enum"); enum != "" {
			entry.enum = strings.Split(enum, ",")
		}
		list = append(list, entry)
	}
	return list
}

// setDefaults gives every field of a struct, and of the structs in it, its default. Tags are the program's own: one that
// does not parse is a bug and panics.
func setDefaults(v reflect.Value) {
	for _, f := range fields(v.Type()) {
		target := v.FieldByIndex(f.index)
		if target.Kind() == reflect.Struct {
			setDefaults(target)
		} else if f.defaults != "" {
			if err := setText(target, f.defaults); err != nil {
				panic(fmt.Sprintf("config: default of %s: %v", f.key, err))
			}
		}
	}
}

// setText sets a scalar from its text.
func setText(v reflect.Value, s string) error {
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(s))
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(s)
	case reflect.Bool:
		b, err := strconv.ParseBool(s)
		if err != nil {
			return fmt.Errorf("want true or false")
		}
		v.SetBool(b)
	case reflect.Int:
		n, err := strconv.ParseInt(s, 10, v.Type().Bits())
		if err != nil {
			return fmt.Errorf("want a whole number")
		}
		v.SetInt(n)
	default:
		return fmt.Errorf("no text for %s", v.Type())
	}
	return nil
}

// value decodes n into v, which holds its default.
func (d *decoder) value(path string, n *node, v reflect.Value, f field) {
	d.problems.places[path] = n.at
	if v.Kind() == reflect.Pointer {
		if n.kind == null {
			d.problems.add(n.at, path, "has no value: leave the key out, or give it one")
			return
		}
		made := reflect.New(v.Type().Elem())
		setDefaults(made.Elem())
		d.value(path, n, made.Elem(), f)
		v.Set(made)
		return
	}
	if _, scalar := v.Addr().Interface().(encoding.TextUnmarshaler); scalar {
		d.scalar(path, n, v, f)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.structure(path, n, v)
	case reflect.Map:
		d.named(path, n, v)
	case reflect.Slice:
		d.list(path, n, v, f)
	default:
		d.scalar(path, n, v, f)
	}
}

// structure decodes a mapping, or the short form of what has one.
func (d *decoder) structure(path string, n *node, v reflect.Value) {
	if short, ok := v.Addr().Interface().(shortForm); ok && n.kind == text {
		if err := short.fromText(n.text); err != nil {
			d.problems.add(n.at, path, err.Error())
		}
		d.problems.short[path] = true
		return
	}
	if n.kind != mapping && n.kind != null {
		d.problems.add(n.at, path, "want a mapping of keys to values, found "+describe(n))
		return
	}
	known := fields(v.Type())
	given := map[string]bool{}
	for _, e := range n.entries {
		at := join(path, e.key)
		i := slices.IndexFunc(known, func(f field) bool { return f.key == e.key })
		if i < 0 {
			d.problems.add(e.at, at, unknownKey(e.key, known))
			continue
		}
		given[e.key] = true
		d.problems.keys[at] = e.at
		d.value(at, e.value, v.FieldByIndex(known[i].index), known[i])
	}
	for _, f := range known {
		if f.required && !given[f.key] {
			d.problems.add(n.at, join(path, f.key), "is missing")
		}
	}
}

// named decodes a mapping of names to things.
func (d *decoder) named(path string, n *node, v reflect.Value) {
	if n.kind == null {
		return
	}
	if n.kind != mapping {
		d.problems.add(n.at, path, "want a mapping of names to values, found "+describe(n))
		return
	}
	v.Set(reflect.MakeMapWithSize(v.Type(), len(n.entries)))
	for _, e := range n.entries {
		at := join(path, e.key)
		d.problems.keys[at] = e.at
		if !validName(e.key) {
			d.problems.addError(e.at, at, errName.Error(), nil)
		}
		element := reflect.New(v.Type().Elem()).Elem()
		setDefaults(element)
		d.value(at, e.value, element, field{})
		if e.value.kind == null { // its keys are missing from the name's own place
			d.problems.places[at] = e.at
		}
		v.SetMapIndex(reflect.ValueOf(e.key), element)
	}
}

// list decodes a list.
func (d *decoder) list(path string, n *node, v reflect.Value, f field) {
	switch {
	case n.kind != sequence && n.kind != null:
		d.problems.add(n.at, path, "want a list, found "+describe(n))
		return
	case f.required && len(n.items) == 0:
		d.problems.add(n.at, path, "the list is empty: want at least one")
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.items), len(n.items)))
	for i, item := range n.items {
		element := v.Index(i)
		if element.Kind() == reflect.Struct {
			setDefaults(element)
		}
		d.value(fmt.Sprintf("%s[%d]", path, i), item, element, field{format: f.format, required: true})
	}
}

// scalar decodes text, numbers, booleans, durations and sizes.
func (d *decoder) scalar(path string, n *node, v reflect.Value, f field) {
	if message := wrongKind(n, v); message != "" {
		d.problems.add(n.at, path, message)
		return
	}
	if err := setText(v, n.text); err != nil {
		d.problems.add(n.at, path, fmt.Sprintf("%v, found %s", err, describe(n)))
		return
	}
	switch {
	case v.Kind() == reflect.String:
		d.text(path, n, v, f)
	case v.Kind() != reflect.Bool:
		if message := outOfRange(v, f); message != "" {
			d.problems.add(n.at, path, message)
		}
	}
}

// text checks a text against what its tags say and makes file names absolute.
func (d *decoder) text(path string, n *node, v reflect.Value, f field) {
	s := v.String()
	switch {
	case s == "" && (f.required || f.format != "" || f.enum != nil):
		d.problems.add(n.at, path, "is empty")
	case f.enum != nil && !slices.Contains(f.enum, s):
		d.problems.add(n.at, path, fmt.Sprintf("want %s, found %q%s", alternatives(f.enum), clip(s), didYouMean(s, f.enum)))
	case f.format == formatFile || f.format == formatFolder:
		if strings.ContainsRune(s, 0) {
			d.problems.add(n.at, path, "a file name cannot hold a zero byte")
		} else if !filepath.IsAbs(s) {
			v.SetString(filepath.Join(d.base, s))
		}
	case f.format != "":
		if err := checkFormat(f.format, s); err != nil {
			d.problems.add(n.at, path, err.Error())
		}
	}
}

// wrongKind says what is wrong where the node's kind does not fit the value; a value may be quoted where the text in the
// quotes cannot be mistaken for something else.
func wrongKind(n *node, v reflect.Value) string {
	_, quantity := v.Addr().Interface().(encoding.TextUnmarshaler)
	switch {
	case n.kind == null:
		return "has no value: leave the key out, or give it one"
	case quantity && v.Type() == reflect.TypeFor[Duration]() && n.kind == integer && n.text != "0":
		return fmt.Sprintf(`the duration %s has no unit: want "%ss" for seconds`, n.text, n.text)
	case quantity && (n.kind == text || n.kind == integer):
		return ""
	case quantity:
		return setText(v, "?").Error() + ", found " + describe(n)
	case v.Kind() == reflect.String && n.kind != text && n.kind != sequence && n.kind != mapping:
		return fmt.Sprintf("want text, found %s: put it in quotes", describe(n))
	case v.Kind() == reflect.String && n.kind != text:
		return "want text, found " + describe(n)
	case v.Kind() == reflect.Bool && n.kind != boolean:
		return "want true or false, found " + describe(n)
	case v.Kind() == reflect.Int && n.kind != integer:
		return "want a whole number, found " + describe(n)
	}
	return ""
}

// outOfRange compares a number, duration or size with the bounds of its tags.
func outOfRange(v reflect.Value, f field) string {
	for _, bound := range []struct {
		text, words string
		wrong       func(value, bound int64) bool
	}{
		{f.min, "at least", func(value, bound int64) bool { return value < bound }},
		{f.max, "at most", func(value, bound int64) bool { return value > bound }},
	} {
		if bound.text == "" {
			continue
		}
		limit := reflect.New(v.Type()).Elem()
		if err := setText(limit, bound.text); err != nil {
			panic(fmt.Sprintf("config: bound of %s: %v", f.key, err))
		}
		if bound.wrong(v.Int(), limit.Int()) {
			return fmt.Sprintf("want %s %v, found %v", bound.words, limit.Interface(), v.Interface())
		}
	}
	return ""
}

// join appends a key to a path. A key that would read as more than one is quoted.
func join(path, key string) string {
	switch {
	case strings.ContainsAny(key, ".[]\"\n") || key == "":
		return path + "[" + strconv.Quote(clip(key)) + "]"
	case path == "":
		return clip(key)
	}
	return path + "." + clip(key)
}

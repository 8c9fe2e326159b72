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

// setDefaults gives every field of a struct, and of the structs in it, its default. Tags are the program's own: one that
// does not parse is a bug and panics.
func setDefaults(v reflect.Value) {
	for _, f := range Keys(v.Type()) {
		target := v.FieldByIndex(f.index)
		if target.Kind() == reflect.Struct {
			setDefaults(target)
		} else if f.Default != "" {
			if err := setText(target, f.Default); err != nil {
				panic(fmt.Sprintf("config: default of %s: %v", f.Name, err))
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
func (d *decoder) value(path string, n *node, v reflect.Value, f Key) {
	d.problems.places[path] = n.at
	if n.broken {
		d.problems.failed[path] = true
		return
	}
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
		return
	}
	if n.kind != mapping && v.Type() == reflect.TypeFor[Secret]() {
		d.problems.add(n.at, path, "a secret cannot stand in this file: name the file or the env variable that holds it") // not repeated
		return
	}
	if n.kind != mapping && n.kind != null {
		d.problems.add(n.at, path, "want a mapping of keys to values, found "+describe(n))
		return
	}
	known := Keys(v.Type())
	given := map[string]bool{}
	for _, e := range n.entries {
		at := join(path, e.key)
		i := slices.IndexFunc(known, func(f Key) bool { return f.Name == e.key })
		if i < 0 {
			d.problems.add(e.at, at, unknownKey(e.key, known))
			continue
		}
		given[e.key] = true
		d.problems.keys[at] = e.at
		d.value(at, e.value, v.FieldByIndex(known[i].index), known[i])
	}
	for _, f := range known {
		if f.Required && !given[f.Name] {
			d.problems.add(n.at, join(path, f.Name), "is missing")
		}
	}
	d.choice(path, n, known, given)
}

// choice asks for exactly one of the keys that exclude each other.
func (d *decoder) choice(path string, n *node, known []Key, given map[string]bool) {
	var choices, found []string
	for _, f := range known {
		if f.Choice {
			choices = append(choices, f.Name)
			if given[f.Name] {
				found = append(found, f.Name)
			}
		}
	}
	switch {
	case len(choices) == 0 || len(found) == 1:
	case len(found) == 0:
		d.problems.add(n.at, path, "want exactly one of "+strings.Join(choices, ", ")+"; there is none")
	default:
		d.problems.add(n.at, path, "want exactly one of "+strings.Join(choices, ", ")+"; found "+strings.Join(found, " and "))
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
		d.value(at, e.value, element, Key{})
		if e.value.kind == null { // its keys are missing from the name's own place
			d.problems.places[at] = e.at
		}
		v.SetMapIndex(reflect.ValueOf(e.key), element)
	}
}

// list decodes a list.
func (d *decoder) list(path string, n *node, v reflect.Value, f Key) {
	switch {
	case n.kind != sequence && n.kind != null:
		d.problems.add(n.at, path, "want a list, found "+describe(n))
		return
	case f.Required && len(n.items) == 0:
		d.problems.add(n.at, path, "the list is empty: want at least one")
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.items), len(n.items)))
	for i, item := range n.items {
		element := v.Index(i)
		if element.Kind() == reflect.Struct {
			setDefaults(element)
		}
		d.value(fmt.Sprintf("%s[%d]", path, i), item, element, Key{Format: f.Format, Required: true})
	}
}

// scalar decodes text, numbers, booleans, durations and sizes.
func (d *decoder) scalar(path string, n *node, v reflect.Value, f Key) {
	bare := f.Enum != nil && (n.kind == float || n.kind == integer) // a word that looks like a number, such as a TLS version
	if message := wrongKind(n, v); message != "" && !bare {
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
func (d *decoder) text(path string, n *node, v reflect.Value, f Key) {
	s := v.String()
	switch {
	case s == "" && (f.Required || f.Format != "" || f.Enum != nil):
		d.problems.add(n.at, path, "is empty")
	case f.Enum != nil && !slices.Contains(f.Enum, s):
		d.problems.add(n.at, path, fmt.Sprintf("want %s, found %q%s", alternatives(f.Enum), clip(s), didYouMean(s, f.Enum)))
	case f.Format == FormatFile || f.Format == FormatFolder:
		if strings.ContainsRune(s, 0) {
			d.problems.add(n.at, path, "a file name cannot hold a zero byte")
		} else if !filepath.IsAbs(s) {
			v.SetString(filepath.Join(d.base, s))
		}
	case f.Format != "":
		if err := checkFormat(f.Format, s); err != nil {
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
func outOfRange(v reflect.Value, f Key) string {
	for _, bound := range []struct {
		text, words string
		wrong       func(value, bound int64) bool
	}{
		{f.Min, "at least", func(value, bound int64) bool { return value < bound }},
		{f.Max, "at most", func(value, bound int64) bool { return value > bound }},
	} {
		if bound.text == "" {
			continue
		}
		limit := reflect.New(v.Type()).Elem()
		if err := setText(limit, bound.text); err != nil {
			panic(fmt.Sprintf("config: bound of %s: %v", f.Name, err))
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

package config

import (
	"bytes"
	"encoding"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Changes says in words what differs between two configurations, in the order of the file's sections and by name in
// them: "web farm shop: member a added", "web listener public: address :80 → :81". A certificate, key or authority file
// with new content is a change. Secrets are named and never shown. Nothing differs when the list is empty.
func Changes(old, new *Config) []string {
	c := &comparer{}
	c.structure("", reflect.ValueOf(old).Elem(), reflect.ValueOf(new).Elem())
	if old.source != nil && new.source != nil {
		for _, file := range slices.Sorted(maps.Keys(new.source.sums)) {
			if sum, known := old.source.sums[file]; known && sum != new.source.sums[file] {
				c.list = append(c.list, "file "+file+": new content")
			}
		}
	}
	return c.list
}

type comparer struct{ list []string }

// say adds one change. A prefix that names a thing ends with ": ".
func (c *comparer) say(prefix, format string, args ...any) {
	c.list = append(c.list, prefix+fmt.Sprintf(format, args...))
}

func (c *comparer) structure(prefix string, old, new reflect.Value) {
	for _, f := range Keys(old.Type()) {
		c.value(prefix, f.Name, old.FieldByIndex(f.index), new.FieldByIndex(f.index))
	}
}

// value compares the values of one key.
func (c *comparer) value(prefix, key string, old, new reflect.Value) {
	name := strings.ReplaceAll(key, "_", " ")
	_, quantity := old.Interface().(encoding.TextMarshaler)
	switch {
	case old.Type() == reflect.TypeFor[*Secret]():
		c.secret(prefix, name, old.Interface().(*Secret), new.Interface().(*Secret))
	case old.Kind() == reflect.Pointer && old.IsNil() && new.IsNil():
	case old.Kind() == reflect.Pointer && old.IsNil():
		c.say(prefix, "%s added", name)
	case old.Kind() == reflect.Pointer && new.IsNil():
		c.say(prefix, "%s removed", name)
	case old.Kind() == reflect.Pointer:
		c.structure(deeper(prefix, name), old.Elem(), new.Elem())
	case old.Kind() == reflect.Struct && !quantity:
		c.structure(deeper(prefix, name), old, new)
	case old.Kind() == reflect.Map:
		c.named(prefix, noun(key), old, new)
	case old.Kind() == reflect.Slice && old.Type().Elem().Kind() == reflect.Struct:
		c.items(prefix, noun(key), old, new)
	case old.Kind() == reflect.Slice:
		if a, b := listText(old), listText(new); a != b {
			c.say(prefix, "%s %s → %s", name, a, b)
		}
	case old.Interface() != new.Interface():
		c.say(prefix, "%s %s → %s", name, shown(old), shown(new))
	}
}

func (c *comparer) secret(prefix, name string, old, new *Secret) {
	switch {
	case old == nil && new == nil:
	case old == nil:
		c.say(prefix, "%s added", name)
	case new == nil:
		c.say(prefix, "%s removed", name)
	case old.File != new.File || old.Env != new.Env:
		c.say(prefix, "%s %v → %v", name, old, new)
	case !bytes.Equal(old.value, new.value):
		c.say(prefix, "%s changed", name)
	}
}

// named compares things by their names.
func (c *comparer) named(prefix, noun string, old, new reflect.Value) {
	all := map[string]bool{}
	for _, m := range []reflect.Value{old, new} {
		for _, name := range m.MapKeys() {
			all[name.String()] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		a, b := old.MapIndex(reflect.ValueOf(name)), new.MapIndex(reflect.ValueOf(name))
		c.pair(prefix, noun+" "+name, a, b)
	}
}

// items compares the items of a list: by their Name where they have one, else by their number.
func (c *comparer) items(prefix, noun string, old, new reflect.Value) {
	a, aNames := byName(old)
	b, bNames := byName(new)
	var kept []string
	for _, name := range aNames {
		if b[name].IsValid() {
			kept = append(kept, name)
		}
		c.pair(prefix, noun+" "+name, a[name], b[name])
	}
	for _, name := range bNames {
		if !a[name].IsValid() {
			c.pair(prefix, noun+" "+name, reflect.Value{}, b[name])
		}
	}
	bKept := slices.DeleteFunc(bNames, func(name string) bool { return !a[name].IsValid() })
	if !slices.Equal(kept, bKept) {
		c.say(prefix, "%ss in another order", noun)
	}
}

// byName returns the items of a list by name, and the names in order.
func byName(list reflect.Value) (map[string]reflect.Value, []string) {
	items, names := map[string]reflect.Value{}, []string(nil)
	for i := range list.Len() {
		name := fmt.Sprintf("number %d", i+1)
		if f := list.Index(i).FieldByName("Name"); f.IsValid() && f.String() != "" {
			name = f.String()
		}
		items[name] = list.Index(i)
		names = append(names, name)
	}
	return items, names
}

// pair compares a thing that may be missing on either side.
func (c *comparer) pair(prefix, what string, old, new reflect.Value) {
	switch {
	case !old.IsValid():
		c.say(prefix, "%s added", what)
	case !new.IsValid():
		c.say(prefix, "%s removed", what)
	default:
		c.structure(deeper(prefix, what), old, new)
	}
}

// deeper extends a prefix: "web farm shop: " for a thing, "web farm shop: retry " for what stands in it.
func deeper(prefix, name string) string {
	if prefix == "" {
		return name + ": "
	}
	return prefix + name + " "
}

// noun is what one thing in a section is called.
func noun(key string) string {
	if key == "processes" {
		return "watched process"
	}
	return strings.TrimSuffix(strings.ReplaceAll(key, "_", " "), "s")
}

func shown(v reflect.Value) string {
	if s := fmt.Sprint(v.Interface()); s != "" {
		return s
	}
	return "(none)"
}

func listText(v reflect.Value) string {
	if v.Len() == 0 {
		return "(none)"
	}
	items := make([]string, v.Len())
	for i := range items {
		items[i] = fmt.Sprint(v.Index(i).Interface())
	}
	return strings.Join(items, ", ")
}

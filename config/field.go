package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// envPrefix precedes every environment variable that the configuration reads.
const envPrefix = "WEIR_"

// field is one key of the configuration, as read from Config's tags.
type field struct {
	key      string // dotted YAML path: kafka.tls.ca_file
	flag     string // flag name; empty for secrets, which a process list would show
	env      string
	doc      string
	fallback string // default, as written in the tag
	enum     []string
	secret   bool
	index    []int // path of the field in Config
}

// section is a key that holds other keys.
type section struct {
	key, doc string
}

// schema is the set of all keys, in the order of the struct.
type schema struct {
	fields   []field
	byKey    map[string]*field
	sections []section
}

// newSchema reads the tags. It allocates little and is called once per Load, so
// there is no shared copy to guard.
func newSchema() *schema {
	s := &schema{byKey: map[string]*field{}}
	s.add(reflect.TypeFor[Config](), "", nil)
	for i := range s.fields {
		s.byKey[s.fields[i].key] = &s.fields[i]
	}
	return s
}

func (s *schema) add(t reflect.Type, prefix string, index []int) {
	for i := range t.NumField() {
		sf := t.Field(i)
		name := sf.Tag.Get("yaml")
		if name == "" {
			continue
		}
		key := prefix + name
		path := append(slices.Clone(index), i)
		if sf.Type.Kind() == reflect.Struct && sf.Type != reflect.TypeFor[Secret]() {
			s.sections = append(s.sections, section{key: key, doc: sf.Tag.Get("doc")})
			s.add(sf.Type, key+".", path)
			continue
		}
		f := field{
			key: key, index: path,
			flag:     strings.ReplaceAll(key, "_", "-"),
			env:      envPrefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_")),
			doc:      sf.Tag.Get("doc"),
			fallback: sf.Tag.Get("default"),
			secret:   sf.Tag.Get("secret") == "true",
		}
		if flag := sf.Tag.Get("flag"); flag != "" {
			f.flag = flag
		}
		if f.secret {
			f.flag = ""
		}
		if enum := sf.Tag.Get("enum"); enum != "" {
			f.enum = strings.Split(enum, ",")
		}
		s.fields = append(s.fields, f)
	}
}

// children are the names that may stand directly under a section, "" for the top.
func (s *schema) children(parent string) []string {
	prefix := ""
	if parent != "" {
		prefix = parent + "."
	}
	var names []string
	for _, f := range s.fields {
		rest, ok := strings.CutPrefix(f.key, prefix)
		if !ok {
			continue
		}
		name, _, _ := strings.Cut(rest, ".")
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// isSection reports whether a key holds other keys.
func (s *schema) isSection(key string) bool {
	return slices.ContainsFunc(s.sections, func(x section) bool { return x.key == key })
}

// value is the field of c that f describes.
func (f *field) value(c *Config) reflect.Value {
	return reflect.ValueOf(c).Elem().FieldByIndex(f.index)
}

// isList reports whether the key takes several values.
func (f *field) isList() bool { return f.value(new(Config)).Kind() == reflect.Slice }

// typeName says what the key takes, for messages and flag help.
func (f *field) typeName() string {
	switch f.value(new(Config)).Interface().(type) {
	case bool:
		return "bool"
	case int:
		return "int"
	case float64:
		return "number"
	case time.Duration:
		return "duration"
	case Size:
		return "size"
	case []string:
		return "list"
	}
	return "string"
}

// wants says in words what a value of the key looks like.
func (f *field) wants() string {
	switch f.typeName() {
	case "bool":
		return "true or false"
	case "int":
		return "a whole number"
	case "number":
		return "a number"
	case "duration":
		return "a duration such as 15ms or 24h"
	case "size":
		return "a size such as 64MiB"
	case "list":
		return "a list"
	}
	return "text"
}

// set parses texts into the field: one text for scalars, any number for lists.
// The error does not repeat a secret.
func (f *field) set(c *Config, texts []string) error {
	v := f.value(c)
	if f.isList() {
		for _, text := range texts {
			if err := f.checkEnum(text); err != nil {
				return err
			}
			if text == "" {
				return errors.New("list has an empty entry")
			}
		}
		v.Set(reflect.ValueOf(slices.Clone(texts)))
		return nil
	}
	if len(texts) != 1 {
		return fmt.Errorf("want one value, got %d", len(texts))
	}
	parsed, err := f.parse(v.Interface(), texts[0])
	if err != nil {
		return err
	}
	v.Set(reflect.ValueOf(parsed))
	return nil
}

// parse reads text as the type of old.
func (f *field) parse(old any, text string) (any, error) {
	switch old.(type) {
	case string:
		return text, f.checkEnum(text)
	case Secret:
		return NewSecret(text), nil
	case bool:
		switch text {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
		return nil, fmt.Errorf("want %s, got %q", f.wants(), text)
	case int:
		n, err := strconv.ParseInt(text, 0, 0)
		if err != nil {
			return nil, fmt.Errorf("want %s, got %q", f.wants(), text)
		}
		return int(n), nil
	case float64:
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("want %s, got %q", f.wants(), text)
		}
		return n, nil
	case time.Duration:
		d, err := time.ParseDuration(text)
		if err != nil {
			return nil, fmt.Errorf("want %s, got %q", f.wants(), text)
		}
		return d, nil
	case Size:
		return ParseSize(text)
	}
	return nil, fmt.Errorf("key has unsupported type %T", old)
}

func (f *field) checkEnum(text string) error {
	if f.enum == nil || slices.Contains(f.enum, text) {
		return nil
	}
	err := fmt.Errorf("want one of %s, got %q", strings.Join(f.enum, ", "), text)
	if near := suggest(text, f.enum); near != "" {
		err = fmt.Errorf("%w; did you mean %q?", err, near)
	}
	return err
}

// splitList splits the comma-separated form that flags, environment variables
// and default tags use. The empty text is the empty list.
func splitList(text string) []string {
	if text == "" {
		return nil
	}
	parts := strings.Split(text, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}

// setText sets the field from its one-line form.
func (f *field) setText(c *Config, text string) error {
	if f.isList() {
		return f.set(c, splitList(text))
	}
	return f.set(c, []string{text})
}

// Default is the configuration without file, flags and environment.
func Default() *Config {
	c := &Config{origins: map[string]Origin{}}
	for _, f := range newSchema().fields {
		if f.fallback == "" {
			continue
		}
		if err := f.setText(c, f.fallback); err != nil {
			panic("config: default of " + f.key + ": " + err.Error()) //nolint:forbidigo // a wrong tag in this package; a test reads them all
		}
	}
	return c
}

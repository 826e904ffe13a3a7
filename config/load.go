package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// flagValue keeps what was given on the command line until Load reads it. Its
// own Config exists only to refuse a value as soon as it is parsed.
type flagValue struct {
	field *field
	texts []string
	given bool
}

// Set takes one occurrence of the flag; occurrences of a list add up.
func (v *flagValue) Set(text string) error {
	texts := []string{text}
	if v.field.isList() {
		texts = splitList(text)
		if v.given {
			texts = append(slices.Clone(v.texts), texts...)
		}
	}
	if err := v.field.set(new(Config), texts); err != nil {
		return err
	}
	v.texts, v.given = texts, true
	return nil
}

// String is the value as it would be given, or the default.
func (v *flagValue) String() string {
	if v.field == nil { // pflag asks the zero value
		return ""
	}
	if !v.given {
		return v.field.fallback
	}
	return strings.Join(v.texts, ",")
}

// Type names what the flag takes in the help text.
func (v *flagValue) Type() string { return v.field.typeName() }

// BindFlags adds a flag for every key that is not a secret. Load reads them; a
// flag that was not given leaves the environment, the file or the default.
func BindFlags(fs *pflag.FlagSet) {
	s := newSchema()
	for i := range s.fields {
		f := &s.fields[i]
		if f.flag == "" {
			continue
		}
		usage := f.doc
		if f.enum != nil {
			usage += " One of " + strings.Join(f.enum, ", ") + "."
		}
		flag := fs.VarPF(&flagValue{field: f}, f.flag, "", usage)
		if f.typeName() == "bool" {
			flag.NoOptDefVal = "true"
		}
	}
}

// Load reads the configuration and validates it. Path names the YAML file, ""
// for none; flags are those of BindFlags after parsing, nil for none; env looks
// up an environment variable (os.LookupEnv), nil for none. An environment
// variable that is set but empty counts as not set, because that is how compose
// files and unit files pass on what was not given.
//
// The error joins everything that is wrong, each an *Error.
func Load(path string, flags *pflag.FlagSet, env func(string) (string, bool)) (*Config, error) {
	s, c, found := newSchema(), Default(), new(problems)
	if path != "" {
		data, err := readFile(path)
		if err != nil {
			return nil, &Error{Origin: Origin{source: fromFile, name: path}, Err: fmt.Errorf("reading configuration: %w", err)}
		}
		r := &fileReader{schema: s, config: c, name: filepath.ToSlash(path), found: found}
		r.read(data)
	}
	for i := range s.fields {
		f := &s.fields[i]
		if env != nil {
			if text, ok := env(f.env); ok && text != "" {
				c.override(f, splitFor(f, text), Origin{source: fromEnv, name: f.env}, found)
			}
		}
		if flags == nil || f.flag == "" {
			continue
		}
		if flag := flags.Lookup(f.flag); flag != nil && flag.Changed {
			if v, ok := flag.Value.(*flagValue); ok {
				c.override(f, v.texts, Origin{source: fromFlag, name: f.flag}, found)
			}
		}
	}
	c.readSecrets(s, found)
	if len(found.list) == 0 {
		c.validate(found)
	}
	if err := found.err(); err != nil {
		return nil, err
	}
	return c, nil
}

func splitFor(f *field, text string) []string {
	if f.isList() {
		return splitList(text)
	}
	return []string{text}
}

// override sets a key from the environment or a flag.
func (c *Config) override(f *field, texts []string, o Origin, found *problems) {
	if err := f.set(c, texts); err != nil {
		found.add(o, f.key, err)
		return
	}
	c.origins[f.key] = o
}

// readSecrets fills each secret from its _file key, unless the secret itself
// was given by something that wins over where the _file key came from.
func (c *Config) readSecrets(s *schema, found *problems) {
	for i := range s.fields {
		f := &s.fields[i]
		if !f.secret {
			continue
		}
		file := s.byKey[f.key+"_file"]
		path := file.value(c).String()
		if path == "" {
			continue
		}
		here, there := c.origins[f.key], c.origins[file.key]
		if here.source > there.source {
			continue
		}
		if here.source == there.source {
			found.add(there, file.key, fmt.Errorf("given together with %s; keep one", f.env))
			continue
		}
		data, err := readFile(path)
		// Line breaks and spaces around a secret are the editor's, not part of it.
		text := strings.TrimSpace(string(data))
		if err == nil && text == "" {
			err = errors.New(path + " is empty")
		}
		if err != nil {
			found.add(there, file.key, fmt.Errorf("reading secret: %w", err))
			continue
		}
		if err := f.set(c, []string{text}); err != nil {
			found.add(there, file.key, err)
			continue
		}
		c.origins[f.key] = there
	}
}

// UnknownEnv lists the variables of environ ("NAME=value", as os.Environ gives
// them) that start with WEIR_ and that no key reads, each as a sentence for the
// log. A misspelt variable cannot be refused, because other programs may use the
// prefix, but it should not be silent either. Names in known are left out.
func UnknownEnv(environ []string, known ...string) []string {
	known = slices.Clone(known)
	for _, f := range newSchema().fields {
		known = append(known, f.env)
	}
	// Compared without the prefix, which would make any two names look alike.
	tails := make([]string, len(known))
	for i, name := range known {
		tails[i] = strings.TrimPrefix(name, envPrefix)
	}
	var notes []string
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, envPrefix) || slices.Contains(known, name) {
			continue
		}
		note := "environment variable " + name + " is not a key of the configuration"
		if near := suggest(strings.TrimPrefix(name, envPrefix), tails); near != "" {
			note += "; did you mean " + envPrefix + near + "?"
		}
		notes = append(notes, note)
	}
	slices.Sort(notes)
	return notes
}

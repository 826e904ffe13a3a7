package config

import (
	"errors"
	"fmt"
	"slices"
)

// source ranks where a value came from; a higher one wins.
type source int

const (
	fromDefault source = iota
	fromFile
	fromEnv
	fromFlag
)

// Origin is where a value came from. The zero Origin is the default.
type Origin struct {
	source source
	name   string // file path, environment variable or flag
	line   int    // in the file, from 1; 0 when the file as a whole is meant
}

// String is the place as an operator would look it up: "weir.yml:12", "env
// WEIR_TENANT", "flag --tenant" or "default".
func (o Origin) String() string {
	switch o.source {
	case fromFile:
		if o.line == 0 {
			return o.name
		}
		return fmt.Sprintf("%s:%d", o.name, o.line)
	case fromEnv:
		return "env " + o.name
	case fromFlag:
		return "flag --" + o.name
	}
	return "default"
}

// Origin says where a key's value came from. The key is the dotted YAML path.
func (c *Config) Origin(key string) Origin { return c.origins[key] }

// Error is one thing wrong with a configuration: which key, where it was given
// and what is the matter. Key is empty when the file as a whole cannot be read.
// The error of Load and Validate joins all that were found; errors.As finds one.
type Error struct {
	Origin Origin
	Key    string
	Err    error
}

// Error is "place: key: what is the matter".
func (e *Error) Error() string {
	if e.Key == "" {
		return fmt.Sprintf("%s: %v", e.Origin, e.Err)
	}
	return fmt.Sprintf("%s: %s: %v", e.Origin, e.Key, e.Err)
}

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.Err }

// problems collects what is wrong, to report all of it at once.
type problems struct{ list []*Error }

func (p *problems) add(o Origin, key string, err error) {
	p.list = append(p.list, &Error{Origin: o, Key: key, Err: err})
}

// err joins the problems, those of the file first and by line; nil without any.
func (p *problems) err() error {
	if len(p.list) == 0 {
		return nil
	}
	slices.SortStableFunc(p.list, func(a, b *Error) int {
		rank := func(e *Error) int {
			if e.Origin.source == fromFile {
				return e.Origin.line
			}
			return 1<<30 + int(e.Origin.source)
		}
		return rank(a) - rank(b)
	})
	joined := make([]error, len(p.list))
	for i, e := range p.list {
		joined[i] = e
	}
	return errors.Join(joined...)
}

package config

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

// Print writes the configuration as YAML: every key if effective, else only
// those that do not stand at their default. A comment behind each says where it
// came from. Secrets are written as comments with a placeholder, so that the
// output can be loaded again.
func (c *Config) Print(w io.Writer, effective bool) error {
	shown := func(f *field) bool {
		return effective || c.origins[f.key].source != fromDefault
	}
	return render(w, shown, func(p *printer, f *field) {
		origin := c.origins[f.key]
		if f.secret {
			if s, ok := f.value(c).Interface().(Secret); ok && s.IsSet() {
				p.line("# %s: %s # %s", p.name(f), s, origin)
			}
			return
		}
		p.line("%s: %s # %s", p.name(f), f.yamlText(c), origin)
	})
}

// Reference writes a YAML file that holds every key at its default, with what it
// means and how else to set it.
func Reference(w io.Writer) error {
	c := Default()
	const head = `# Every key of weir's configuration, at its default.
#
# A value is taken from the first of: flag, environment variable, this file,
# default. Keys left out keep their default; a key that is not listed here is an
# error. Durations are written as 15ms or 24h, sizes as 64MiB. Secrets are set by
# environment variable or by the _file key beside them, never in this file.
`
	if _, err := io.WriteString(w, head); err != nil {
		return fmt.Errorf("writing reference: %w", err)
	}
	first := map[string]bool{}
	all := func(*field) bool { return true }
	return render(w, all, func(p *printer, f *field) {
		if section := f.section(); first[section] || section == "" {
			p.blank()
		}
		first[f.section()] = true
		for _, line := range wrap(f.doc, 76-2*p.depth) {
			p.line("# %s", line)
		}
		if f.enum != nil {
			p.line("# one of: %s", strings.Join(f.enum, ", "))
		}
		if f.secret {
			p.line("# env %s", f.env)
			return
		}
		p.line("# flag --%s, env %s", f.flag, f.env)
		text := f.fallback
		if text == "" || f.isList() {
			text = f.yamlText(c)
		}
		p.line("%s: %s", p.name(f), text)
	})
}

// printer writes indented lines and keeps the first error.
type printer struct {
	w     io.Writer
	depth int
	err   error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, strings.Repeat("  ", p.depth)+format+"\n", args...)
	}
}

func (p *printer) blank() {
	if p.err == nil {
		_, p.err = io.WriteString(p.w, "\n")
	}
}

func (p *printer) name(f *field) string { return f.key[strings.LastIndexByte(f.key, '.')+1:] }

// render calls write for every shown field, and opens the sections they stand in.
func render(w io.Writer, shown func(*field) bool, write func(*printer, *field)) error {
	s := newSchema()
	p := &printer{w: w}
	var open []string // sections the previous field stood in
	for i := range s.fields {
		f := &s.fields[i]
		if !shown(f) {
			continue
		}
		path := strings.Split(f.key, ".")
		path = path[:len(path)-1]
		for depth := range path {
			if depth < len(open) && slices.Equal(open[:depth+1], path[:depth+1]) {
				continue
			}
			key := strings.Join(path[:depth+1], ".")
			p.depth = depth
			p.openSection(s, key, path[depth])
			open = nil // whatever was open below is another section's
		}
		open, p.depth = path, len(path)
		write(p, f)
	}
	if p.err != nil {
		return fmt.Errorf("writing configuration: %w", p.err)
	}
	return nil
}

func (p *printer) openSection(s *schema, key, name string) {
	p.blank()
	for _, section := range s.sections {
		if section.key == key {
			for _, line := range wrap(section.doc, 76-2*p.depth) {
				p.line("# %s", line)
			}
		}
	}
	p.line("%s:", name)
}

// section is the key of the section a field stands in, "" for the top.
func (f *field) section() string {
	return f.key[:max(0, strings.LastIndexByte(f.key, '.'))]
}

// yamlText is the field's value as YAML on one line.
func (f *field) yamlText(c *Config) string {
	switch v := f.value(c).Interface().(type) {
	case string:
		return quoted(v)
	case []string:
		parts := make([]string, len(v))
		for i, s := range v {
			parts[i] = quoted(s)
			if strings.ContainsAny(s, ",[]{}") {
				parts[i] = strconv.Quote(s)
			}
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case time.Duration:
		return formatDuration(v)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	default:
		return fmt.Sprint(v)
	}
}

// quoted is a string as YAML on one line, in quotes only where it needs them.
func quoted(s string) string {
	out, err := yaml.Marshal(s)
	text := strings.TrimSuffix(string(out), "\n")
	if err != nil || strings.Contains(text, "\n") {
		return strconv.Quote(s)
	}
	return text
}

// formatDuration is d without the zero parts that Duration.String leaves: 24h,
// not 24h0m0s.
func formatDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// wrap breaks text into lines of at most width bytes, between words.
func wrap(text string, width int) []string {
	var lines []string
	var line string
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case len(line)+1+len(word) > width:
			lines = append(lines, line)
			line = word
		default:
			line += " " + word
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

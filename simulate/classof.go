package simulate

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
)

// ClassOf tells the class of the benign clients behind a client key: of the
// authenticated calls, of the device that a person logs in from, of anonymous
// sessions. Where several classes share a key, it is the one that makes the
// most calls under it. The first call of ClassOf plays the benign part of the
// simulation once more from its beginning and keeps a map of all its keys; the
// stream of the Generator is not touched. It is false for keys that no benign
// client has.
func (g *Generator) ClassOf(key string) (Class, bool) {
	if g.classes == nil {
		g.classes = g.indexClasses()
	}
	c, ok := g.classes[key]
	return c, ok
}

// WriteClasses writes the class of every benign client key as NDJSON, in order
// of the keys: {"key": ..., "class": ..., "allowed": true}, the last for keys of
// Allowed only. Errors are those of w, wrapped.
func WriteClasses(w io.Writer, g *Generator) error {
	if g.classes == nil {
		g.classes = g.indexClasses()
	}
	allowed := make(map[string]bool)
	for _, k := range g.Allowed() {
		allowed[k] = true
	}
	out := bufio.NewWriter(w)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	for _, k := range slices.Sorted(maps.Keys(g.classes)) {
		line := struct {
			Key     string `json:"key"`
			Class   Class  `json:"class"`
			Allowed bool   `json:"allowed,omitempty"`
		}{k, g.classes[k], allowed[k]}
		if err := enc.Encode(&line); err != nil {
			return fmt.Errorf("writing class: %w", err)
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("writing class: %w", err)
	}
	return nil
}

func (g *Generator) indexClasses() map[string]Class {
	cfg := g.cfg
	cfg.Attacks = nil
	again, err := New(cfg)
	if err != nil {
		// The same Config has been accepted before.
		return map[string]Class{}
	}
	type holder struct {
		class Class
		calls int
		other map[Class]int // of keys that more than one class uses
	}
	holders := make(map[string]*holder)
	ev := schemas.NewEvent()
	var key []byte
	for len(again.queue) > 0 {
		class := again.agents[again.queue[0].agent].class
		again.Next(ev)
		key = features.AppendClientKey(key[:0], ev)
		h := holders[string(key)]
		if h == nil {
			h = &holder{class: class}
			holders[string(key)] = h
		}
		if h.class == class {
			h.calls++
			continue
		}
		if h.other == nil {
			h.other = make(map[Class]int)
		}
		h.other[class]++
	}
	out := make(map[string]Class, len(holders))
	order := Classes()
	for k, h := range holders {
		best, most := h.class, h.calls
		for _, c := range order {
			if n := h.other[c]; n > most {
				best, most = c, n
			}
		}
		out[k] = best
	}
	return out
}

// Allowed lists the client keys that an operator would put on an allow list,
// sorted: the registered robots (indexer), the health probes and the heartbeats
// of known applications. Detection is expected to leave them alone by
// configuration and not by their looks.
func (g *Generator) Allowed() []string {
	var keys []string
	for _, c := range g.Clients() {
		switch c.Class {
		case ClassIndexer, ClassProbe, ClassHeartbeat:
			keys = append(keys, c.Key)
		}
	}
	slices.Sort(keys)
	return keys
}

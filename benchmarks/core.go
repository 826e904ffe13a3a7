package benchmarks

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/scoring"
	"github.com/weir-dev/weir/simulate"
)

// corpus is simulated traffic in both encodings.
type corpus struct {
	json, proto [][]byte
	keys        [][]byte
	times       []int64
}

func newCorpus(n int) (*corpus, error) {
	cfg := simulate.DefaultConfig()
	cfg.Seed, cfg.Clients, cfg.Activity, cfg.Duration = 5, 4000, 4, 24*time.Hour
	g, err := simulate.New(cfg)
	if err != nil {
		return nil, err
	}
	c := &corpus{}
	ev := schemas.NewEvent()
	for len(c.json) < n && g.Next(ev) {
		c.json = append(c.json, ev.AppendJSON(nil))
		c.proto = append(c.proto, ev.AppendProto(nil))
		c.keys = append(c.keys, features.AppendClientKey(nil, ev))
		c.times = append(c.times, ev.Time)
	}
	return c, nil
}

// Codecs measures decoding of one event beside the standard library.
func Codecs(r *Results, n int) error {
	c, err := newCorpus(n)
	if err != nil {
		return err
	}
	n = len(c.json)
	ev := schemas.NewEvent()
	decode := func(f func(i int) error) (cost, error) {
		var failed error
		b := best(3, func() {
			for i := range n {
				if err := f(i); err != nil {
					failed = err
					return
				}
			}
		})
		return b, failed
	}
	var generic struct {
		Time, API, Route, Method, Path, User, Credential, ClientIP, UserAgent string
		Status                                                                int64
		RespBytes                                                             int64 `json:"resp_bytes"`
		DurationUS                                                            int64 `json:"duration_us"`
	}
	ref, err := decode(func(i int) error { return json.Unmarshal(c.json[i], &generic) })
	if err != nil {
		return fmt.Errorf("decoding with encoding/json: %w", err)
	}
	js, err := decode(func(i int) error { return ev.DecodeJSON(c.json[i]) })
	if err != nil {
		return fmt.Errorf("decoding JSON: %w", err)
	}
	pb, err := decode(func(i int) error { return ev.DecodeProto(c.proto[i]) })
	if err != nil {
		return fmt.Errorf("decoding Protobuf: %w", err)
	}
	const encodingJSON = "encoding/json into a struct of 12 fields"
	r.AddRatio("decode JSON", "CPU per event", js.microsPer(n), "us", encodingJSON, ref.microsPer(n))
	r.Add("decode JSON", "allocations per event", js.allocsPer(n), "")
	r.AddRatio("decode Protobuf", "CPU per event", pb.microsPer(n), "us", encodingJSON, ref.microsPer(n))
	r.Add("decode Protobuf", "allocations per event", pb.allocsPer(n), "")
	return nil
}

// kept collects encoded features.
type kept struct {
	features [][]byte
	marks    int
}

func (k *kept) Features(f *schemas.ClientFeatures) {
	k.features = append(k.features, f.AppendProto(nil))
}
func (k *kept) Aggregate(*schemas.Aggregate) { k.marks++ }

type ignored struct{}

func (ignored) Features(*schemas.ClientFeatures)  {}
func (ignored) Aggregate(*schemas.Aggregate)      {}
func (ignored) Verdict(*schemas.Verdict)          {}
func (ignored) Block(string, *schemas.BlockEntry) {}

// Core measures extraction and scoring in memory: what a call costs between the
// bytes read and the decision.
func Core(r *Results, n int) error {
	c, err := newCorpus(n)
	if err != nil {
		return err
	}
	n = len(c.json)
	model, err := scoring.Prior()
	if err != nil {
		return err
	}
	ev := schemas.NewEvent()
	apply := func(x *features.Extractor, out features.Emitter, shift int64) error {
		for i := range n {
			if err := ev.DecodeProto(c.proto[i]); err != nil {
				return err
			}
			x.Apply(ev, c.times[i]+shift, int64(i), out)
		}
		return nil
	}
	x, err := features.New(features.DefaultConfig())
	if err != nil {
		return err
	}
	// A first day fills the slots; the days after it are measured.
	k := &kept{}
	if err := apply(x, k, 0); err != nil {
		return err
	}
	day := int64(0)
	decodeOnly := best(3, func() {
		for i := range n {
			err = ev.DecodeProto(c.proto[i])
		}
	})
	if err != nil {
		return err
	}
	extract := best(3, func() {
		day += 24 * 3600 * 1_000_000
		err = apply(x, ignored{}, day)
	})
	if err != nil {
		return err
	}
	s, err := scoring.New(scoring.Config{Model: model, Policy: scoring.DefaultPolicy(), Clients: 100_000, Shards: 1})
	if err != nil {
		return err
	}
	var f schemas.ClientFeatures
	score := best(3, func() {
		for i, b := range k.features {
			if err = f.DecodeProto(b); err != nil {
				return
			}
			s.Features(&f, int64(i), ignored{})
		}
	})
	if err != nil {
		return err
	}
	perEvent := float64(len(k.features)) / float64(n)
	e := extract.microsPer(n) - decodeOnly.microsPer(n)
	sc := score.microsPer(n)
	r.Add("extract", "CPU per event", e, "us")
	r.Add("extract", "allocations per event", extract.allocsPer(n), "")
	r.Add("extract", "windows emitted per event", perEvent, "")
	r.Add("score", "CPU per event", sc, "us")
	r.Add("score", "CPU per window", score.microsPer(len(k.features)), "us")
	r.Add("score", "allocations per event", score.allocsPer(n), "")
	r.Add("extract + score", "CPU per event, Protobuf", decodeOnly.microsPer(n)+e+sc, "us")
	js := best(3, func() {
		for i := range n {
			err = ev.DecodeJSON(c.json[i])
		}
	})
	r.Add("extract + score", "CPU per event, JSON", js.microsPer(n)+e+sc, "us")
	return err
}

// Memory measures what a client costs to remember, extractor and scorer
// together, after clients have come evenly over ten minutes.
func Memory(r *Results, clients int) error {
	model, err := scoring.Prior()
	if err != nil {
		return err
	}
	debug.FreeOSMemory()
	before := resident()
	cfg := features.DefaultConfig()
	cfg.Clients = clients + clients/8 // shards fill unevenly
	x, err := features.New(cfg)
	if err != nil {
		return err
	}
	s, err := scoring.New(scoring.Config{Model: model, Policy: scoring.DefaultPolicy(), Clients: cfg.Clients, Shards: cfg.Shards, Seed: cfg.Seed})
	if err != nil {
		return err
	}
	both := &chained{s: s}
	ev := schemas.NewEvent()
	ev.API, ev.Method, ev.Route, ev.Path, ev.Status = []byte("bank"), []byte("GET"), []byte("/v1/accounts/{id}"), []byte("/v1/accounts/7"), 200
	start := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC).UnixMicro()
	var user []byte
	n := 0
	for pass := range 2 {
		for i := range clients {
			user = fmt.Appendf(user[:0], "u%08d", i)
			ev.User = user
			t := start + int64(pass)*600_000_000 + int64(float64(i)*600_000_000/float64(clients))
			x.Apply(ev, t, int64(n), both)
			n++
		}
	}
	x.Flush(both)
	held := x.Clients()
	debug.FreeOSMemory()
	after := resident()
	scenario := fmt.Sprintf("memory, %d clients", clients)
	r.Add(scenario, "resident, extract + score", float64(after-before)/(1<<20), "MiB")
	r.Add(scenario, "resident per client", float64(after-before)/float64(held), "bytes")
	r.Add(scenario, "clients held", float64(held), "")
	runtime.KeepAlive(x)
	runtime.KeepAlive(s)
	return nil
}

type chained struct{ s *scoring.Scorer }

func (c *chained) Features(f *schemas.ClientFeatures) { c.s.Features(f, 0, ignored{}) }
func (c *chained) Aggregate(*schemas.Aggregate)       {}

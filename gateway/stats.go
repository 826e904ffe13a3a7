package gateway

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Stats is a Blocklist at one moment.
type Stats struct {
	Ready bool `json:"ready"`
	// Blocks and Allows count entries in memory, networks included; expired ones
	// count until the next sweep.
	Blocks   int `json:"blocks"`
	Allows   int `json:"allows"`
	Networks int `json:"networks"` // of those, networks
	// TextBytes is what the entries hold, without the maps around them.
	TextBytes int64 `json:"text_bytes"`
	// Refused counts records that were not applied because they are malformed.
	Refused int64 `json:"refused"`
	// Rebuilds counts how often the list was read from its start again after Ready.
	Rebuilds int64 `json:"rebuilds"`
	// Bootstrap is how long the last read from the start took; 0 before the first.
	Bootstrap time.Duration `json:"bootstrap_ns"`
}

// Stats counts. It does not walk the entries.
func (b *Blocklist) Stats() Stats {
	s := b.live.Load()
	return Stats{
		Ready: b.IsReady(), Blocks: s.len(false), Allows: s.len(true),
		Networks:  s.networksLen(false) + s.networksLen(true),
		TextBytes: s.text.Load(), Refused: b.metrics.refusedTotal.Load(),
		Rebuilds:  b.metrics.rebuiltTotal.Load(),
		Bootstrap: time.Duration(b.metrics.bootstrap.Load()),
	}
}

// listMetrics are a Blocklist's counters. No label names a client.
type listMetrics struct {
	records, tombstones, otherTenant, outdated, expired, rebuilds prometheus.Counter

	refused *prometheus.CounterVec
	latency prometheus.Histogram

	refusedTotal atomic.Int64
	rebuiltTotal atomic.Int64
	bootstrap    atomic.Int64 // time.Duration
}

func newListMetrics(reg prometheus.Registerer, b *Blocklist) (*listMetrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "weir", Subsystem: "blocklist", Name: name, Help: help,
		})
	}
	gauge := func(name, help string, labels prometheus.Labels, f func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: "weir", Subsystem: "blocklist", Name: name, Help: help, ConstLabels: labels,
		}, f)
	}
	m := &listMetrics{
		records:     counter("records_total", "Records read from the blocklist topic."),
		tombstones:  counter("tombstones_total", "Tombstones applied."),
		otherTenant: counter("other_tenant_total", "Records of tenants that this follower does not serve."),
		outdated:    counter("outdated_total", "Conditional records ignored because something newer stood."),
		expired:     counter("expired_total", "Entries freed after their expiry."),
		rebuilds:    counter("rebuilds_total", "Times the list was read from its start again."),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "weir", Subsystem: "blocklist", Name: "refused_total",
			Help: "Malformed records that were not applied, by reason.",
		}, []string{"reason"}),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "weir", Subsystem: "blocklist", Name: "apply_latency_seconds",
			Help:    "Time from a record's timestamp until it is visible to lookups.",
			Buckets: []float64{.0005, .001, .002, .005, .01, .02, .05, .1, .25, .5, 1, 5},
		}),
	}
	kind := func(name string) prometheus.Labels { return prometheus.Labels{"kind": name} }
	return m, register(reg, m.records, m.tombstones, m.otherTenant, m.outdated, m.expired,
		m.rebuilds, m.refused, m.latency,
		gauge("entries", "Entries in memory.", kind("block"), func() float64 { return float64(b.live.Load().len(false)) }),
		gauge("entries", "Entries in memory.", kind("allow"), func() float64 { return float64(b.live.Load().len(true)) }),
		gauge("ready", "1 once the whole list has been read.", nil, func() float64 {
			if b.IsReady() {
				return 1
			}
			return 0
		}))
}

// register registers all or reports every error. A nil registerer takes none.
func register(reg prometheus.Registerer, cs ...prometheus.Collector) error {
	if reg == nil {
		return nil
	}
	var errs []error
	for _, c := range cs {
		errs = append(errs, reg.Register(c))
	}
	return errors.Join(errs...)
}

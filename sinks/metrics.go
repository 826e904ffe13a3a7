package sinks

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are those of one running sink. Labels are bounded: tables, reasons
// and codes, never partitions or clients.
type metrics struct {
	reg prometheus.Registerer
	all []prometheus.Collector

	rows, bytes, chunks, lost *prometheus.CounterVec
	skipped, retries          *prometheus.CounterVec
	seconds                   *prometheus.HistogramVec
}

func newMetrics(reg prometheus.Registerer, name string) *metrics {
	opts := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: "weir", Subsystem: "sink", Name: name, Help: help}
	}
	m := &metrics{
		rows:    prometheus.NewCounterVec(opts("rows_total", "Rows stored."), []string{"table"}),
		bytes:   prometheus.NewCounterVec(opts("bytes_total", "Bytes stored."), []string{"table"}),
		chunks:  prometheus.NewCounterVec(opts("chunks_total", "Chunks stored."), []string{"table"}),
		lost:    prometheus.NewCounterVec(opts("lost_records_total", "Offsets that retention removed before the sink read them."), []string{"table"}),
		skipped: prometheus.NewCounterVec(opts("skipped_total", "Records that are no row of history, by reason."), []string{"table", "reason"}),
		retries: prometheus.NewCounterVec(opts("retries_total", "Failed attempts that are repeated, by error class."), []string{"code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "weir", Subsystem: "sink", Name: "insert_seconds",
			Help:    "Time of one successful attempt to store a chunk.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"table"}),
	}
	if reg != nil {
		m.reg = prometheus.WrapRegistererWith(prometheus.Labels{"sink": name}, reg)
	}
	m.all = []prometheus.Collector{m.rows, m.bytes, m.chunks, m.lost, m.skipped, m.retries, m.seconds}
	return m
}

// register adds the metrics and the collector of the runner's gauges; the
// returned function takes them out again, so that a sink can be started anew in
// the same process.
func (m *metrics) register(gauges prometheus.Collector) (func(), error) {
	if m.reg == nil {
		return func() {}, nil
	}
	var done []prometheus.Collector
	undo := func() {
		for _, c := range done {
			m.reg.Unregister(c)
		}
	}
	var errs error
	for _, c := range append(m.all, gauges) {
		if err := m.reg.Register(c); err != nil {
			errs = errors.Join(errs, err)
			continue
		}
		done = append(done, c)
	}
	if errs != nil {
		undo()
		return nil, errs
	}
	return undo, nil
}

// lagCollector computes the gauges when they are asked for.
type lagCollector struct {
	r                    *runner
	records, seconds     *prometheus.Desc
	buffered, partitions *prometheus.Desc
}

func newLagCollector(r *runner) *lagCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("weir_sink_"+name, help, labels, nil)
	}
	return &lagCollector{
		r:          r,
		records:    desc("lag_records", "Offsets between what is stored and the end of the assigned partitions.", "table"),
		seconds:    desc("lag_seconds", "Age of the oldest record read and not yet stored.", "table"),
		buffered:   desc("buffered_bytes", "Bytes of records held in memory."),
		partitions: desc("partitions", "Partitions assigned to this sink."),
	}
}

// Describe implements prometheus.Collector.
func (l *lagCollector) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(l, ch) }

// Collect implements prometheus.Collector.
func (l *lagCollector) Collect(ch chan<- prometheus.Metric) {
	lag := l.r.lag()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for table, t := range lag.tables {
		gauge(l.records, float64(t.records), string(table))
		gauge(l.seconds, t.seconds, string(table))
	}
	gauge(l.buffered, float64(lag.bytes))
	gauge(l.partitions, float64(lag.partitions))
}

package stream

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// maxReasons bounds the label values of dead letters: a processor that puts
// data into its reasons must not grow the metrics without limit.
const maxReasons = 32

// metrics of one Run. Labels are bounded: group, topic, reason.
type metrics struct {
	reg prometheus.Registerer
	all []prometheus.Collector

	records         *prometheus.CounterVec
	commitSeconds   prometheus.Histogram
	aborts          prometheus.Counter
	sessionFailures prometheus.Counter
	processErrors   prometheus.Counter
	restores        prometheus.Counter
	reused          prometheus.Counter
	restoreSeconds  prometheus.Histogram
	replayed        prometheus.Counter
	incomplete      prometheus.Counter
	skipped         prometheus.Counter
	snapshotBytes   prometheus.Counter
	deadLetters     *prometheus.CounterVec
	lag             *lagCollector

	mu      sync.Mutex // covers reasons
	reasons map[string]bool
}

func newMetrics(reg prometheus.Registerer, group string) (*metrics, error) {
	m := &metrics{reasons: make(map[string]bool)}
	opts := func(name, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: "weir", Subsystem: "stream", Name: name, Help: help}
	}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts(opts(name, help)))
		m.all = append(m.all, c)
		return c
	}
	counterVec := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts(opts(name, help)), labels)
		m.all = append(m.all, c)
		return c
	}
	histogram := func(name, help string, start, factor float64, n int) prometheus.Histogram {
		o := opts(name, help)
		h := prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: o.Namespace, Subsystem: o.Subsystem, Name: o.Name, Help: o.Help,
			Buckets: prometheus.ExponentialBuckets(start, factor, n),
		})
		m.all = append(m.all, h)
		return h
	}
	m.records = counterVec("records_total", "Input records processed; those of rolled back commits count again.", "topic")
	m.commitSeconds = histogram("commit_seconds", "Time of a commit: flush, offsets, end of the transaction.", 0.001, 2, 14)
	m.aborts = counter("aborts_total", "Commits rolled back, mostly by a rebalance.")
	m.sessionFailures = counter("session_failures_total", "Sessions with the cluster that failed and were built anew.")
	m.processErrors = counter("process_errors_total", "Records the processor returned an error for.")
	m.restores = counter("restores_total", "Partition states rebuilt from snapshots and log.")
	m.reused = counter("restores_avoided_total", "Partition states kept over a rebalance because nothing had changed.")
	m.restoreSeconds = histogram("restore_seconds", "Time to rebuild the state of one partition.", 0.005, 2, 14)
	m.replayed = counter("replayed_records_total", "Input records replayed to rebuild states.")
	m.incomplete = counter("incomplete_restores_total", "Partition states rebuilt although records they need had been deleted from the log.")
	m.skipped = counter("skipped_records_total", "Input records deleted from the log before they were processed.")
	m.snapshotBytes = counter("snapshot_bytes_total", "Bytes of snapshots written.")
	m.deadLetters = counterVec("dead_letters_total", "Records refused by the processor.", "reason")
	m.lag = newLagCollector(time.Now)
	m.all = append(m.all, m.lag)

	if reg == nil {
		return m, nil
	}
	m.reg = prometheus.WrapRegistererWith(prometheus.Labels{"group": group}, reg)
	for i, c := range m.all {
		if err := m.reg.Register(c); err != nil {
			for _, done := range m.all[:i] {
				m.reg.Unregister(done)
			}
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) unregister() {
	if m.reg == nil {
		return
	}
	for _, c := range m.all {
		m.reg.Unregister(c)
	}
}

func (m *metrics) deadLetter(reason string) {
	m.mu.Lock()
	if !m.reasons[reason] {
		if len(m.reasons) < maxReasons {
			m.reasons[reason] = true
		} else {
			reason = "other"
		}
	}
	m.mu.Unlock()
	m.deadLetters.WithLabelValues(reason).Inc()
}

// lagCollector computes the lag of the owned partitions when it is scraped:
// a worker that is stuck must show a growing lag, which a gauge set by the
// worker would not.
type lagCollector struct {
	now             func() time.Time
	records         *prometheus.Desc
	seconds         *prometheus.Desc
	ownedPartitions *prometheus.Desc

	mu    sync.Mutex // covers parts and the entries in it
	parts map[topicPartition]*lagEntry
}

type topicPartition struct {
	topic     string
	partition int32
}

type lagEntry struct {
	next, end int64     // next record to process; end of the log as last fetched
	last      time.Time // timestamp of the last processed record
}

func newLagCollector(now func() time.Time) *lagCollector {
	return &lagCollector{
		now:             now,
		records:         prometheus.NewDesc("weir_stream_lag_records", "Records in the owned partitions not processed yet, as of the last fetch.", []string{"topic"}, nil),
		seconds:         prometheus.NewDesc("weir_stream_lag_seconds", "Age of the last processed record in the owned partition that is furthest behind; 0 when all are at the end.", []string{"topic"}, nil),
		ownedPartitions: prometheus.NewDesc("weir_stream_partitions", "Partitions owned.", []string{"topic"}, nil),
		parts:           make(map[topicPartition]*lagEntry),
	}
}

// update notes the position after a batch; end < 0 leaves it as it was.
func (c *lagCollector) update(tp topicPartition, next, end int64, last time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.parts[tp]
	if e == nil {
		e = &lagEntry{}
		c.parts[tp] = e
	}
	e.next, e.last = next, last
	e.end = max(e.end, end, next)
}

func (c *lagCollector) remove(tp topicPartition) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.parts, tp)
}

func (c *lagCollector) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.parts)
}

// Describe implements prometheus.Collector.
func (c *lagCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.records
	ch <- c.seconds
	ch <- c.ownedPartitions
}

// Collect implements prometheus.Collector.
func (c *lagCollector) Collect(ch chan<- prometheus.Metric) {
	type sum struct {
		records, partitions int64
		seconds             float64
	}
	sums := make(map[string]sum)
	now := c.now()
	c.mu.Lock()
	for tp, e := range c.parts {
		s := sums[tp.topic]
		s.partitions++
		if behind := e.end - e.next; behind > 0 {
			s.records += behind
			if !e.last.IsZero() {
				s.seconds = max(s.seconds, now.Sub(e.last).Seconds())
			}
		}
		sums[tp.topic] = s
	}
	c.mu.Unlock()
	for topic, s := range sums {
		ch <- prometheus.MustNewConstMetric(c.records, prometheus.GaugeValue, float64(s.records), topic)
		ch <- prometheus.MustNewConstMetric(c.seconds, prometheus.GaugeValue, s.seconds, topic)
		ch <- prometheus.MustNewConstMetric(c.ownedPartitions, prometheus.GaugeValue, float64(s.partitions), topic)
	}
}

package sinks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weir-dev/weir/schemas"
)

// Table names what a topic holds and where its rows go.
type Table string

// The tables of history.
const (
	TableEvents   Table = "events"
	TableFeatures Table = "features"
	TableVerdicts Table = "verdicts"
)

// Topics are the full names of the topics to consume; an empty one is left out.
type Topics struct{ Events, Features, Verdicts string }

// TopicsWithPrefix names the three topics under a prefix such as "weir.".
func TopicsWithPrefix(prefix string) Topics {
	return Topics{
		Events:   prefix + schemas.TopicEvents,
		Features: prefix + schemas.TopicFeatures,
		Verdicts: prefix + schemas.TopicVerdicts,
	}
}

func (t Topics) tables() map[string]Table {
	tables := make(map[string]Table, 3)
	for table, name := range map[Table]string{
		TableEvents: t.Events, TableFeatures: t.Features, TableVerdicts: t.Verdicts,
	} {
		if name != "" {
			tables[name] = table
		}
	}
	return tables
}

// Written is what one chunk became in the store.
type Written struct {
	Rows  int64
	Bytes int64 // file bytes for Parquet, decoded record bytes for ClickHouse
}

// Writer stores chunks. Calls for different partitions come concurrently, calls
// for one partition one after another.
//
// A chunk with the same Token may come again, with the same records, after a
// crash, a rebalance or an error: writing it again must leave its rows in the
// store exactly once. WriteChunk returns nil only when the rows will survive a
// crash of the process. A RetryError makes the runner repeat the same chunk; any
// other error stops the sink. The chunk belongs to the runner and must not be
// kept. WriteChunk returns promptly when ctx ends.
type Writer interface {
	WriteChunk(ctx context.Context, c *Chunk) (Written, error)
}

// Preparer is implemented by a Writer that must get the store ready (create
// tables, remove leftovers) before the first chunk. Its errors are classed like
// those of WriteChunk.
type Preparer interface {
	Prepare(ctx context.Context) error
}

// RetryError is a failure that time heals: a store that is away, overloaded or
// full. The same chunk is tried again with growing pauses.
type RetryError struct {
	// Code is a short class such as "network" or a ClickHouse error number. It
	// labels a metric, so the set of codes must be small.
	Code string
	Err  error
}

// Error implements error.
func (e *RetryError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *RetryError) Unwrap() error { return e.Err }

var (
	// ErrConfig says that a Config cannot be run.
	ErrConfig = errors.New("invalid sink configuration")
	// ErrOffsetsWentBack says that a partition gave offsets below what the sink
	// has already stored: the topic was truncated or created anew. Writing on
	// would mix two histories under the same offsets, so the sink stops; the
	// operator moves the old history away or resets the group.
	ErrOffsetsWentBack = errors.New("offsets went back")
)

// Clock is the time that chunk ages and retry pauses are measured with.
type Clock interface {
	Now() time.Time
	// After sends once when d has passed.
	After(d time.Duration) <-chan time.Time
}

type systemClock struct{}

func (systemClock) Now() time.Time                         { return time.Now() }
func (systemClock) After(d time.Duration) <-chan time.Time { return time.After(d) }

// Config describes one sink.
type Config struct {
	// Opts reach the brokers: seeds, TLS, SASL, client id, hooks. Options for the
	// group, the topics and offsets are set by Run.
	Opts   []kgo.Opt
	Topics Topics
	// Group is the consumer group; every sink needs its own. Required.
	Group string
	// Name labels metrics and log lines. By default "sink".
	Name string
	// Writer is required.
	Writer Writer

	// ChunkRows is the most records in a chunk. By default 100,000.
	ChunkRows int
	// ChunkBytes closes a chunk whose records hold more bytes. By default 64 MiB.
	ChunkBytes int64
	// ChunkInterval closes a chunk whose first record has waited this long. By
	// default 2 s.
	ChunkInterval time.Duration
	// BufferBytes bounds the records held in memory over all partitions; above
	// it fetching stops. It may be exceeded by one poll. By default 256 MiB.
	BufferBytes int64
	// Parallel is how many chunks are written at a time. By default 4.
	Parallel int
	// StopTimeout is how long buffered records may still be written after the
	// context of Run ends. What is left is read again at the next start. By
	// default 10 s.
	StopTimeout time.Duration
	// RetryMin and RetryMax bound the pauses between tries of one chunk, which
	// double. By default 200 ms and 15 s.
	RetryMin, RetryMax time.Duration

	// Skip leaves out events that were routed to another partition and come
	// again there. It must depend on the record alone, because a chunk that is
	// formed again has to give the same rows. Nil skips none.
	Skip func(rec *kgo.Record, ev *schemas.Event) bool

	// Logger is slog.Default by default.
	Logger *slog.Logger
	// Registerer receives the metrics under a constant label sink=Name. Nil
	// registers none.
	Registerer prometheus.Registerer
	// Clock is the system's by default.
	Clock Clock

	// crash is called after each step of a chunk; an error ends Run on the spot,
	// as a killed process would. Tests set it.
	crash func(step string, c *Chunk) error
}

func (c Config) withDefaults() (Config, error) {
	switch {
	case c.Writer == nil:
		return c, fmt.Errorf("%w: no writer", ErrConfig)
	case c.Group == "":
		return c, fmt.Errorf("%w: no consumer group", ErrConfig)
	case len(c.Topics.tables()) == 0:
		return c, fmt.Errorf("%w: no topic, or one topic under several names", ErrConfig)
	case c.ChunkRows < 0 || c.ChunkBytes < 0 || c.ChunkInterval < 0 || c.BufferBytes < 0 ||
		c.Parallel < 0 || c.StopTimeout < 0 || c.RetryMin < 0 || c.RetryMax < 0:
		return c, fmt.Errorf("%w: negative limit", ErrConfig)
	}
	setDefault(&c.Name, "sink")
	setDefault(&c.ChunkRows, 100_000)
	setDefault(&c.ChunkBytes, 64<<20)
	setDefault(&c.ChunkInterval, 2*time.Second)
	setDefault(&c.BufferBytes, 256<<20)
	setDefault(&c.Parallel, 4)
	setDefault(&c.StopTimeout, 10*time.Second)
	setDefault(&c.RetryMin, 200*time.Millisecond)
	setDefault(&c.RetryMax, max(15*time.Second, c.RetryMin))
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	c.Logger = c.Logger.With("sink", c.Name)
	if c.Clock == nil {
		c.Clock = systemClock{}
	}
	if c.crash == nil {
		c.crash = func(string, *Chunk) error { return nil }
	}
	return c, nil
}

func setDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

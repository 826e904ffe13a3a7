package stream

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
)

// EveryCommit as Config.SnapshotInterval writes one shard of every touched
// partition with every commit, however long a full cycle then takes.
const EveryCommit time.Duration = -1

// ErrConfig is wrapped by every error that Run returns because its Config
// cannot work.
var ErrConfig = errors.New("invalid stream configuration")

// Config describes one worker. The zero value of a field means its default.
type Config struct {
	// Opts reach the cluster: seed brokers, TLS, SASL, dialer, hooks. They
	// are applied to every client of the worker, first, so that the options
	// the delivery guarantee depends on always win.
	Opts []kgo.Opt

	// Group is the consumer group. Required.
	Group string
	// Inputs are the input topics. Several topics must have the same partition
	// count and partitioner: partition p of all of them goes to one processor.
	// Required.
	Inputs []string
	// Outputs are topics that must exist before the worker starts. Topics not
	// listed can be written to as well; they are looked up at first use.
	Outputs []string
	// StateTopic is the compacted topic of the snapshots, with the partition
	// count of the inputs. Empty: no snapshots, and a restore replays the
	// inputs from their first retained record.
	StateTopic string
	// DeadLetterTopic receives what Output.DeadLetter is given. Empty: such
	// records are counted and logged only.
	DeadLetterTopic string

	// Delivery is the guarantee. Default ExactlyOnce.
	Delivery Delivery
	// CommitInterval is how long a commit collects records, from the first one
	// it polled. Default 15 ms.
	CommitInterval time.Duration
	// SnapshotInterval is the time in which every shard of a partition is
	// written once, spread evenly over the commits. Default 30 s; EveryCommit
	// (any negative value) writes a shard with every commit.
	SnapshotInterval time.Duration
	// ConfigHash names everything that decides what a snapshot means to the
	// processor. Snapshots with another hash are ignored, with a warning, and
	// the state is rebuilt from the input that is still retained.
	ConfigHash string

	// TransactionalID is the prefix of the transactional id. Default Group.
	TransactionalID string
	// InstanceID, if set, must be unique in the group and stable over restarts
	// (a pod name). It makes the transactional id stable, so that a restarted
	// worker fences what its predecessor left open at once instead of waiting
	// for the transaction timeout, and it makes group membership static, so
	// that a restart within SessionTimeout moves no partition. The price: a
	// worker that is stopped for good keeps its partitions for SessionTimeout.
	InstanceID string

	// NewProcessor makes the empty state of one partition. Required. It is
	// called from several goroutines.
	NewProcessor func(partition, partitions int32) (Processor, error)

	// Logger receives the worker's log. Default: discarded.
	Logger *slog.Logger
	// Registerer receives the worker's metrics, with a label group; they are
	// taken out again when Run returns. Default: none.
	Registerer prometheus.Registerer
	// OnReady is told when the worker becomes ready (joined, assigned
	// partitions restored) and when it stops being so. It must not block.
	OnReady func(ready bool)

	// SessionTimeout is how long the group waits for a dead worker. Default 10 s.
	SessionTimeout time.Duration
	// HeartbeatInterval bounds how fast a rebalance is noticed. Default 1 s, at
	// most a third of SessionTimeout.
	HeartbeatInterval time.Duration
	// TransactionTimeout is when the broker aborts what a dead worker left
	// open; until then readers of its outputs stall. Default 10 s.
	TransactionTimeout time.Duration
	// CommitTimeout is the deadline of one commit, after which the session is
	// rebuilt. Default 8 s.
	CommitTimeout time.Duration
	// StopTimeout bounds a graceful stop, from the end of the Process call in
	// hand: commit, leave the group, close. Default 20 s.
	StopTimeout time.Duration
	// MaxFailures is how many times in a row the session may fail in the same
	// way at the same record before Run returns the error. Default 5.
	MaxFailures int
	// RetryBackoff is the pause before the second session; it doubles with
	// every failure up to twenty times its value. Default 250 ms.
	RetryBackoff time.Duration
	// Parallelism is how many partitions are processed at the same time.
	// Default GOMAXPROCS.
	Parallelism int
	// MaxPollRecords bounds the records taken from the client at once.
	// Default 20,000.
	MaxPollRecords int
	// FetchMaxPartitionBytes bounds the bytes fetched per partition and
	// request. Default 2 MiB.
	FetchMaxPartitionBytes int32
}

func (c *Config) setDefaults() {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&c.CommitInterval, 15*time.Millisecond)
	def(&c.SnapshotInterval, 30*time.Second)
	def(&c.SessionTimeout, 10*time.Second)
	def(&c.HeartbeatInterval, min(time.Second, c.SessionTimeout/3))
	def(&c.TransactionTimeout, 10*time.Second)
	def(&c.CommitTimeout, 8*time.Second)
	def(&c.StopTimeout, 20*time.Second)
	def(&c.RetryBackoff, 250*time.Millisecond)
	if c.MaxFailures == 0 {
		c.MaxFailures = 5
	}
	if c.Parallelism == 0 {
		c.Parallelism = runtime.GOMAXPROCS(0)
	}
	if c.MaxPollRecords == 0 {
		c.MaxPollRecords = 20_000
	}
	if c.FetchMaxPartitionBytes == 0 {
		c.FetchMaxPartitionBytes = 2 << 20
	}
	if c.TransactionalID == "" {
		c.TransactionalID = c.Group
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.OnReady == nil {
		c.OnReady = func(bool) {}
	}
}

func (c *Config) validate() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{ErrConfig}, args...)...)
	}
	switch {
	case c.Group == "":
		return bad("group is empty")
	case len(c.Inputs) == 0:
		return bad("no input topics")
	case slices.Contains(c.Inputs, ""):
		return bad("an input topic has no name")
	case c.NewProcessor == nil:
		return bad("NewProcessor is nil")
	case c.Delivery != ExactlyOnce && c.Delivery != AtLeastOnce:
		return bad("unknown delivery %d", int(c.Delivery))
	case c.CommitInterval < 0:
		return bad("commit interval %s is negative", c.CommitInterval)
	case c.CommitInterval >= c.TransactionTimeout:
		return bad("commit interval %s is not below the transaction timeout %s", c.CommitInterval, c.TransactionTimeout)
	case c.HeartbeatInterval*3 > c.SessionTimeout:
		return bad("heartbeat interval %s is above a third of the session timeout %s", c.HeartbeatInterval, c.SessionTimeout)
	case c.StopTimeout < c.CommitTimeout:
		return bad("stop timeout %s is below the commit timeout %s", c.StopTimeout, c.CommitTimeout)
	case c.MaxFailures < 1, c.Parallelism < 1, c.MaxPollRecords < 1:
		return bad("MaxFailures, Parallelism and MaxPollRecords must be positive")
	}
	seen := make(map[string]bool, len(c.Inputs))
	for _, t := range c.Inputs {
		if seen[t] {
			return bad("input topic %q is listed twice", t)
		}
		seen[t] = true
		if t == c.StateTopic || t == c.DeadLetterTopic || slices.Contains(c.Outputs, t) {
			return bad("topic %q is both input and output", t)
		}
	}
	return nil
}

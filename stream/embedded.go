package stream

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ErrDataDirInUse means that another process has its embedded broker there.
var ErrDataDirInUse = errors.New("data directory is in use by another process")

// EmbeddedConfig describes an embedded broker.
type EmbeddedConfig struct {
	// DataDir keeps the topics over restarts; it is created if missing. Empty:
	// a temporary directory, removed on Close.
	DataDir string
	// Addr is the address to listen on and to tell clients. Port 0 takes a
	// free one. The broker has no authentication: an address that is not
	// loopback is open to whoever can reach it. Default 127.0.0.1:9092.
	Addr string
	// MinSessionTimeout is the smallest session timeout a group member may
	// ask for. Default 6 s, as Kafka's.
	MinSessionTimeout time.Duration
	// Logger receives the log. Default: discarded.
	Logger *slog.Logger
}

// Embedded is a single-node broker inside this process.
//
// It speaks the Kafka protocol with transactions, groups, compaction and
// retention, and survives a kill of the process; transactions that were open are
// aborted then. What it has forgotten after a kill are the sequence numbers of
// producers without transactions: records that one of them had under way may be
// written twice, or after later ones. A kill in the very moment of a commit can
// leave the transaction in some partitions only. It is not replicated, it relies
// on the page cache (a power failure can lose the last writes), and one core does
// all its work. It is meant for demonstrations, tests and small single-node
// installations.
//
// Retention and compaction run once a minute, for topics that set retention.ms
// or retention.bytes themselves or are compacted; segments are 16 MiB unless a
// topic says otherwise.
type Embedded struct {
	cluster *kfake.Cluster
	log     *slog.Logger
	lock    *os.File
	dir     string
	tempDir string
	closing atomic.Bool
	hooked  int // requests the current hook has seen; the broker runs hooks one at a time
}

// StartEmbedded starts a broker and returns when it accepts connections.
func StartEmbedded(cfg EmbeddedConfig) (*Embedded, error) {
	log := cfg.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:9092"
	}
	host, portText, err := net.SplitHostPort(cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("%w: address of embedded broker: %w", ErrConfig, err)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("%w: port of embedded broker: %w", ErrConfig, err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		// The broker tells clients the address it listens on.
		return nil, fmt.Errorf("%w: embedded broker needs an address that clients can connect to, not %q", ErrConfig, cfg.Addr)
	}

	e := &Embedded{log: log}
	dir := cfg.DataDir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "weir-broker-"); err != nil {
			return nil, fmt.Errorf("making data directory: %w", err)
		}
		e.tempDir = dir
	} else if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("making data directory: %w", err)
	}
	if e.lock, err = lockFile(filepath.Join(dir, "weir.lock")); err != nil {
		e.release()
		return nil, fmt.Errorf("locking %s: %w", dir, err)
	}
	minSession := cfg.MinSessionTimeout
	if minSession == 0 {
		minSession = 6 * time.Second
	}
	opts := []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.Ports(int(port)),
		kfake.ListenFn(func(network, address string) (net.Listener, error) {
			_, p, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			return net.Listen(network, net.JoinHostPort(host, p))
		}),
		kfake.DataDir(filepath.Join(dir, "broker")),
		kfake.ClusterID("weir-embedded"),
		kfake.GroupMinSessionTimeout(minSession),
		kfake.BrokerConfigs(map[string]string{
			"log.cleaner.backoff.ms": "60000",
			"log.segment.bytes":      strconv.Itoa(16 << 20),
		}),
		kfake.WithLogger(brokerLogger{log}),
	}
	crashed, err := markRunning(dir)
	if err == nil && crashed {
		log.Warn("embedded broker: the last run ended in a crash, aborting what it left open", "dir", dir)
		if err = recoverTransactions(opts); err != nil {
			err = fmt.Errorf("recovering embedded broker: %w", err)
		}
	}
	if err == nil {
		if e.cluster, err = kfake.NewCluster(opts...); err != nil {
			err = fmt.Errorf("starting embedded broker: %w", err)
		}
	}
	if err != nil {
		e.release()
		return nil, err
	}
	e.dir = dir
	e.cluster.ControlKey(int16(kmsg.Produce), e.stampAppendTime)
	log.Warn("embedded broker started: single node, not replicated", "addr", strings.Join(e.Addrs(), ","), "dir", dir)
	return e, nil
}

// Addrs returns the addresses for kgo.SeedBrokers.
func (e *Embedded) Addrs() []string { return e.cluster.ListenAddrs() }

// Close stops the broker, writes what it holds to its data directory and
// frees it. Clients see their connections closed. It must be called once.
func (e *Embedded) Close() {
	if err := e.dropHook(); err != nil {
		e.log.Warn("embedded broker: closing without having stopped writers", "err", err)
	}
	e.cluster.Close()
	if err := os.Remove(filepath.Join(e.dir, runningFile)); err != nil {
		e.log.Warn("embedded broker: the next start will take this stop for a crash", "err", err)
	}
	e.release()
}

// dropHook takes stampAppendTime out of the broker before it closes. While a
// hook runs, the broker serves administrative work, closing included, and then
// goes on with the request it was at:
//
//	request P is handed to the hook
//	Close saves the state and closes the files
//	the hook returns, and P is written: opened anew, behind the saved end
//	the next start takes the saved end for the end; the retry of P is
//	written a second time, and fetches read from the wrong place
//
// A request of our own makes sure that the hook has run once more, and so that
// no request can be inside it afterwards.
func (e *Embedded) dropHook() error {
	e.closing.Store(true)
	cl, err := kgo.NewClient(kgo.SeedBrokers(e.Addrs()...))
	if err != nil {
		return err
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	req := kmsg.NewPtrProduceRequest()
	req.Acks = -1
	_, err = cl.Broker(0).Request(ctx, req)
	return err
}

func (e *Embedded) release() {
	if e.lock != nil {
		_ = e.lock.Close() // gives the lock back
	}
	if e.tempDir != "" {
		_ = os.RemoveAll(e.tempDir)
	}
}

// stampAppendTime gives topics with message.timestamp.type=LogAppendTime
// records with the broker's time. The broker underneath takes that setting
// and does not act on it, so the batch is changed before it gets to see it:
// its timestamps are moved as a whole so that the newest is the time of
// arrival. The records of a batch keep the distances they were produced with,
// where Kafka would give all of them the same time.
//
//nolint:revive // the order of results is the broker's
func (e *Embedded) stampAppendTime(kreq kmsg.Request) (kmsg.Response, error, bool) {
	req, ok := kreq.(*kmsg.ProduceRequest)
	if !ok {
		return nil, nil, false
	}
	if e.closing.Load() {
		e.cluster.DropControl()
	} else if e.hooked++; e.hooked == 10_000 {
		// The broker keeps the last request of every connection a hook has
		// ever seen, for as long as it has the hook.
		e.hooked = 0
		e.cluster.DropControl()
		e.cluster.ControlKey(int16(kmsg.Produce), e.stampAppendTime)
	}
	now := time.Now().UnixMilli()
	for _, t := range req.Topics {
		var info *kfake.TopicInfo
		if t.Topic != "" {
			info = e.cluster.TopicInfo(t.Topic)
		} else {
			info = e.cluster.TopicIDInfo(t.TopicID)
		}
		if info == nil {
			continue
		}
		if v := info.Configs["message.timestamp.type"]; v == nil || *v != "LogAppendTime" {
			continue
		}
		for _, p := range t.Partitions {
			shiftTimestamps(p.Records, now)
		}
	}
	return nil, nil, false
}

// shiftTimestamps moves the timestamps of a record batch so that the newest is
// now, in milliseconds. A batch that is not as it should be is left for the
// broker to refuse.
func shiftTimestamps(batch []byte, now int64) {
	const (
		magicAt, crcAt, attributesAt = 16, 17, 21
		firstAt, maxAt, headerLen    = 27, 35, 61
	)
	if len(batch) < headerLen || batch[magicAt] != 2 {
		return
	}
	if binary.BigEndian.Uint32(batch[crcAt:]) != crc32.Checksum(batch[attributesAt:], crcTable) {
		return
	}
	first := int64(binary.BigEndian.Uint64(batch[firstAt:]))
	newest := int64(binary.BigEndian.Uint64(batch[maxAt:]))
	binary.BigEndian.PutUint64(batch[firstAt:], uint64(first+now-newest))
	binary.BigEndian.PutUint64(batch[maxAt:], uint64(now))
	binary.BigEndian.PutUint32(batch[crcAt:], crc32.Checksum(batch[attributesAt:], crcTable))
}

// brokerLogger passes the broker's log on. It reports every request at its
// level info; here that is below debug.
type brokerLogger struct{ log *slog.Logger }

func (l brokerLogger) Logf(level kfake.LogLevel, format string, args ...any) {
	switch level {
	case kfake.LogLevelError:
		l.log.Error("embedded broker: " + fmt.Sprintf(format, args...))
	case kfake.LogLevelWarn:
		l.log.Debug("embedded broker: " + fmt.Sprintf(format, args...))
	}
}

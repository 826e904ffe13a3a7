package stream

import (
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// blocking stops once in the middle of its work until it is released.
type blocking struct {
	Processor
	gate *gate
}

type gate struct {
	once             sync.Once
	reached, release chan struct{}
}

func (b blocking) Process(rec *kgo.Record, out *Output) error {
	if rec.Offset == 100 {
		b.gate.once.Do(func() {
			close(b.gate.reached)
			<-b.gate.release
		})
	}
	return b.Processor.Process(rec, out)
}

func blockingConfig(delivery Delivery) (Config, *gate) {
	g := &gate{reached: make(chan struct{}), release: make(chan struct{})}
	cfg := patient(windowsConfig())
	cfg.Delivery = delivery
	cfg.NewProcessor = func(p, n int32) (Processor, error) {
		proc, err := newWindows(p, n)
		return blocking{proc, g}, err
	}
	return cfg, g
}

func TestWorkOnRevokedPartitionsIsRolledBack(t *testing.T) {
	t.Parallel()
	const partitions = 4
	b := newBed(t, specs(partitions, "in", "out", "state", "dead")...)
	feed(b, "in", partitions, 0, 300)
	cfg, g := blockingConfig(ExactlyOnce)
	first := startWorker(t, b.addrs, cfg)
	<-g.reached
	// The first worker is in the middle of a transaction; half of its
	// partitions go to the second, which starts where the last commit was.
	second := startWorker(t, b.addrs, patient(windowsConfig()))
	eventually(t, "the second worker to have caught up", func() bool {
		return second.metric(t, "weir_stream_records_total") >= 600
	})
	close(g.release)
	eventually(t, "the workers to catch up", func() bool { return b.behind("g", "in") == 0 })
	if n := first.metric(t, "weir_stream_aborts_total"); n < 1 {
		t.Errorf("%v commits were rolled back, want at least 1", n)
	}
	for _, w := range []*worker{first, second} {
		if err := w.stop(t); err != nil {
			t.Error(err)
		}
	}
	compare(t, lines(b.readAll("out")), reference(t, b.readAll("in"), partitions), partitions)
}

func TestARevocationWaitsForWorkThatIsNotInATransaction(t *testing.T) {
	t.Parallel()
	const partitions = 4
	b := newBed(t, specs(partitions, "in", "out", "state", "dead")...)
	feed(b, "in", partitions, 0, 300)
	cfg, g := blockingConfig(AtLeastOnce)
	first := startWorker(t, b.addrs, cfg)
	<-g.reached
	plain := patient(windowsConfig())
	plain.Delivery = AtLeastOnce
	second := startWorker(t, b.addrs, plain)
	eventually(t, "the second member to join", func() bool {
		groups, err := b.adm.DescribeGroups(b.ctx(), "g")
		return err == nil && len(groups["g"].Members) == 2
	})
	close(g.release)
	eventually(t, "the second worker to have partitions", func() bool {
		return second.metric(t, "weir_stream_partitions") > 0
	})
	eventually(t, "the workers to catch up", func() bool { return b.behind("g", "in") == 0 })
	if n := first.metric(t, "weir_stream_aborts_total"); n != 0 {
		t.Errorf("%v commits were rolled back, want none", n)
	}
	for _, w := range []*worker{first, second} {
		if err := w.stop(t); err != nil {
			t.Error(err)
		}
	}
	// At least once, and here once, because nothing failed.
	compare(t, lines(b.readAll("out")), reference(t, b.readAll("in"), partitions), partitions)
}

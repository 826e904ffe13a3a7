package e2e

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weir-dev/weir/config"
	"github.com/weir-dev/weir/internal/services"
	"github.com/weir-dev/weir/simulate"
	"github.com/weir-dev/weir/stream"
)

const (
	minute = time.Minute
	hour   = time.Hour
)

// arrivalDisorder is inside the default lateness of 2 s.
const arrivalDisorder = 1900 * time.Millisecond

func TestKillEmbeddedLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	b := newKillableBroker(t)
	killTest(t, []string{b.addr}, killPlan{
		events: choose(40_000, 500_000), kills: choose(3, 8), brokerKills: choose(0, 2), mayRepeat: true,
		killBroker: func() error {
			b.Kill()
			b.Start()
			return nil
		},
	})
}

func TestKillRealLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	c := services.PrivateKafka(t, 1)
	killTest(t, c.Addrs, killPlan{
		events: choose(40_000, 500_000), kills: choose(3, 8), brokerKills: choose(0, 2),
		killBroker: func() error {
			if err := c.Kill(1); err != nil {
				return err
			}
			return c.Start(1)
		},
	})
}

// killPlan says what a kill test does to the processes.
type killPlan struct {
	events, kills, brokerKills int
	killBroker                 func() error // kills the broker and starts it again
	// mayRepeat: what a producer retries after its broker died may be in the log
	// twice, and late. Workers must make of that log what an undisturbed one does.
	mayRepeat bool
}

// worker starts a process of one role, for time that is simulated.
func (d *deployment) worker(roles string, extra ...string) *process {
	d.t.Helper()
	args := []string{
		"run", "--roles", roles, "--brokers", strings.Join(d.brokers, ","),
		"--kafka.topic-prefix", d.prefix, "--kafka.group-prefix", d.prefix,
		"--kafka.partitions", strconv.Itoa(int(d.partitions)),
		"--listen.admin", "", "--data-dir", d.t.TempDir(),
		"--extract.tick-interval", "0s", "--extract.snapshot-interval", "2s", "--score.janitor=false",
		"--log.level", "warn",
	}
	return launch(d.t, roles, append(args, extra...)...)
}

// killTest compares what workers wrote that were killed again and again with
// what an undisturbed one writes of the same log.
func killTest(t *testing.T, brokers []string, plan killPlan) {
	const partitions = 4
	events := traffic(t, plan.events, 3)
	simulate.Shuffle(events, arrivalDisorder, 1)
	end := closing(events)
	if _, err := build(); err != nil { // not to be timed
		t.Fatal(err)
	}

	d := deploy(t, brokers, "killed.", partitions)
	began := time.Now()
	k := killer{d: d, workers: []*process{
		d.worker(config.RoleExtract), d.worker(config.RoleScore), d.worker(config.RoleExtract), d.worker(config.RoleScore),
	}}
	steps := plan.kills + plan.brokerKills
	chunk := len(events) / (steps + 1)
	brokerKills := 0
	for i := range steps {
		k.feed(events[i*chunk : (i+1)*chunk])
		if brokerKills < plan.brokerKills && i == (brokerKills+1)*steps/(plan.brokerKills+1) {
			brokerKills++
			if err := plan.killBroker(); err != nil {
				t.Fatal(err)
			}
			continue
		}
		k.killNext()
	}
	for _, e := range events[steps*chunk:] {
		d.send(e)
	}
	d.flush()
	d.tick(end)
	d.drain(3*minute, k.workers...)
	took := time.Since(began)
	for _, p := range k.workers {
		p.kill()
	}
	got := d.outcome()

	log := d.read(d.topics.Events)
	repeated := repeats(t, log, events)
	if repeated > 0 && !plan.mayRepeat {
		t.Errorf("%d events are in the log twice", repeated)
	}
	calm := deploy(t, brokers, "calm.", partitions)
	began = time.Now()
	p := calm.worker(config.RoleExtract + "," + config.RoleScore)
	calm.copy(log)
	calm.drain(3*minute, p)
	calmTook := time.Since(began)
	p.stop(t)
	want := calm.outcome()

	sameSequences(t, "features", got.features, want.features)
	sameSequences(t, "aggregates", got.aggregates, want.aggregates)
	sameTexts(t, "verdict", got.verdicts, want.verdicts)
	sameTexts(t, "blocklist", got.blocklist, want.blocklist)
	if got.provisional+want.provisional > 0 {
		t.Errorf("%d and %d verdicts are still provisional after every window has closed", got.provisional, want.provisional)
	}
	// What a producer writes again after its broker died may come too late.
	if got.dead != want.dead || got.dead > repeated && !plan.mayRepeat {
		t.Errorf("%d dead letters, want %d, and not more than events written twice (%d)", got.dead, want.dead, repeated)
	}
	if len(want.blocklist) == 0 || total(want.features) == 0 || total(want.aggregates) == 0 {
		t.Error("the undisturbed run wrote nothing to compare with")
	}
	if plan.kills > 0 && k.amidWork == 0 {
		t.Error("no process was killed while it had work")
	}
	t.Logf("figures: %d events (%d written twice by their own producer, when the broker died); "+
		"%d kills of workers (%d of all kills while there was work), %d of the broker; "+
		"%d features and %d aggregates identical, record for record; "+
		"%d verdicts and %d blocklist entries identical (%d verdict records written, %d undisturbed); "+
		"%.0f s, undisturbed %.0f s",
		len(events), repeated, k.kills, k.amidWork, brokerKills,
		total(got.features), total(got.aggregates), len(got.verdicts), len(got.blocklist), got.written, want.written,
		took.Seconds(), calmTook.Seconds())
}

// repeats makes sure that every event sent is in the log, and counts those that
// are there more than once.
func repeats(t *testing.T, log [][]*kgo.Record, sent []simulate.Record) (repeated int) {
	t.Helper()
	seen := map[string]int{}
	for _, recs := range log {
		for _, r := range recs {
			if _, tick := stream.TickTime(r); !tick {
				seen[string(r.Value)]++
			}
		}
	}
	lost := 0
	for _, e := range sent {
		n := seen[string(e.Value)]
		if n == 0 {
			lost++
		}
		repeated += max(0, n-1)
	}
	if lost > 0 || len(seen) != len(sent) {
		t.Fatalf("the log has %d different events, want %d; %d are missing", len(seen), len(sent), lost)
	}
	return repeated
}

// copy writes a log again as it is.
func (d *deployment) copy(log [][]*kgo.Record) {
	d.t.Helper()
	for p, recs := range log {
		for _, r := range recs {
			again := &kgo.Record{Topic: d.topics.Events, Partition: int32(p), Key: r.Key, Value: r.Value, Headers: r.Headers}
			d.cl.Produce(d.t.Context(), again, d.sent)
		}
	}
	d.flush()
}

// killer kills workers one after another, extractors and scorers in turns.
type killer struct {
	d               *deployment
	workers         []*process
	next            int
	kills, amidWork int
}

var roleOf = [...]string{config.RoleExtract, config.RoleScore, config.RoleExtract, config.RoleScore}

// feed sends events and returns when the victim's role is at work on them.
func (k *killer) feed(events []simulate.Record) {
	k.d.t.Helper()
	role, topic := roleOf[k.next], k.d.topics.Events
	if role == config.RoleScore {
		topic = k.d.topics.Features
	}
	progress := func() int64 { return k.d.written(topic) - k.d.behind(role, topic) }
	before := progress()
	for _, e := range events {
		k.d.send(e)
	}
	eventually(k.d.t, role+" to work", 2*minute, func() bool { return progress() > before })
	if k.d.behind(role, topic) > 0 {
		k.amidWork++
	}
}

func (k *killer) killNext() {
	k.d.t.Helper()
	k.workers[k.next].kill()
	k.workers[k.next] = k.d.worker(roleOf[k.next])
	k.kills++
	k.next = (k.next + 1) % len(k.workers)
}

package e2e

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/config"
	"github.com/weir-dev/weir/internal/services"
	"github.com/weir-dev/weir/simulate"
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
		events: choose(40_000, 500_000), kills: choose(3, 8), brokerKills: 2,
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
// what an undisturbed one writes of the same events.
func killTest(t *testing.T, brokers []string, plan killPlan) {
	const partitions = 4
	events := traffic(t, plan.events, 3)
	simulate.Shuffle(events, arrivalDisorder, 1)
	end := closing(events)
	if _, err := build(); err != nil { // not to be timed
		t.Fatal(err)
	}

	calm := deploy(t, brokers, "calm.", partitions)
	began := time.Now()
	p := calm.worker(config.RoleExtract + "," + config.RoleScore)
	for _, e := range events {
		calm.send(e)
	}
	calm.flush()
	calm.tick(end)
	calm.drain(5*minute, p)
	p.stop(t)
	calmTook := time.Since(began)
	want := calm.outcome()

	d := deploy(t, brokers, "killed.", partitions)
	began = time.Now()
	k := killer{d: d, workers: []*process{
		d.worker(config.RoleExtract), d.worker(config.RoleScore), d.worker(config.RoleExtract), d.worker(config.RoleScore),
	}}
	steps := plan.kills + plan.brokerKills
	chunk := len(events) / (steps + 1)
	brokersLeft := plan.brokerKills
	for i := range steps {
		k.feed(events[i*chunk : (i+1)*chunk])
		if brokersLeft > 0 && i == (plan.brokerKills-brokersLeft+1)*steps/(plan.brokerKills+1) {
			brokersLeft--
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
	d.drain(5*minute, k.workers...)
	took := time.Since(began)
	got := d.outcome()

	sameEvents(t, d, calm)
	sameSequences(t, "features", got.features, want.features)
	sameSequences(t, "aggregates", got.aggregates, want.aggregates)
	sameTexts(t, "verdict", got.verdicts, want.verdicts)
	sameTexts(t, "blocklist", got.blocklist, want.blocklist)
	if got.provisional+want.provisional > 0 {
		t.Errorf("%d and %d verdicts are still provisional after every window has closed", got.provisional, want.provisional)
	}
	if got.dead+want.dead > 0 {
		t.Errorf("%d and %d dead letters", got.dead, want.dead)
	}
	if len(want.blocklist) == 0 || total(want.features) == 0 || total(want.aggregates) == 0 {
		t.Error("the undisturbed run wrote nothing to compare with")
	}
	t.Logf("figures: %d events; %d kills of workers (%d while they had work), %d of the broker; "+
		"%d features and %d aggregates identical, record for record; "+
		"%d verdicts and %d blocklist entries identical (%d verdict records written, %d undisturbed); "+
		"%.0f s, undisturbed %.0f s",
		len(events), k.kills, k.amidWork, plan.brokerKills-brokersLeft,
		total(got.features), total(got.aggregates), len(got.verdicts), len(got.blocklist), got.written, want.written,
		took.Seconds(), calmTook.Seconds())
}

// sameEvents makes sure that both runs had the same to work on.
func sameEvents(t *testing.T, a, b *deployment) {
	t.Helper()
	collect := func(d *deployment) map[string]*sequence {
		out := map[string]*sequence{}
		for p, recs := range d.read(d.topics.Events) {
			s := &sequence{}
			for _, r := range recs {
				s.add(r)
			}
			out[fmt.Sprint(p)] = s
		}
		return out
	}
	sameSequences(t, "events", collect(a), collect(b))
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

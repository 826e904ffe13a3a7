package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weir-dev/weir/config"
	"github.com/weir-dev/weir/eval"
	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/gateway"
	"github.com/weir-dev/weir/pipeline"
	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/simulate"
	"github.com/weir-dev/weir/stream"
)

// demoHours is how much traffic the demonstration plays. The day and a half
// before goes by at full speed: clients of whom nothing is known yet are judged
// more leniently.
const (
	demoHours   = 4
	demoHistory = 36 * time.Hour
)

func demoCommand() *cobra.Command {
	var output string
	var seed uint64
	var wall time.Duration
	var clients int
	c := &cobra.Command{
		Use:   "demo",
		Short: "Show everything at work on simulated traffic, in about half a minute",
		Long: `Starts a broker, the extractor, the scorer and a gateway's blocklist in this
process, plays four hours of a bank's and a shop's traffic through them with
eight attacks among hundreds of ordinary clients, and prints each block as it is
decided. Ends by itself; exits 1 if an attack went unseen or a benign client was
blocked.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			inJSON := output == "json"
			d := &demo{out: c.OutOrStdout(), quiet: inJSON, wall: wall}
			result, err := d.run(c.Context(), demoTraffic(seed, clients))
			if err != nil {
				return err
			}
			if inJSON {
				if err := printJSON(d.out, result); err != nil {
					return err
				}
			} else {
				result.print(d.out)
			}
			if !result.OK {
				return quietError{}
			}
			return nil
		},
	}
	c.Flags().Uint64Var(&seed, "seed", 11, "decides the traffic")
	c.Flags().IntVar(&clients, "clients", 600, "benign clients")
	c.Flags().DurationVar(&wall, "for", 25*time.Second, "how long to take over it; 0 is as fast as possible")
	outputFlag(c, &output)
	return c
}

func demoTraffic(seed uint64, clients int) simulate.Config {
	cfg := simulate.DefaultConfig()
	cfg.Seed, cfg.Clients, cfg.Activity = seed, clients, 2
	cfg.Start, cfg.Duration = time.Date(2026, 3, 2, 21, 0, 0, 0, time.UTC), demoHistory+demoHours*time.Hour
	for i, name := range [][2]string{
		{"slow-login-attack", "list"}, {"credential-stuffing", "single"}, {"object-enumeration", "sequential"},
		{"probing", "paths"}, {"credential-stuffing", "distributed"}, {"extreme-client", "user"},
		{"interval-abuse", "user"}, {"scraping", "user"},
	} {
		cfg.Attacks = append(cfg.Attacks, simulate.AttackSpec{
			Name: name[0], Variant: name[1], Start: demoHistory + time.Duration(i+1)*15*time.Minute,
		})
	}
	return cfg
}

// demo is one demonstration.
type demo struct {
	out   io.Writer
	quiet bool
	wall  time.Duration

	clock   atomic.Int64 // newest event time published, µs
	mu      sync.Mutex   // guards sent and applied
	sent    []sentAt
	applied []time.Duration
}

// sentAt is when the events up to an event time had been published.
type sentAt struct {
	event int64
	wall  time.Time
}

type demoAttack struct {
	Attack      string  `json:"attack"`
	Entities    int     `json:"entities"`
	Blocked     int     `json:"blocked"`
	Seconds     float64 `json:"seconds_to_block"`
	NamedRight  int     `json:"named_right"`
	medianDelay time.Duration
}

type demoResult struct {
	OK              bool         `json:"ok"`
	Attacks         []demoAttack `json:"attacks"`
	Found           int          `json:"attacks_found"`
	BenignClients   int          `json:"benign_clients"`
	BenignBlocked   []string     `json:"benign_blocked"`
	Cohorts         []string     `json:"cohorts_blocked,omitempty"` // networks and fingerprints that attackers shared
	Events          int          `json:"events"`
	EventsPerSecond float64      `json:"events_per_second"`
	ApplyP50        float64      `json:"block_applied_p50_ms"`
	ApplyP99        float64      `json:"block_applied_p99_ms"`
}

func (d *demo) run(ctx context.Context, traffic simulate.Config) (*demoResult, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g, err := simulate.New(traffic)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "weir-demo-")
	if err != nil {
		return nil, fmt.Errorf("making a folder for the demonstration: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()

	cfg := config.Default()
	cfg.DataDir, cfg.Roles = dir, []string{config.RoleExtract, config.RoleScore}
	cfg.Listen.Kafka, cfg.Listen.Admin = "127.0.0.1:0", ""
	cfg.Kafka.Partitions = 4
	// Simulated time passes faster than the wall clock's, which ticks carry.
	cfg.Extract.TickInterval = 0
	// The janitor goes by the wall clock too, for which all of this has expired.
	cfg.Score.Janitor = false
	// What one in 10,000 looks like takes weeks to know of clients.
	cfg.Score.AlphaBlock = cfg.Score.AlphaChallenge
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	service, err := pipeline.NewService(cfg, log)
	if err != nil {
		return nil, err
	}
	stopped := make(chan error, 1)
	go func() { stopped <- service.Run(ctx) }()
	select {
	case <-service.Started:
	case err := <-stopped:
		return nil, err
	}
	opts, err := pipeline.KafkaOptions(cfg.Kafka, service.Brokers)
	if err != nil {
		return nil, err
	}
	topics := pipeline.TopicsUnder(cfg.Kafka.TopicPrefix)

	if err := d.follow(ctx, opts, topics.Blocklist); err != nil {
		return nil, err
	}
	report := eval.NewReport(g.Labels(), 10*time.Minute)
	verdicts, err := kgo.NewClient(append(slices.Clone(opts),
		kgo.ConsumeTopics(topics.Verdicts), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
	if err != nil {
		return nil, fmt.Errorf("connecting to the demonstration's broker: %w", err)
	}
	defer verdicts.Close()
	var read sync.WaitGroup
	drained := make(chan struct{})
	read.Go(func() { d.report(ctx, verdicts, report, traffic.Start.Add(demoHistory), drained) })

	if !d.quiet {
		fmt.Fprintf(d.out, "Playing %d hours of traffic: %d benign clients, %d attacks.\n\n", demoHours, traffic.Clients, len(traffic.Attacks))
	}
	began := time.Now()
	n, err := d.publish(ctx, opts, topics.Events, g, traffic)
	if err != nil {
		return nil, err
	}
	if err := d.drain(ctx, opts, cfg); err != nil {
		return nil, err
	}
	took := time.Since(began)
	close(drained)
	read.Wait()
	cancel()
	if err := <-stopped; err != nil {
		return nil, err
	}
	return d.result(report, traffic, n, took), nil
}

// follow keeps a gateway's copy of the blocklist and measures how long after
// the deciding call an entry was in it.
func (d *demo) follow(ctx context.Context, opts []kgo.Opt, topic string) error {
	list, err := gateway.NewBlocklist(gateway.Config{
		Opts: opts, Topic: topic, Now: func() time.Time { return time.UnixMicro(d.clock.Load()) },
	})
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	list.Subscribe(func(c gateway.Change) {
		entry := c.Item.Entry
		if (c.Kind != gateway.ChangeAdded && c.Kind != gateway.ChangeReplaced) || entry.Action != schemas.ActionBlock || seen[entry.VerdictID] {
			return
		}
		seen[entry.VerdictID] = true
		now := time.Now()
		d.mu.Lock()
		defer d.mu.Unlock()
		created := entry.Created.UnixMicro()
		i, _ := slices.BinarySearchFunc(d.sent, created, func(s sentAt, t int64) int { return int(s.event - t) })
		if i < len(d.sent) {
			d.applied = append(d.applied, now.Sub(d.sent[i].wall))
		}
	})
	go func() {
		if err := list.Run(ctx); err != nil && ctx.Err() == nil {
			fmt.Fprintln(os.Stderr, "weir: following the blocklist:", err)
		}
	}()
	select {
	case <-list.Ready():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// publish plays the traffic, in d.wall if that is set.
func (d *demo) publish(ctx context.Context, opts []kgo.Opt, topic string, g *simulate.Generator, traffic simulate.Config) (int, error) {
	cl, err := kgo.NewClient(append(append(slices.Clone(opts), pipeline.EventProducerOptions()...), kgo.ProducerLinger(time.Millisecond))...)
	if err != nil {
		return 0, fmt.Errorf("connecting to the demonstration's broker: %w", err)
	}
	defer cl.Close()
	var began time.Time
	start := traffic.Start.Add(demoHistory).UnixMicro()
	ev := schemas.NewEvent()
	n := 0
	for g.Next(ev) {
		if ev.Time >= start && began.IsZero() {
			if err := cl.Flush(ctx); err != nil {
				return n, fmt.Errorf("publishing the history: %w", err)
			}
			began = time.Now()
		}
		if d.wall > 0 && ev.Time >= start {
			due := began.Add(time.Duration(float64(d.wall) * float64(ev.Time-start) / float64((demoHours * time.Hour).Microseconds())))
			if wait := time.Until(due); wait > time.Millisecond {
				select {
				case <-time.After(wait):
				case <-ctx.Done():
					return n, ctx.Err()
				}
			}
		}
		d.clock.Store(ev.Time)
		d.mu.Lock()
		d.sent = append(d.sent, sentAt{ev.Time, time.Now()})
		d.mu.Unlock()
		cl.Produce(ctx, pipeline.EventRecord(topic, ev, features.AppendClientKey(nil, ev)), nil)
		n++
	}
	// The end of the traffic, said in every partition, closes what is open.
	end := traffic.Start.Add(traffic.Duration + time.Minute).UnixMicro()
	details, err := kadm.NewClient(cl).ListTopics(ctx, topic)
	if err != nil {
		return n, fmt.Errorf("looking up the events topic: %w", err)
	}
	manual, err := kgo.NewClient(append(slices.Clone(opts), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		return n, fmt.Errorf("connecting to the demonstration's broker: %w", err)
	}
	defer manual.Close()
	if err := cl.Flush(ctx); err != nil {
		return n, fmt.Errorf("publishing events: %w", err)
	}
	for p := range details[topic].Partitions {
		if err := manual.ProduceSync(ctx, stream.TickRecord(topic, p, end)).FirstErr(); err != nil {
			return n, fmt.Errorf("publishing the end of the traffic: %w", err)
		}
	}
	return n, nil
}

// drain waits until extractor and scorer have read everything.
func (d *demo) drain(ctx context.Context, opts []kgo.Opt, cfg *config.Config) error {
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return fmt.Errorf("connecting to the demonstration's broker: %w", err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for _, group := range []string{config.RoleExtract, config.RoleScore} {
		for {
			lags, err := stream.Lag(ctx, cl, cfg.Kafka.GroupPrefix+group)
			behind := int64(0)
			for _, l := range lags {
				behind += l.Records
			}
			if err == nil && len(lags) > 0 && behind == 0 {
				break
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return fmt.Errorf("waiting for the %s role to finish (%d records behind): %w", group, behind, errors.Join(ctx.Err(), err))
			}
		}
	}
	return nil
}

// report prints blocks as they come and fills the report, until the topic is
// drained.
func (d *demo) report(ctx context.Context, cl *kgo.Client, report *eval.Report, since time.Time, drained <-chan struct{}) {
	printed := map[string]bool{}
	for {
		pollCtx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		fetches := cl.PollFetches(pollCtx)
		cancel()
		empty := true
		fetches.EachRecord(func(rec *kgo.Record) {
			empty = false
			var v schemas.Verdict
			if json.Unmarshal(rec.Value, &v) != nil {
				return
			}
			if v.Time.Before(since) {
				return
			}
			report.Verdict(&v)
			if d.quiet || v.Action != schemas.ActionBlock || printed[v.Entity.String()] {
				return
			}
			printed[v.Entity.String()] = true
			fmt.Fprintf(d.out, "%s  %-20s %s\n", v.Time.Format(time.TimeOnly), v.Attack, v.Explanation.Text)
		})
		select {
		case <-drained:
			if empty {
				return
			}
		case <-ctx.Done():
			return
		default:
		}
	}
}

func (d *demo) result(report *eval.Report, traffic simulate.Config, n int, took time.Duration) *demoResult {
	r := &demoResult{
		BenignClients: traffic.Clients, BenignBlocked: []string{},
		Events: n, EventsPerSecond: float64(n) / took.Seconds(),
	}
	instances := report.Result().Instances
	for i := range instances {
		a := &instances[i]
		if a.Found() {
			r.Found++
		}
		r.Attacks = append(r.Attacks, demoAttack{a.Attack, a.Entities, a.Blocked, a.MedianDelay().Seconds(), a.Named, a.MedianDelay()})
	}
	for _, b := range report.FalseBlocks() {
		if b.Verdict.Entity.Type == schemas.ScopeCohort {
			// Right or wrong by whom it refuses: see weir eval.
			r.Cohorts = append(r.Cohorts, b.Verdict.Entity.Value)
			continue
		}
		r.BenignBlocked = append(r.BenignBlocked, b.Verdict.Entity.String())
	}
	r.OK = r.Found == len(r.Attacks) && len(r.BenignBlocked) == 0
	d.mu.Lock()
	defer d.mu.Unlock()
	if k := len(d.applied); k > 0 {
		slices.Sort(d.applied)
		r.ApplyP50 = float64(d.applied[k/2].Microseconds()) / 1e3
		r.ApplyP99 = float64(d.applied[k*99/100].Microseconds()) / 1e3
	}
	return r
}

func (r *demoResult) print(w io.Writer) {
	fmt.Fprintln(w)
	t := newTable(w, "attack", "sources blocked", "median time to block")
	for _, a := range r.Attacks {
		delay := "never"
		if a.Blocked > 0 {
			delay = a.medianDelay.Round(time.Second).String()
		}
		t.AppendRow([]any{a.Attack, fmt.Sprintf("%d of %d", a.Blocked, a.Entities), delay})
	}
	t.Render()
	fmt.Fprintf(w, "\nAttacks found:          %d of %d\n", r.Found, len(r.Attacks))
	fmt.Fprintf(w, "Benign clients blocked: %d of %d\n", len(r.BenignBlocked), r.BenignClients)
	for _, b := range r.BenignBlocked {
		fmt.Fprintf(w, "  %s\n", b)
	}
	for _, c := range r.Cohorts {
		fmt.Fprintf(w, "Cohort blocked:         %s\n", c)
	}
	fmt.Fprintf(w, "Block in the gateway:   %.1f ms after the deciding call (median), %.1f ms (99 %%)\n", r.ApplyP50, r.ApplyP99)
	fmt.Fprintf(w, "Events:                 %d, %.0f a second\n", r.Events, r.EventsPerSecond)
}

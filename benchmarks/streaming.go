package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weir-dev/weir/config"
	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/gateway"
	"github.com/weir-dev/weir/pipeline"
	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/stream"
)

// cluster is where the streaming scenarios run.
type cluster struct {
	name    string
	brokers []string // empty: embedded
}

// deployment is a running service on its own topics.
type deployment struct {
	cfg     *config.Config
	service *pipeline.Service
	opts    []kgo.Opt
	topics  pipeline.Topics
	stop    func() error
}

func deploy(ctx context.Context, at cluster, roles ...string) (*deployment, error) {
	dir, err := os.MkdirTemp("", "weir-bench-")
	if err != nil {
		return nil, fmt.Errorf("making a folder: %w", err)
	}
	cfg := config.Default()
	cfg.DataDir, cfg.Roles = dir, roles
	cfg.Kafka.Brokers = at.brokers
	cfg.Listen.Kafka, cfg.Listen.Admin, cfg.Listen.Auth = "127.0.0.1:0", "", "127.0.0.1:0"
	cfg.Kafka.TopicPrefix = fmt.Sprintf("bench%d.", time.Now().UnixNano())
	cfg.Kafka.GroupPrefix = cfg.Kafka.TopicPrefix
	service, err := pipeline.NewService(cfg, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- service.Run(ctx) }()
	d := &deployment{cfg: cfg, service: service, topics: pipeline.TopicsUnder(cfg.Kafka.TopicPrefix)}
	d.stop = func() error {
		cancel()
		return errors.Join(<-done, os.RemoveAll(dir))
	}
	select {
	case <-service.Started:
	case err := <-done:
		cancel()
		return nil, err
	}
	d.opts, err = pipeline.KafkaOptions(cfg.Kafka, service.Brokers)
	return d, err
}

// input is the topic that a role reads.
func (d *deployment) input(role string) string {
	if role == config.RoleScore {
		return d.topics.Features
	}
	return d.topics.Events
}

// caughtUp waits until a group has committed all of its input. It asks for
// offsets only: what it costs is not to show in what is measured.
func (d *deployment) caughtUp(ctx context.Context, cl *kgo.Client, role string) error {
	adm := kadm.NewClient(cl)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		behind, err := func() (int64, error) {
			ends, err := adm.ListEndOffsets(ctx, d.input(role))
			if err != nil {
				return 0, err
			}
			committed, err := adm.FetchOffsets(ctx, d.cfg.Kafka.GroupPrefix+role)
			if err != nil {
				return 0, err
			}
			behind := int64(0)
			ends.Each(func(end kadm.ListedOffset) {
				at := int64(0)
				if o, ok := committed.Lookup(end.Topic, end.Partition); ok {
					at = max(0, o.At)
				}
				behind += end.Offset - at
			})
			return behind, nil
		}()
		if err == nil && behind <= 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}

// Throughput measures how fast an extractor works off a topic, beside a bare
// client that reads and decodes the same topic.
func Throughput(ctx context.Context, r *Results, n int) error {
	c, err := newCorpus(n)
	if err != nil {
		return err
	}
	n = len(c.json)
	d, err := deploy(ctx, cluster{}, config.RoleEnforce) // no worker yet
	if err != nil {
		return err
	}
	defer func() { _ = d.stop() }()
	cl, err := kgo.NewClient(append(slices.Clone(d.opts), pipeline.EventProducerOptions()...)...)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	defer cl.Close()
	headers := []kgo.RecordHeader{{Key: schemas.HeaderContentType, Value: []byte(schemas.ContentTypeJSON)}}
	for i := range n {
		cl.Produce(ctx, &kgo.Record{Topic: d.topics.Events, Key: c.keys[i], Value: c.json[i], Headers: headers}, nil)
	}
	if err := cl.Flush(ctx); err != nil {
		return fmt.Errorf("loading the topic: %w", err)
	}
	runtime.GC()

	bare := func() (time.Duration, error) {
		reader, err := kgo.NewClient(append(slices.Clone(d.opts), kgo.ConsumeTopics(d.topics.Events),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
		if err != nil {
			return 0, fmt.Errorf("connecting: %w", err)
		}
		defer reader.Close()
		ev := schemas.NewEvent()
		began, read := time.Now(), 0
		for read < n {
			fetches := reader.PollFetches(ctx)
			if err := fetches.Err(); err != nil {
				return 0, fmt.Errorf("reading: %w", err)
			}
			var failed error
			fetches.EachRecord(func(rec *kgo.Record) {
				read++
				if err := ev.DecodeJSON(rec.Value); err != nil {
					failed = err
				}
			})
			if failed != nil {
				return 0, failed
			}
		}
		return time.Since(began), nil
	}
	worker := func(round int) (time.Duration, cost, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		f := features.DefaultConfig()
		f.Clients = 125_000
		began := time.Now()
		done := make(chan error, 1)
		topics := d.topics
		group := fmt.Sprintf("%sround%d-", d.cfg.Kafka.GroupPrefix, round)
		total := measure(func() {
			go func() {
				done <- stream.Run(ctx, stream.Config{
					Opts: d.opts, Group: group + config.RoleExtract, Inputs: []string{topics.Events},
					Outputs: []string{topics.Features, topics.Aggregates}, StateTopic: topics.State, DeadLetterTopic: topics.DeadLetter,
					ConfigHash: group,
					NewProcessor: func(partition, partitions int32) (stream.Processor, error) {
						return pipeline.NewExtract(pipeline.ExtractConfig{Topics: topics, Features: f, MaxFuture: 1_000_000}, partition, partitions)
					},
				})
			}()
			w := *d
			cfg := *d.cfg
			cfg.Kafka.GroupPrefix = group
			w.cfg = &cfg
			err := w.caughtUp(ctx, cl, config.RoleExtract)
			if err != nil {
				done <- err
			}
		})
		took := time.Since(began)
		cancel()
		return took, total, <-done
	}
	var ratios, rates, bares []float64
	var cpuPer float64
	for round := range 3 {
		b, err := bare()
		if err != nil {
			return err
		}
		w, total, err := worker(round)
		if err != nil {
			return err
		}
		bares = append(bares, float64(n)/b.Seconds())
		rates = append(rates, float64(n)/w.Seconds())
		ratios = append(ratios, b.Seconds()/w.Seconds())
		if per := total.microsPer(n); round == 0 || per < cpuPer {
			cpuPer = per
		}
	}
	mid := func(v []float64) float64 { slices.Sort(v); return v[len(v)/2] }
	rate, beside := mid(rates), mid(bares)
	r.AddRatio("extract from a topic", "events per second, JSON", rate, "1/s", "bare client: read and decode the same topic", beside)
	r.Add("extract from a topic", "median of paired ratios", mid(ratios), "")
	r.Add("extract from a topic", "CPU per event, broker included", cpuPer, "us")
	return nil
}

// Latency measures the time from a call at the gateway to the block in a
// follower's memory, at a steady rate of other traffic.
func Latency(ctx context.Context, r *Results, name string, brokers []string, rate int, during time.Duration) error {
	d, err := deploy(ctx, cluster{name, brokers}, config.RoleExtract, config.RoleScore)
	if err != nil {
		return err
	}
	defer func() { _ = d.stop() }()
	followCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	list, err := gateway.NewBlocklist(gateway.Config{Opts: d.opts, Topic: d.topics.Blocklist})
	if err != nil {
		return err
	}
	var mu sync.Mutex
	var delays []float64
	seen := map[string]bool{}
	var attackers atomic.Int64
	list.Subscribe(func(c gateway.Change) {
		now := time.Now()
		if c.Kind != gateway.ChangeAdded && c.Kind != gateway.ChangeReplaced {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if !seen[c.Item.Value] && c.Item.Scope == "ip" && c.Item.Entry.Action == schemas.ActionBlock {
			seen[c.Item.Value] = true
			delays = append(delays, float64(now.Sub(c.Item.Entry.Created).Microseconds())/1e3)
		}
	})
	go func() { _ = list.Run(followCtx) }()
	select {
	case <-list.Ready():
	case <-ctx.Done():
		return ctx.Err()
	}
	cl, err := kgo.NewClient(append(append(slices.Clone(d.opts), pipeline.EventProducerOptions()...), kgo.ProducerLinger(2*time.Millisecond))...)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	defer cl.Close()

	// Benign clients call about every five seconds; every 40 ms another address
	// tries forty passwords, one every 10 ms.
	ev := schemas.NewEvent()
	ev.API, ev.Method, ev.Status, ev.RespBytes, ev.DurationUS = []byte("bank"), []byte("GET"), 200, 900, 12000
	ev.Route, ev.UserAgent = []byte("/v1/accounts/{id}"), []byte("bank-app/5.1")
	login := schemas.NewEvent()
	login.API, login.Method, login.Route, login.Path, login.Status = []byte("bank"), []byte("POST"), []byte("/v1/login"), []byte("/v1/login"), 401
	clients := rate * 5
	var failed atomic.Pointer[error]
	promise := func(_ *kgo.Record, err error) {
		if err != nil {
			failed.Store(&err)
		}
	}
	send := func(e *schemas.Event) {
		e.Time = time.Now().UnixMicro()
		cl.Produce(ctx, pipeline.EventRecord(d.topics.Events, e, features.AppendClientKey(nil, e)), promise)
	}
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	began := time.Now()
	sent, next := 0, 0
	type attacker struct {
		ip   []byte
		left int
		due  time.Duration
	}
	var active []*attacker
	warm := 3 * time.Second // consumers join and first windows open
	for {
		at := time.Since(began)
		if at > during+warm {
			break
		}
		for ; sent < int(at.Seconds()*float64(rate)); sent++ {
			ev.User = fmt.Appendf(ev.User[:0], "u%07d", sent%clients)
			ev.Path = fmt.Appendf(ev.Path[:0], "/v1/accounts/%d", sent%clients)
			send(ev)
		}
		if at > warm {
			for ; next < int((at-warm)/(40*time.Millisecond)); next++ {
				active = append(active, &attacker{fmt.Appendf(nil, "203.%d.%d.9", next>>8&255, next&255), 40, at})
				attackers.Add(1)
			}
		}
		active = slices.DeleteFunc(active, func(a *attacker) bool {
			for a.left > 0 && a.due <= at {
				login.ClientIP, login.LoginUser = a.ip, fmt.Appendf(login.LoginUser[:0], "n%d", a.left)
				send(login)
				a.left--
				a.due += 10 * time.Millisecond
			}
			return a.left == 0
		})
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	took := time.Since(began)
	if err := cl.Flush(ctx); err != nil {
		return fmt.Errorf("publishing: %w", err)
	}
	if p := failed.Load(); p != nil {
		return fmt.Errorf("publishing: %w", *p)
	}
	for _, role := range []string{config.RoleExtract, config.RoleScore} {
		if err := d.caughtUpSoon(ctx, cl, role); err != nil {
			return err
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(delays) == 0 {
		return errors.New("no attacker was blocked")
	}
	slices.Sort(delays)
	scenario := "latency, " + name
	r.Add(scenario, "events per second", float64(sent)/took.Seconds(), "1/s")
	r.Add(scenario, "call to block in follower, p50", delays[len(delays)/2], "ms")
	r.Add(scenario, "call to block in follower, p99", delays[len(delays)*99/100], "ms")
	r.Add(scenario, "attackers blocked", float64(len(delays)), fmt.Sprintf("of %d", attackers.Load()))
	return nil
}

// caughtUpSoon is caughtUp with a limit: live ticks keep a little lag standing.
func (d *deployment) caughtUpSoon(ctx context.Context, cl *kgo.Client, role string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := d.caughtUp(ctx, cl, role); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

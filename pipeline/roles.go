package pipeline

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weir-dev/weir/config"
	"github.com/weir-dev/weir/gateway"
	"github.com/weir-dev/weir/ingest"
	"github.com/weir-dev/weir/ingest/httpsource"
	"github.com/weir-dev/weir/ingest/publish"
	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/sinks"
	"github.com/weir-dev/weir/sinks/clickhousesink"
	"github.com/weir-dev/weir/sinks/parquetsink"
)

// pseudonymKey is the key that ingest and enforce must share.
func (s *Service) pseudonymKey() (ingest.Key, error) {
	if s.cfg.Ingest.HashKey.IsSet() {
		key, err := ingest.NewKey([]byte(s.cfg.Ingest.HashKey.Reveal()))
		if err != nil {
			return ingest.Key{}, fmt.Errorf("reading ingest.hash_key: %w", err)
		}
		return key, nil
	}
	return ingest.LoadKey(s.cfg.Ingest.HashKeyFile, "", s.log)
}

// ingest serves the HTTP intake.
func (s *Service) ingest(ctx context.Context, opts []kgo.Opt) error {
	key, err := s.pseudonymKey()
	if err != nil {
		return err
	}
	pub, err := publish.NewKafka(publish.Config{Brokers: s.Brokers, TopicPrefix: s.cfg.Kafka.TopicPrefix}, s.reg, opts...)
	if err != nil {
		return err
	}
	defer func() {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if err := pub.Close(stop); err != nil {
			s.log.Warn("closing the publisher", "err", err)
		}
	}()
	token := s.cfg.Listen.Token.Reveal()
	if err := gateway.CheckListen(s.cfg.Listen.Events, token, s.cfg.Listen.AllowInsecure); err != nil {
		return fmt.Errorf("listen.events: %w", err)
	}
	src, err := httpsource.New(httpsource.Config{
		Options: ingest.Options{Key: key, Tenant: s.cfg.Tenant, BodySamples: s.cfg.Ingest.BodySamples},
		Token:   token, MaxBody: int64(s.cfg.Ingest.MaxBody), MaxCompressed: int64(s.cfg.Ingest.MaxBody),
	}, pub, s.log, s.reg)
	if err != nil {
		return err
	}
	s.setReady(config.RoleIngest, true)
	return serveHTTP(ctx, s.cfg.Listen.Events, src.Handler(), s.log)
}

// sinkParts are the configured stores of history.
func (s *Service) sinkParts(opts []kgo.Opt) []part {
	var parts []part
	add := func(name string, open func() (sinks.Writer, func(), error)) {
		parts = append(parts, part{"sink-" + name, func(ctx context.Context) error {
			w, closeWriter, err := open()
			if err != nil {
				return err
			}
			defer closeWriter()
			partitions, err := partitionsOf(ctx, opts, s.topics().Events)
			if err != nil {
				return err
			}
			s.setReady("sink-"+name, true)
			return sinks.Run(ctx, sinks.Config{
				Opts: opts, Topics: sinks.TopicsWithPrefix(s.cfg.Kafka.TopicPrefix),
				Group: s.cfg.Kafka.GroupPrefix + "sink-" + name, Name: name, Writer: w,
				ChunkRows: s.cfg.Sink.ChunkRows, ChunkInterval: s.cfg.Sink.ChunkInterval,
				Skip:   func(rec *kgo.Record, e *schemas.Event) bool { return Misplaced(rec, e, partitions) },
				Logger: s.log, Registerer: s.reg,
			})
		}})
	}
	if s.cfg.Sink.Parquet {
		add("parquet", func() (sinks.Writer, func(), error) {
			w, err := parquetsink.New(s.cfg.ParquetDir())
			return w, func() {}, err
		})
	}
	if dsn := s.cfg.Sink.ClickHouseDSN.Reveal(); dsn != "" {
		add("clickhouse", func() (sinks.Writer, func(), error) {
			w, err := clickhousesink.New(clickhousesink.Config{DSN: dsn, Logger: s.log})
			if err != nil {
				return nil, nil, err
			}
			return w, func() {
				if err := w.Close(); err != nil {
					s.log.Warn("closing the ClickHouse connection", "err", err)
				}
			}, nil
		})
	}
	return parts
}

// partitionsOf is the partition count of a topic as it exists.
func partitionsOf(ctx context.Context, opts []kgo.Opt, topic string) (int32, error) {
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return 0, fmt.Errorf("connecting to Kafka: %w", err)
	}
	defer cl.Close()
	details, err := kadm.NewClient(cl).ListTopics(ctx, topic)
	if err == nil {
		err = details.Error()
	}
	if err != nil {
		return 0, fmt.Errorf("looking up topic %s: %w", topic, err)
	}
	return int32(len(details[topic].Partitions)), nil
}

// janitor removes expired entries from the blocklist.
func (s *Service) janitor(ctx context.Context, opts []kgo.Opt) error {
	j, err := gateway.NewJanitor(gateway.JanitorConfig{Opts: opts, Topic: s.topics().Blocklist, Logger: s.log, Registerer: s.reg})
	if err != nil {
		return err
	}
	defer j.Close()
	s.setReady("janitor", true)
	return j.Run(ctx)
}

// enforce follows the blocklist and answers gateways.
func (s *Service) enforce(ctx context.Context, opts []kgo.Opt) error {
	key, err := s.pseudonymKey()
	if err != nil {
		return err
	}
	list, err := gateway.NewBlocklist(gateway.Config{
		Opts: opts, Topic: s.topics().Blocklist, Tenant: s.cfg.Tenant, Logger: s.log, Registerer: s.reg,
	})
	if err != nil {
		return err
	}
	auth, err := gateway.NewAuth(list, s.authConfig(key))
	if err != nil {
		return err
	}
	server := gateway.ServerConfig{
		Addr: s.cfg.Listen.Auth, Token: s.cfg.Listen.Token.Reveal(), AllowInsecure: s.cfg.Listen.AllowInsecure, Logger: s.log,
	}
	ln, err := gateway.Listen(ctx, server)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	served := make(chan error, 1)
	go func() { served <- gateway.Serve(ctx, ln, server, gateway.Mux(auth, gateway.NewFeed(list))) }()
	go func() {
		select {
		case <-list.Ready():
			s.setReady(config.RoleEnforce, true)
		case <-ctx.Done():
		}
	}()
	err = list.Run(ctx)
	cancel()
	if serr := <-served; err == nil {
		err = serr
	}
	return err
}

func (s *Service) authConfig(key ingest.Key) gateway.AuthConfig {
	h := s.cfg.Enforce.Headers
	c := gateway.AuthConfig{
		UserHeader: h.User, ConsumerHeader: h.Consumer, SessionHeader: h.Session, JA4Header: h.JA4,
		ASNHeader: h.ASN, APIHeader: h.API,
		FailClosed: !s.cfg.Enforce.FailOpen, Logger: s.log, Registerer: s.reg,
	}
	c.TrustedPeers, _ = config.ParseNetworks(s.cfg.Enforce.TrustedPeers) // checked when the configuration was loaded
	if h.ClientIP != "" {
		c.AddressHeaders = []string{h.ClientIP}
	}
	// A Hasher caches and serves one goroutine at a time.
	hashers := sync.Pool{New: func() any { return ingest.NewHasher(key) }}
	c.HashCredential = func(secret []byte) []byte {
		h := hashers.Get().(*ingest.Hasher)
		defer hashers.Put(h)
		return h.Append(nil, ingest.KindCredential, secret)
	}
	return c
}

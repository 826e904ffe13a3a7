package pipeline

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/weir-dev/weir/config"
	"github.com/weir-dev/weir/ingest/publish"
	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/stream"
)

// KafkaOptions are the client options that reach the configured cluster.
// Brokers overrides the seed brokers, as for the embedded broker.
func KafkaOptions(k config.Kafka, brokers []string) ([]kgo.Opt, error) {
	opts := []kgo.Opt{kgo.SeedBrokers(brokers...), kgo.ClientID("weir")}
	if k.TLS.Enabled {
		c, err := clientTLS(k.TLS)
		if err != nil {
			return nil, err
		}
		opts = append(opts, kgo.DialTLSConfig(c))
	}
	user, password := k.SASL.User, k.SASL.Password.Reveal()
	switch k.SASL.Mechanism {
	case config.SASLPlain:
		opts = append(opts, kgo.SASL(plain.Auth{User: user, Pass: password}.AsMechanism()))
	case config.SASLScramSHA256:
		opts = append(opts, kgo.SASL(scram.Auth{User: user, Pass: password}.AsSha256Mechanism()))
	case config.SASLScramSHA512:
		opts = append(opts, kgo.SASL(scram.Auth{User: user, Pass: password}.AsSha512Mechanism()))
	}
	return opts, nil
}

func clientTLS(t config.TLS) (*tls.Config, error) {
	//nolint:gosec // the operator asked for it by a key that says so
	c := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: t.InsecureSkipVerify}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("reading kafka.tls.ca_file: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("reading kafka.tls.ca_file: %s holds no certificate", t.CAFile)
		}
	}
	if t.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("loading kafka.tls.cert_file: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// TopicSpecs are the topics of a configuration, as the stream package wants them.
func TopicSpecs(k config.Kafka) []stream.TopicSpec {
	var specs []stream.TopicSpec
	for _, t := range schemas.Topics(k.TopicPrefix, int32(k.Partitions)) {
		specs = append(specs, stream.TopicSpec(t))
	}
	return specs
}

// EnsureTopics creates what is missing of the configured topics.
func EnsureTopics(ctx context.Context, k config.Kafka, opts []kgo.Opt) error {
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return fmt.Errorf("connecting to Kafka: %w", err)
	}
	defer cl.Close()
	if err := stream.EnsureTopics(ctx, kadm.NewClient(cl), TopicSpecs(k), int16(k.Replication)); err != nil {
		return fmt.Errorf("creating topics: %w", err)
	}
	return nil
}

// EventProducerOptions are the client options of a producer of events: keyed
// partitioning as Kafka's own, and batches that fill for a few milliseconds.
func EventProducerOptions() []kgo.Opt { return publish.ProducerOptions() }

// EventRecord is an event as a record of the events topic. Key and value are
// its own.
func EventRecord(topic string, e *schemas.Event, key []byte) *kgo.Record {
	return &kgo.Record{
		Topic: topic, Key: key, Value: e.AppendProto(nil),
		Headers: schemaHeaders(schemas.SchemaEvent, schemas.ContentTypeProtobuf),
	}
}

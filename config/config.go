// Package config is the one configuration of the weir binary. The struct tags
// of Config are its single source: the YAML keys, the flags, the environment
// variables, the defaults and the reference file are all derived from them.
//
// A value is taken from the first of: a flag, an environment variable, the YAML
// file, the default. A key that does not exist, a value of the wrong type and a
// value that makes no sense are errors that say where they stand.
package config

//go:generate go test . -run ^TestReferenceIsCurrentAndLoads$ -update

import (
	"log/slog"
	"path/filepath"
	"slices"
	"time"
)

// Roles that a weir process can play.
const (
	RoleIngest  = "ingest"  // take events in and publish them
	RoleExtract = "extract" // turn events into features
	RoleScore   = "score"   // judge features and keep the blocklist
	RoleSink    = "sink"    // write history
	RoleEnforce = "enforce" // answer gateways
	RoleLearn   = "learn"   // make models of what is seen, and put them to use
)

// SASL mechanisms of kafka.sasl.mechanism.
const (
	SASLNone        = "none"
	SASLPlain       = "plain"
	SASLScramSHA256 = "scram-sha-256"
	SASLScramSHA512 = "scram-sha-512"
)

// Formats of log.format.
const (
	LogText = "text"
	LogJSON = "json"
)

// Config is everything an operator can set. Load fills and validates it, Default
// gives the defaults alone. A Config is not changed after Load and may be shared.
//
// Tags: yaml names the key, doc describes it in the reference, default is its
// value as it would be written in YAML (lists comma-separated), enum lists what
// is allowed, secret:"true" keeps the value out of the file and the command
// line, and flag replaces the derived flag name.
type Config struct {
	Roles   []string `yaml:"roles" default:"ingest,extract,score,sink,enforce" enum:"ingest,extract,score,sink,enforce,learn" doc:"What this process does."`
	DataDir string   `yaml:"data_dir" default:"./weir-data" doc:"Directory of what this process keeps: the embedded broker's log and the Parquet history."`
	Tenant  string   `yaml:"tenant" default:"default" doc:"Tenant of events that name none."`

	Kafka    Kafka    `yaml:"kafka" doc:"The log that everything flows through."`
	Listen   Listen   `yaml:"listen" doc:"Addresses this process serves, host:port. Empty: not served."`
	Features Features `yaml:"features" doc:"How events become windows of features. Every extractor must have the same values."`
	Extract  Extract  `yaml:"extract" doc:"The extract role."`
	Score    Score    `yaml:"score" doc:"The score role. Every scorer must have the same values."`
	Ingest   Ingest   `yaml:"ingest" doc:"The ingest role."`
	Sink     Sink     `yaml:"sink" doc:"The sink role: history in Parquet files and ClickHouse."`
	Enforce  Enforce  `yaml:"enforce" doc:"The enforce role: answers to gateways."`
	Learn    Learn    `yaml:"learn" doc:"The learn role: models of the traffic itself."`
	Log      Log      `yaml:"log" doc:"Logging, to standard error."`

	// origins says where each key's value came from; keys at their default are
	// absent. It lets Validate name the line of a value that parses but makes no
	// sense.
	origins map[string]Origin
}

// Kafka says which brokers to use and how.
type Kafka struct {
	Brokers     []string `yaml:"brokers" flag:"brokers" doc:"Seed brokers, host:port. Empty: a single-node broker inside this process, kept in data_dir."`
	TopicPrefix string   `yaml:"topic_prefix" default:"weir." doc:"Put before every topic name."`
	Partitions  int      `yaml:"partitions" default:"8" doc:"Partitions of the events, features, aggregates and state topics, 1 to 1024. Fixed once the topics exist."`
	Replication int      `yaml:"replication" default:"1" doc:"Replication factor of topics that weir creates."`
	GroupPrefix string   `yaml:"group_prefix" default:"weir-" doc:"Put before every consumer group and transactional id."`
	TLS         TLS      `yaml:"tls" doc:"TLS to the brokers."`
	SASL        SASL     `yaml:"sasl" doc:"Authentication to the brokers."`
}

// Embedded reports whether the broker runs inside this process.
func (k *Kafka) Embedded() bool { return len(k.Brokers) == 0 }

// TLS is a client's side of a TLS connection.
type TLS struct {
	Enabled            bool   `yaml:"enabled" default:"false" doc:"Use TLS."`
	CAFile             string `yaml:"ca_file" doc:"PEM certificates to trust. Empty: the system's."`
	CertFile           string `yaml:"cert_file" doc:"PEM client certificate; needs key_file."`
	KeyFile            string `yaml:"key_file" doc:"PEM key of cert_file."`
	InsecureSkipVerify bool   `yaml:"insecure_skip_verify" default:"false" doc:"Accept any server certificate. For tests only."`
}

// SASL is a client's credentials.
type SASL struct {
	Mechanism    string `yaml:"mechanism" default:"none" enum:"none,plain,scram-sha-256,scram-sha-512" doc:"How to authenticate."`
	User         string `yaml:"user" doc:"User name."`
	Password     Secret `yaml:"password" secret:"true" doc:"Password."`
	PasswordFile string `yaml:"password_file" doc:"File that holds the password."`
}

// Listen is where the process serves, and who may call.
type Listen struct {
	Events        string `yaml:"events" default:"127.0.0.1:8600" doc:"HTTP intake of events (role ingest)."`
	Auth          string `yaml:"auth" default:"127.0.0.1:8620" doc:"Forward-auth and the blocklist feed (role enforce)."`
	Admin         string `yaml:"admin" default:"127.0.0.1:8640" doc:"Metrics, health and profiles."`
	Kafka         string `yaml:"kafka" default:"127.0.0.1:9092" doc:"The embedded broker, where it is used. It has no authentication."`
	Token         Secret `yaml:"token" secret:"true" doc:"Token that callers of the HTTP listeners must show."`
	TokenFile     string `yaml:"token_file" doc:"File that holds the token."`
	AllowInsecure bool   `yaml:"allow_insecure" default:"false" doc:"Serve beyond loopback without authentication. Only inside a network that is closed by other means."`
}

// Features shapes the event-time windows.
type Features struct {
	Hop        time.Duration `yaml:"hop" default:"10s" doc:"Length of a window; a day must be a whole number of them."`
	Lateness   time.Duration `yaml:"lateness" default:"2s" doc:"How far behind the newest event of its partition an event may be. Later ones go to the dead-letter topic."`
	MaxClients int           `yaml:"max_clients" default:"1000000" doc:"Clients kept in memory per process, divided over the partitions. Beyond it the least recently seen is dropped."`
	MaxFuture  time.Duration `yaml:"max_future" default:"1s" doc:"How far an event's time may be ahead of the broker's. A later time is cut back."`
	Decoys     []string      `yaml:"decoys" doc:"Routes that exist to be found by those who look for what they were not given: path templates, api:/path for one API. A client that calls one beside legitimate calls is blocked."`
}

// Extract paces the extractor's transactions.
type Extract struct {
	CommitInterval   time.Duration `yaml:"commit_interval" default:"15ms" doc:"Longest time between commits while events arrive. Shorter: verdicts sooner, more work per event."`
	SnapshotInterval time.Duration `yaml:"snapshot_interval" default:"30s" doc:"Time in which the whole state is written once. Shorter: faster recovery, more bytes."`
	TickInterval     time.Duration `yaml:"tick_interval" default:"1s" doc:"How long a partition must be idle until the clock closes its windows. 0: never, for events that are not live."`
}

// Score is the decision policy. The alphas are false-decision rates per benign
// client-day.
type Score struct {
	ModelFile      string        `yaml:"model_file" doc:"Model to start from. Empty: the one shipped in the binary."`
	AlphaBlock     float64       `yaml:"alpha_block" default:"1e-4" doc:"Share of benign client-days that may be blocked."`
	AlphaChallenge float64       `yaml:"alpha_challenge" default:"1e-3" doc:"Share of benign client-days that may be challenged."`
	AlphaThrottle  float64       `yaml:"alpha_throttle" default:"1e-2" doc:"Share of benign client-days that may be throttled."`
	BlockTTL       time.Duration `yaml:"block_ttl" default:"1h" doc:"How long a first block lasts."`
	MaxBlockTTL    time.Duration `yaml:"max_block_ttl" default:"24h" doc:"Longest a repeated block lasts."`
	FDR            float64       `yaml:"fdr" default:"0" doc:"Share of blocks that may be false, controlled over client-days; what it refuses is challenged. 0: not controlled."`
	HoldOut        float64       `yaml:"hold_out" default:"0" doc:"Share of blocks that is decided and not enforced, to learn how many are right. 0: none."`
	MaxBlocks      int           `yaml:"max_blocks_per_minute" default:"1000" doc:"More new blocks in a minute are not believed: nothing is enforced until it has been quiet again. 0: any number."`
	MaxBlocked     float64       `yaml:"max_blocked_share" default:"0.25" doc:"The same for a share of the clients active on a day, within ten minutes. 0: any share."`
	Shadow         bool          `yaml:"shadow" default:"false" doc:"Decide and report, enforce nothing."`
	ShadowAPIs     []string      `yaml:"shadow_apis" doc:"APIs in shadow mode."`
	Janitor        bool          `yaml:"janitor" default:"true" doc:"Remove entries from the blocklist topic once they have expired by the clock. False: for events that are not live."`
}

// Ingest says how events are taken in.
type Ingest struct {
	HashKey     Secret `yaml:"hash_key" secret:"true" doc:"Key of the pseudonyms that replace credentials and login names, 16 bytes or more. Every process of the roles ingest and enforce must have the same."`
	HashKeyFile string `yaml:"hash_key_file" doc:"File that holds the hash key."`
	BodySamples bool   `yaml:"body_samples" default:"false" doc:"Keep up to 4 KiB of request bodies that gateways send."`
	MaxBody     Size   `yaml:"max_body" default:"64MiB" doc:"Largest request of events accepted, after decompression."`
}

// Sink says where history goes.
type Sink struct {
	Parquet           bool          `yaml:"parquet" default:"true" doc:"Write Parquet files."`
	ParquetDir        string        `yaml:"parquet_dir" doc:"Directory of the Parquet files. Empty: history under data_dir."`
	ClickHouseDSN     Secret        `yaml:"clickhouse_dsn" secret:"true" doc:"ClickHouse to write to, clickhouse://user:password@host:9000/database. Empty: none."`
	ClickHouseDSNFile string        `yaml:"clickhouse_dsn_file" doc:"File that holds the ClickHouse DSN."`
	ChunkRows         int           `yaml:"chunk_rows" default:"100000" doc:"Rows of one insert or row group, at most."`
	ChunkInterval     time.Duration `yaml:"chunk_interval" default:"2s" doc:"Longest wait for an insert to fill."`
}

// Enforce says how gateways' questions are answered.
type Enforce struct {
	FailOpen     bool     `yaml:"fail_open" default:"true" doc:"Let traffic pass while the blocklist is not loaded."`
	TrustedPeers []string `yaml:"trusted_peers" default:"127.0.0.0/8,::1/128" doc:"Gateways whose identity headers are believed, addresses or networks."`
	Headers      Headers  `yaml:"headers" doc:"Request headers in which a gateway names the client. Empty: not read. The gateway must set or clear each of them."`
}

// Headers names where a gateway's question carries the client's identities. A
// gateway must set or clear every header named here: one that it passes on as it
// came lets the client choose who to be.
type Headers struct {
	ClientIP string `yaml:"client_ip" default:"X-Real-IP" doc:"Client address. Of a list, as in X-Forwarded-For, the last address that is no trusted peer."`
	User     string `yaml:"user" doc:"Authenticated user."`
	Consumer string `yaml:"consumer" doc:"Authenticated application."`
	Session  string `yaml:"session" doc:"Session id."`
	JA4      string `yaml:"ja4" doc:"TLS fingerprint of the client."`
	ASN      string `yaml:"asn" doc:"Number of the autonomous system of the client's address."`
	API      string `yaml:"api" doc:"API that is called, as the events name it. Empty: X-Forwarded-Host."`
}

// Learn paces continuous learning.
type Learn struct {
	Enabled  bool          `yaml:"enabled" default:"false" doc:"Learn in this process beside its other roles, as naming the role learn does. One process of a deployment learns at a time; more wait to take over."`
	Name     string        `yaml:"name" default:"learnt" doc:"Name of the models that are made."`
	Interval time.Duration `yaml:"interval" default:"6h" doc:"Event time between two models."`
	Warmup   time.Duration `yaml:"warmup" default:"1h" doc:"Event time that must have been seen before the first model."`
	Promote  bool          `yaml:"promote" default:"true" doc:"Put a model to use when it holds in its trial. False: only publish it, for weir models activate."`
}

// Log says what is logged and how.
type Log struct {
	Level  string `yaml:"level" default:"info" enum:"debug,info,warn,error" doc:"Least severe level that is logged."`
	Format string `yaml:"format" default:"text" enum:"text,json" doc:"Shape of a log line."`
}

// SlogLevel is the level for a slog handler; an unknown name is info.
func (l Log) SlogLevel() slog.Level {
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.Level)); err != nil {
		return slog.LevelInfo
	}
	return level
}

// Learns reports whether this process learns.
func (c *Config) Learns() bool { return c.Learn.Enabled || c.HasRole(RoleLearn) }

// HasRole reports whether this process plays a role.
func (c *Config) HasRole(role string) bool { return slices.Contains(c.Roles, role) }

// ParquetDir is the directory of Parquet history: sink.parquet_dir, or history
// under data_dir.
func (c *Config) ParquetDir() string {
	if c.Sink.ParquetDir != "" {
		return c.Sink.ParquetDir
	}
	return filepath.Join(c.DataDir, "history")
}

// ClientsPerPartition is one partition's share of features.max_clients, at
// least 1. It rests on kafka.partitions, not on how many this process happens
// to own, because state that moves to another process must meet the same limit.
func (c *Config) ClientsPerPartition() int {
	return max(1, c.Features.MaxClients/max(1, c.Kafka.Partitions))
}

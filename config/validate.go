package config

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Limits that Validate holds to.
const (
	maxPartitions = 1024
	maxCommit     = 5 * time.Second // well inside the 10 s transaction timeout
	minHashKey    = 16              // bytes
	maxPrefix     = 100             // bytes; Kafka ends topic names at 249
)

// checker collects what is wrong with one Config.
type checker struct {
	config *Config
	found  *problems
}

// Validate checks what the types cannot: that values make sense, alone and
// together, and that files exist. Load calls it. The error joins everything that
// is wrong, each an *Error.
func (c *Config) Validate() error {
	found := new(problems)
	c.validate(found)
	return found.err()
}

func (c *Config) validate(found *problems) {
	k := &checker{config: c, found: found}
	k.general()
	k.kafka()
	k.listen()
	k.pace()
	k.score()
	k.ingest()
	k.sink()
	k.enforce()
	k.learn()
}

func (k *checker) fail(key, format string, args ...any) {
	k.found.add(k.config.origins[key], key, fmt.Errorf(format, args...))
}

// failAt blames whichever of several keys was set in the place that wins, so
// that the message names a line the operator wrote rather than a default.
func (k *checker) failAt(keys []string, format string, args ...any) {
	key := slices.MaxFunc(keys, func(a, b string) int {
		return cmp.Compare(k.config.origins[a].source, k.config.origins[b].source)
	})
	k.fail(key, format, args...)
}

func (k *checker) general() {
	c := k.config
	if len(c.Roles) == 0 {
		k.fail("roles", "want at least one role")
	}
	if c.DataDir == "" {
		k.fail("data_dir", "want a directory")
	}
	if c.Tenant == "" || strings.ContainsAny(c.Tenant, "/ \t\r\n") {
		k.fail("tenant", "want a name without slashes and spaces, got %q", c.Tenant)
	}
}

func (k *checker) kafka() {
	c := &k.config.Kafka
	for _, b := range c.Brokers {
		if _, port, err := splitAddress(b); err != nil {
			k.fail("kafka.brokers", "%w", err)
		} else if port == 0 {
			k.fail("kafka.brokers", "want a port other than 0 in %q", b)
		}
	}
	for key, prefix := range map[string]string{"kafka.topic_prefix": c.TopicPrefix, "kafka.group_prefix": c.GroupPrefix} {
		if len(prefix) > maxPrefix || strings.ContainsFunc(prefix, notInName) {
			k.fail(key, "want up to %d letters, digits, dots, dashes and underscores, got %q", maxPrefix, prefix)
		}
	}
	if c.Partitions < 1 || c.Partitions > maxPartitions {
		k.fail("kafka.partitions", "want 1 to %d, got %d", maxPartitions, c.Partitions)
	}
	if c.Replication < 1 || c.Replication > 32767 {
		k.fail("kafka.replication", "want 1 or more, got %d", c.Replication)
	}
	if c.Embedded() {
		const single = "the embedded broker is a single node without TLS and authentication; set kafka.brokers"
		if c.Replication > 1 {
			k.fail("kafka.replication", single)
		}
		if c.TLS.Enabled {
			k.fail("kafka.tls.enabled", single)
		}
		if c.SASL.Mechanism != SASLNone {
			k.fail("kafka.sasl.mechanism", single)
		}
	}
	k.tls("kafka.tls", &c.TLS)
	k.sasl(&c.SASL)
}

func notInName(r rune) bool {
	letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
	return !letter && r != '.' && r != '-' && r != '_'
}

func (k *checker) tls(section string, c *TLS) {
	for key, path := range map[string]string{"ca_file": c.CAFile, "cert_file": c.CertFile, "key_file": c.KeyFile} {
		if path == "" {
			continue
		}
		if !c.Enabled {
			// Somebody who names certificates believes the connection is encrypted.
			k.fail(section+"."+key, "given, but %s.enabled is false", section)
		}
		k.file(section+"."+key, path)
	}
	if c.InsecureSkipVerify && !c.Enabled {
		k.fail(section+".insecure_skip_verify", "given, but %s.enabled is false", section)
	}
	switch {
	case c.CertFile != "" && c.KeyFile == "":
		k.fail(section+".cert_file", "given without %s.key_file", section)
	case c.KeyFile != "" && c.CertFile == "":
		k.fail(section+".key_file", "given without %s.cert_file", section)
	}
}

func (k *checker) sasl(c *SASL) {
	if c.Mechanism == SASLNone {
		if c.User != "" {
			k.fail("kafka.sasl.user", "given, but kafka.sasl.mechanism is none")
		}
		return
	}
	if c.User == "" {
		k.fail("kafka.sasl.mechanism", "%s needs kafka.sasl.user", c.Mechanism)
	}
	if !c.Password.IsSet() {
		k.fail("kafka.sasl.mechanism", "%s needs a password: set kafka.sasl.password_file or %sKAFKA_SASL_PASSWORD", c.Mechanism, envPrefix)
	}
}

func (k *checker) listen() {
	c := &k.config.Listen
	taken := map[string]string{}
	for _, l := range []struct {
		key, address string
		used         bool
		token        bool // whether its callers can be asked for the token
	}{
		{"listen.events", c.Events, k.config.HasRole(RoleIngest), true},
		{"listen.auth", c.Auth, k.config.HasRole(RoleEnforce), true},
		{"listen.admin", c.Admin, true, true},
		{"listen.kafka", c.Kafka, k.config.Kafka.Embedded(), false},
	} {
		if l.address == "" {
			if l.key == "listen.kafka" && l.used {
				k.fail(l.key, "the embedded broker needs an address")
			}
			continue
		}
		host, port, err := splitAddress(l.address)
		if err != nil {
			k.fail(l.key, "%w", err)
			continue
		}
		if !l.used {
			continue
		}
		if !isLoopback(host) && !c.AllowInsecure && (!l.token || !c.Token.IsSet()) {
			if l.token {
				k.fail(l.key, "%s is reachable from other machines without authentication: set listen.token_file, or listen.allow_insecure where the network is closed", l.address)
			} else {
				k.fail(l.key, "%s is reachable from other machines, and the embedded broker has no authentication: set listen.allow_insecure where the network is closed", l.address)
			}
		}
		if other, ok := taken[l.address]; ok && port != 0 {
			k.fail(l.key, "%s is also %s", l.address, other)
		}
		taken[l.address] = l.key
	}
}

// pace checks the windows of features and the intervals of extract and sink.
func (k *checker) pace() {
	c := k.config
	for key, d := range map[string]time.Duration{
		"features.hop":              c.Features.Hop,
		"features.lateness":         c.Features.Lateness,
		"features.max_future":       c.Features.MaxFuture,
		"extract.commit_interval":   c.Extract.CommitInterval,
		"extract.snapshot_interval": c.Extract.SnapshotInterval,
		"score.block_ttl":           c.Score.BlockTTL,
		"score.max_block_ttl":       c.Score.MaxBlockTTL,
		"sink.chunk_interval":       c.Sink.ChunkInterval,
		"learn.interval":            c.Learn.Interval,
		"learn.warmup":              c.Learn.Warmup,
	} {
		if d <= 0 {
			k.fail(key, "want more than 0, got %s", formatDuration(d))
		}
	}
	if d := c.Extract.TickInterval; d < 0 {
		k.fail("extract.tick_interval", "want 0 or more, got %s", formatDuration(d))
	}
	if hop := c.Features.Hop; hop > 0 && (24*time.Hour)%hop != 0 {
		k.fail("features.hop", "a day must be a whole number of hops, got %s", formatDuration(hop))
	}
	for _, d := range c.Features.Decoys {
		if at := strings.IndexByte(d, '/'); at < 0 || at > 0 && d[at-1] != ':' {
			k.fail("features.decoys", "%q is not a path template such as /v1/internal/backup or shop:/v1/internal/backup", d)
		}
	}
	if c.Features.MaxClients < max(1, c.Kafka.Partitions) {
		k.failAt([]string{"features.max_clients", "kafka.partitions"}, "want features.max_clients (%d) at or above kafka.partitions (%d): every partition keeps a client at least", c.Features.MaxClients, c.Kafka.Partitions)
	}
	if c.Extract.CommitInterval > maxCommit {
		k.fail("extract.commit_interval", "want at most %s, got %s", formatDuration(maxCommit), formatDuration(c.Extract.CommitInterval))
	}
	if c.Extract.SnapshotInterval < c.Extract.CommitInterval {
		k.failAt([]string{"extract.snapshot_interval", "extract.commit_interval"}, "want extract.snapshot_interval (%s) at or above extract.commit_interval (%s)", formatDuration(c.Extract.SnapshotInterval), formatDuration(c.Extract.CommitInterval))
	}
}

func (k *checker) score() {
	c := &k.config.Score
	alphas := []struct {
		key   string
		value float64
	}{
		{"score.alpha_block", c.AlphaBlock},
		{"score.alpha_challenge", c.AlphaChallenge},
		{"score.alpha_throttle", c.AlphaThrottle},
	}
	inRange := true
	for _, a := range alphas {
		// Written so that NaN is refused too.
		if !(a.value > 0 && a.value < 1) {
			k.fail(a.key, "want a share above 0 and below 1, got %v", a.value)
			inRange = false
		}
	}
	for i := 1; inRange && i < len(alphas); i++ {
		if low, high := alphas[i-1], alphas[i]; low.value > high.value {
			k.failAt([]string{low.key, high.key}, "want %s (%v) at or below %s (%v): a harsher action must be the rarer one", low.key, low.value, high.key, high.value)
		}
	}
	if c.BlockTTL > c.MaxBlockTTL {
		k.failAt([]string{"score.block_ttl", "score.max_block_ttl"}, "want score.block_ttl (%s) at or below score.max_block_ttl (%s)", formatDuration(c.BlockTTL), formatDuration(c.MaxBlockTTL))
	}
	for _, s := range []struct {
		key   string
		value float64
	}{{"score.fdr", c.FDR}, {"score.hold_out", c.HoldOut}, {"score.max_blocked_share", c.MaxBlocked}} {
		if !(s.value >= 0 && s.value < 1) {
			k.fail(s.key, "want a share from 0 to below 1, got %v", s.value)
		}
	}
	if c.MaxBlocks < 0 {
		k.fail("score.max_blocks_per_minute", "want 0 or more, got %d", c.MaxBlocks)
	}
	if c.ModelFile != "" {
		k.file("score.model_file", c.ModelFile)
	}
}

func (k *checker) ingest() {
	c := &k.config.Ingest
	if n := len(c.HashKey.Reveal()); c.HashKey.IsSet() && n < minHashKey {
		k.fail("ingest.hash_key", "want %d bytes or more, got %d", minHashKey, n)
	}
	if c.MaxBody <= 0 {
		k.fail("ingest.max_body", "want more than 0B, got %s", c.MaxBody)
	}
}

func (k *checker) sink() {
	c := &k.config.Sink
	if c.ChunkRows < 1 {
		k.fail("sink.chunk_rows", "want 1 or more, got %d", c.ChunkRows)
	}
	if c.ClickHouseDSN.IsSet() {
		// The parser's error repeats the DSN, which holds a password.
		u, err := url.Parse(c.ClickHouseDSN.Reveal())
		if err != nil || u.Host == "" || !slices.Contains([]string{"clickhouse", "tcp", "http", "https"}, u.Scheme) {
			k.fail("sink.clickhouse_dsn", "want clickhouse://user:password@host:9000/database")
		}
	} else if !c.Parquet && k.config.HasRole(RoleSink) {
		k.fail("sink.parquet", "false without a ClickHouse DSN leaves the sink role nothing to write to")
	}
}

func (k *checker) learn() {
	if name := k.config.Learn.Name; name == "" || name == "configured" || len(name) > maxPrefix || strings.ContainsFunc(name, notInName) {
		k.fail("learn.name", "want a name of 1 to %d letters, digits, dots, dashes and underscores other than configured, got %q", maxPrefix, name)
	}
}

func (k *checker) enforce() {
	c := &k.config.Enforce
	if _, err := ParseNetworks(c.TrustedPeers); err != nil {
		k.fail("enforce.trusted_peers", "%w", err)
	}
	h := &c.Headers
	for key, name := range map[string]string{
		"client_ip": h.ClientIP, "user": h.User, "consumer": h.Consumer, "session": h.Session, "ja4": h.JA4, "asn": h.ASN, "api": h.API,
	} {
		if strings.ContainsFunc(name, notInHeader) {
			k.fail("enforce.headers."+key, "want a header name, got %q", name)
		}
	}
}

// notInHeader reports whether RFC 9110 keeps a rune out of field names.
func notInHeader(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune("\"(),/:;<=>?@[\\]{}", r)
}

// file refuses a path that is no readable regular file.
func (k *checker) file(key, path string) {
	f, err := os.Open(path)
	if err != nil {
		k.fail(key, "%w", err)
		return
	}
	defer f.Close() //nolint:errcheck // read-only: closing loses nothing
	if info, err := f.Stat(); err == nil && info.IsDir() {
		k.fail(key, "%s is a directory", path)
	}
}

// ParseNetworks reads addresses and networks, 10.0.0.1 or 10.0.0.0/8; an address
// is the network of itself. Bits beyond the prefix length are an error, because
// what was meant cannot be told.
func ParseNetworks(entries []string) ([]netip.Prefix, error) {
	networks := make([]netip.Prefix, 0, len(entries))
	for _, e := range entries {
		if addr, err := netip.ParseAddr(e); err == nil && addr.Zone() == "" {
			networks = append(networks, netip.PrefixFrom(addr, addr.BitLen()))
			continue
		}
		p, err := netip.ParsePrefix(e)
		if err != nil {
			return nil, fmt.Errorf("want an address or a network such as 10.0.0.0/8, got %q", e)
		}
		if p != p.Masked() {
			return nil, fmt.Errorf("network %s has bits beyond its length; want %s", p, p.Masked())
		}
		networks = append(networks, p)
	}
	return networks, nil
}

// splitAddress reads host:port; the host may be empty, the port is a number.
func splitAddress(address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err == nil {
		port, err = strconv.Atoi(text)
	}
	if err == nil && (port < 0 || port > 65535) {
		err = errors.New("port out of range")
	}
	if err != nil || strings.ContainsAny(host, "/ ") {
		return "", 0, fmt.Errorf("want host:port, got %q", address)
	}
	return host, port, nil
}

// isLoopback reports whether only this machine reaches a host. Another name than
// localhost may resolve to anything, so it counts as reachable.
func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

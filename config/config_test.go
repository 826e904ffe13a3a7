package config

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// environment is an env lookup over a map.
func environment(vars map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		v, ok := vars[name]
		return v, ok
	}
}

// parsed is a flag set with every key bound, after parsing args.
func parsed(t *testing.T, args ...string) *pflag.FlagSet {
	t.Helper()
	fs := pflag.NewFlagSet("weir", pflag.ContinueOnError)
	BindFlags(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatalf("parsing %v: %v", args, err)
	}
	return fs
}

// written is the path of a file with the given content.
func written(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func corpus(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", pattern))
	if err != nil || len(files) == 0 {
		t.Fatalf("no corpus for %s: %v", pattern, err)
	}
	return files
}

func TestGoodFilesLoad(t *testing.T) {
	for _, file := range corpus(t, "*.good.yml") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			if _, err := Load(file, nil, nil); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Each bad file states on its first lines, after "# error: ", what Load must say.
func TestBadFilesAreRefusedWithTheirLine(t *testing.T) {
	for _, file := range corpus(t, "*.bad.yml") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for s := bufio.NewScanner(bytes.NewReader(data)); s.Scan(); {
				if text, ok := strings.CutPrefix(s.Text(), "# error: "); ok {
					want = append(want, text)
				}
			}
			if len(want) == 0 {
				t.Fatal("the file does not state its error")
			}
			c, err := Load(file, nil, nil)
			if err == nil {
				t.Fatal("loaded without an error")
			}
			if c != nil {
				t.Error("a refused configuration was returned")
			}
			for _, w := range want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("error\n\t%v\ndoes not contain\n\t%s", err, w)
				}
			}
			if n := strings.Count(err.Error(), "\n") + 1; n != len(want) {
				t.Errorf("%d errors, want %d:\n%v", n, len(want), err)
			}
			if strings.Contains(err.Error(), "pw-in") {
				t.Errorf("error tells a secret: %v", err)
			}
			var e *Error
			if !errors.As(err, &e) {
				t.Errorf("error has type %T, want *Error inside", err)
			}
		})
	}
}

func TestFullFileSetsEveryType(t *testing.T) {
	c, err := Load("testdata/full.good.yml", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	check := func(name string, got, want any) {
		t.Helper()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %#v, want %#v", name, got, want)
		}
	}
	check("roles", c.Roles, []string{RoleExtract, RoleScore, RoleIngest})
	check("tenant", c.Tenant, "007")
	check("brokers", c.Kafka.Brokers, []string{"[::1]:9092", "broker.example:9093"})
	check("partitions", c.Kafka.Partitions, 1024)
	check("mechanism", c.Kafka.SASL.Mechanism, SASLScramSHA512)
	check("password", c.Kafka.SASL.Password.Reveal(), "s3cr3t-token")
	check("token", c.Listen.Token.Reveal(), "s3cr3t-token")
	check("listen.kafka", c.Listen.Kafka, "")
	check("lateness", c.Features.Lateness, 5*time.Second)
	check("snapshot", c.Extract.SnapshotInterval, 90*time.Second)
	check("max clients", c.Features.MaxClients, 1_000_000)
	check("alpha block", c.Score.AlphaBlock, 1e-5)
	check("alpha challenge", c.Score.AlphaChallenge, 1e-5)
	check("alpha throttle", c.Score.AlphaThrottle, 0.5)
	check("shadow apis", c.Score.ShadowAPIs, []string{"orders, v2", "payments"})
	check("hash key", c.Ingest.HashKey.Reveal(), "correct-horse-battery-staple")
	check("body samples", c.Ingest.BodySamples, true)
	check("max body", c.Ingest.MaxBody, Size(1<<30))
	check("fail open", c.Enforce.FailOpen, false)
	check("trusted peers", c.Enforce.TrustedPeers, []string{"10.0.0.0/8", "192.0.2.7", "2001:db8::/32"})
	check("user header", c.Enforce.Headers.User, "X-User")
	check("address header", c.Enforce.Headers.ClientIP, "X-Real-IP")
	check("clients per partition", c.ClientsPerPartition(), 976)
	check("parquet dir", c.ParquetDir(), filepath.Join("/var/lib/weir", "history"))
	check("tls key origin", c.Origin("kafka.tls.key_file").String(), "testdata/full.good.yml:17")
}

func TestDefaultsAreValid(t *testing.T) {
	c := Default()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	if !c.Kafka.Embedded() || len(c.Roles) != 5 || c.Extract.CommitInterval != 15*time.Millisecond || c.Score.AlphaBlock != 1e-4 {
		t.Errorf("defaults are not those documented: %+v", c)
	}
	if !reflect.DeepEqual(c.Enforce.TrustedPeers, []string{"127.0.0.0/8", "::1/128"}) {
		t.Errorf("trusted peers are %v", c.Enforce.TrustedPeers)
	}
}

func TestFlagBeatsEnvironmentBeatsFileBeatsDefault(t *testing.T) {
	file := written(t, "weir.yml", "tenant: from-file\nkafka: {brokers: [\"file:9092\"], topic_prefix: file.}\nfeatures: {hop: 20s}\n")
	env := environment(map[string]string{
		"WEIR_TENANT": "from-env", "WEIR_KAFKA_BROKERS": "env-1:9092, env-2:9092", "WEIR_SCORE_SHADOW": "true", "WEIR_LOG_LEVEL": "",
	})
	c, err := Load(file, parsed(t, "--tenant=from-flag", "--score.shadow=false", "--roles", "score", "--roles", "sink,enforce"), env)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		key         string
		got, want   any
		originParts string
	}{
		{"tenant", c.Tenant, "from-flag", "flag --tenant"},
		{"kafka.brokers", c.Kafka.Brokers, []string{"env-1:9092", "env-2:9092"}, "env WEIR_KAFKA_BROKERS"},
		{"kafka.topic_prefix", c.Kafka.TopicPrefix, "file.", ":2"},
		{"features.hop", c.Features.Hop, 20 * time.Second, ":3"},
		{"features.lateness", c.Features.Lateness, 2 * time.Second, "default"},
		{"score.shadow", c.Score.Shadow, false, "flag --score.shadow"},
		{"roles", c.Roles, []string{"score", "sink", "enforce"}, "flag --roles"},
		{"log.level", c.Log.Level, "info", "default"},
	} {
		if !reflect.DeepEqual(x.got, x.want) {
			t.Errorf("%s is %v, want %v", x.key, x.got, x.want)
		}
		if o := c.Origin(x.key).String(); !strings.Contains(o, x.originParts) {
			t.Errorf("%s comes from %q, want %q", x.key, o, x.originParts)
		}
	}
}

func TestBoolFlagNeedsNoValue(t *testing.T) {
	c, err := Load("", parsed(t, "--score.shadow"), nil)
	if err != nil || !c.Score.Shadow {
		t.Fatalf("shadow is not on: %v", err)
	}
}

func TestWrongFlagIsRefusedWhenParsed(t *testing.T) {
	fs := pflag.NewFlagSet("weir", pflag.ContinueOnError)
	BindFlags(fs)
	if err := fs.Parse([]string{"--features.hop=10"}); err == nil || !strings.Contains(err.Error(), "want a duration such as") {
		t.Errorf("error is %v", err)
	}
}

func TestWrongEnvironmentNamesTheVariable(t *testing.T) {
	f := func(name, value, want string) {
		t.Helper()
		_, err := Load("", nil, environment(map[string]string{name: value}))
		if err == nil || err.Error() != want {
			t.Errorf("%s=%s: error is %v, want %s", name, value, err, want)
		}
	}
	f("WEIR_KAFKA_PARTITIONS", "many", `env WEIR_KAFKA_PARTITIONS: kafka.partitions: want a whole number, got "many"`)
	f("WEIR_KAFKA_PARTITIONS", "0", "env WEIR_KAFKA_PARTITIONS: kafka.partitions: want 1 to 1024, got 0")
	f("WEIR_ROLES", "ingest,,score", `env WEIR_ROLES: roles: want one of ingest, extract, score, sink, enforce, learn, got ""`)
	f("WEIR_SINK_CLICKHOUSE_DSN", "clickhouse://u:pw-in-dsn@%zz", "env WEIR_SINK_CLICKHOUSE_DSN: sink.clickhouse_dsn: want clickhouse://user:password@host:9000/database")
}

func TestMissingFileIsAnError(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "absent.yml"), nil, nil)
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error is %v, want one that wraps os.ErrNotExist", err)
	}
}

func TestHugeFileIsRefusedUnread(t *testing.T) {
	path := written(t, "huge.yml", "# "+strings.Repeat("x", maxFileBytes)+"\n")
	if _, err := Load(path, nil, nil); err == nil || !strings.Contains(err.Error(), "is larger than") {
		t.Errorf("error is %v", err)
	}
}

func TestSecretFileYieldsToWhatWins(t *testing.T) {
	inFile := written(t, "weir.yml", "listen: {token_file: testdata/token.secret}\n")
	c, err := Load(inFile, nil, environment(map[string]string{"WEIR_LISTEN_TOKEN": "from-env"}))
	if err != nil || c.Listen.Token.Reveal() != "from-env" {
		t.Errorf("the environment's secret did not win over the file's token_file: %v", err)
	}
	c, err = Load("", parsed(t, "--listen.token-file=testdata/token.secret"), environment(map[string]string{"WEIR_LISTEN_TOKEN": "from-env"}))
	if err != nil || c.Listen.Token.Reveal() != "s3cr3t-token" {
		t.Errorf("the flag's token file did not win over the environment: %v", err)
	}
	_, err = Load("", nil, environment(map[string]string{"WEIR_LISTEN_TOKEN": "x", "WEIR_LISTEN_TOKEN_FILE": "testdata/token.secret"}))
	if err == nil || !strings.Contains(err.Error(), "given together with WEIR_LISTEN_TOKEN; keep one") {
		t.Errorf("two equal sources of a secret: error is %v", err)
	}
}

func TestUnknownEnvironmentIsNoted(t *testing.T) {
	got := UnknownEnv([]string{"WEIR_KAFKA_BROKER=x", "WEIR_TENANT=a", "HOME=/", "WEIR_FULL=1", "WEIR_ZZZZZZZZZZ=1"}, "WEIR_FULL")
	want := []string{
		"environment variable WEIR_KAFKA_BROKER is not a key of the configuration; did you mean WEIR_KAFKA_BROKERS?",
		"environment variable WEIR_ZZZZZZZZZZ is not a key of the configuration",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

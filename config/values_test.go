package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

func TestSecretIsNeverShown(t *testing.T) {
	const value = "hunter2"
	s := NewSecret(value)
	type hidden struct{ s Secret }
	var log bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&log, nil))
	logger.Info("x", "secret", s, "struct", struct{ S Secret }{s})
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", s, "struct", struct{ S Secret }{s}, "hidden", hidden{s})
	asJSON, err := json.Marshal(map[string]any{"s": s})
	if err != nil {
		t.Fatal(err)
	}
	asYAML, err := yaml.Marshal(struct{ S Secret }{s})
	if err != nil {
		t.Fatal(err)
	}
	c := Default()
	c.Listen.Token = s
	var printed bytes.Buffer
	if err := c.Print(&printed, true); err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{
		s.String(), fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %s %q %x %d", s, s, s, s, s, s, s),
		fmt.Sprintf("%v %+v %#v", hidden{s}, hidden{s}, &hidden{s}),
		fmt.Sprintf("%v %+v %#v", c, *c, *c),
		log.String(), string(asJSON), string(asYAML), printed.String(),
	} {
		if strings.Contains(shown, value) || strings.Contains(shown, fmt.Sprintf("%x", value)) {
			t.Errorf("secret is shown: %s", shown)
		}
	}
	if !strings.Contains(string(asYAML), redacted) || !strings.Contains(string(asJSON), redacted) {
		t.Errorf("a set secret looks unset: %s %s", asYAML, asJSON)
	}
	if s.Reveal() != value || !s.IsSet() {
		t.Error("the value is lost")
	}
	if zero := NewSecret(""); zero.IsSet() || zero.String() != "" || zero.Reveal() != "" {
		t.Error("an empty secret looks set")
	}
}

func TestSizeReadsWhatItWrites(t *testing.T) {
	for _, n := range []Size{1, 512, 1024, 1025, 1 << 20, 64 << 20, 1 << 30, 3 << 30, 1 << 40, math.MaxInt64} {
		got, err := ParseSize(n.String())
		if err != nil || got != n {
			t.Errorf("%d written as %s reads as %d: %v", int64(n), n, int64(got), err)
		}
	}
	if Size(64<<20).String() != "64MiB" {
		t.Errorf("64 MiB is written %s", Size(64<<20))
	}
}

func TestSizeRefusesWhatIsNotOne(t *testing.T) {
	for _, text := range []string{"", "64", "64MB", "MiB", "-1MiB", "1.5MiB", "1 MiB", "9223372036854775807GiB", "99999999999999999999B", "+1B"} {
		if n, err := ParseSize(text); err == nil {
			t.Errorf("%q reads as %d", text, int64(n))
		}
	}
}

func TestDurationIsWrittenShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 15 * time.Millisecond: "15ms", 10 * time.Second: "10s", time.Minute: "1m", 90 * time.Second: "1m30s",
		24 * time.Hour: "24h", time.Hour + time.Second: "1h0m1s", 100 * time.Second: "1m40s", 10 * time.Minute: "10m", 20 * time.Hour: "20h",
	} {
		got := formatDuration(d)
		if back, err := time.ParseDuration(got); got != want || err != nil || back != d {
			t.Errorf("%v is written %q, want %q (read back: %v, %v)", d, got, want, back, err)
		}
	}
}

func TestNetworks(t *testing.T) {
	got, err := ParseNetworks([]string{"10.0.0.0/8", "192.0.2.7", "::1", "2001:db8::/32"})
	if err != nil || fmt.Sprint(got) != "[10.0.0.0/8 192.0.2.7/32 ::1/128 2001:db8::/32]" {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"", "x", "10.0.0.1/8", "10.0.0.0/33", "fe80::1%eth0", "10.0.0.0/8/8"} {
		if got, err := ParseNetworks([]string{bad}); err == nil {
			t.Errorf("%q reads as %v", bad, got)
		}
	}
}

func TestLogLevel(t *testing.T) {
	for name, want := range map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError, "": slog.LevelInfo} {
		if got := (Log{Level: name}).SlogLevel(); got != want {
			t.Errorf("%q is %v, want %v", name, got, want)
		}
	}
}

package ingest

import (
	"math"
	"testing"
	"time"
)

func TestTimesAgreeWithTheStandardLibrary(t *testing.T) {
	// Every 101st hour from 1970 to 2150 in zones on both sides of Greenwich.
	var clock clfClock
	for _, zone := range []*time.Location{time.UTC, time.FixedZone("", 5*3600+1800), time.FixedZone("", -9*3600)} {
		for at := time.Date(1970, 1, 2, 0, 0, 0, 123456000, time.UTC); at.Year() < 2150; at = at.Add(101*time.Hour + 59*time.Second) {
			want := at.UnixMicro()
			local := at.In(zone)
			if got, ok := parseRFC3339([]byte(local.Format(time.RFC3339Nano))); !ok || got != want {
				t.Fatalf("RFC 3339 %s: got %d, %v, want %d", local.Format(time.RFC3339Nano), got, ok, want)
			}
			if got, ok := clock.parse([]byte(local.Format("02/Jan/2006:15:04:05 -0700"))); !ok || got != want-123456 {
				t.Fatalf("CLF %s: got %d, %v, want %d", local, got, ok, want-123456)
			}
		}
	}
}

func TestBadTimesAreRefused(t *testing.T) {
	var clock clfClock
	for _, s := range []string{
		"", "02/Mar/2026:09:15:01", "32/Mar/2026:09:15:01 +0000", "29/Feb/2026:09:15:01 +0000", "02/mar/2026:09:15:01 +0000",
		"02/Mar/2026:24:15:01 +0000", "02/Mar/2026:09:60:01 +0000", "02/Mar/2026:09:15:61 +0000", "02/Mar/2026:09:15:01 0000+",
		"02/Mar/2026:09:15:01 +2500", "02/Mar/1969:09:15:01 +0000", "0x/Mar/2026:09:15:01 +0000", "02/Mar/2026:09:15:01. +0000",
	} {
		if got, ok := clock.parse([]byte(s)); ok {
			t.Errorf("CLF %q read as %d", s, got)
		}
	}
	for _, s := range []string{
		"2026-03-02", "2026-13-02T09:15:01Z", "2026-02-30T09:15:01Z", "2026-03-02T09:15:01", "2026-03-02T09:15:01.Z",
		"2026-03-02T09:15:01+25:00", "2026-03-02x09:15:01Z", "2026-03-02T09:15:01ZZ",
	} {
		if got, ok := parseRFC3339([]byte(s)); ok {
			t.Errorf("RFC 3339 %q read as %d", s, got)
		}
	}
}

func TestScaledNumbersAreExact(t *testing.T) {
	f := func(s string, shift int, want int64) {
		t.Helper()
		if got, ok := parseScaled([]byte(s), shift); !ok || got != want {
			t.Errorf("%s times 10^%d: got %d, %v, want %d", s, shift, got, ok, want)
		}
	}
	f("1795400450.072", 6, 1795400450072000)
	f("1795400453.132982", 6, 1795400453132982)
	f("0.002350746", 6, 2351)
	f("0.0000004", 6, 0)
	f("0.0000005", 6, 1)
	f("1532200", -3, 1532)
	f("1532500", -3, 1533)
	f("12", 3, 12000)
	f("411.0", 3, 411000)
	f("-1", 3, -1000)
	f("1.5e3", 0, 1500)
	f("1.7724429e9", 6, 1772442900000000)
	f("7.9", 0, 8)

	for _, s := range []string{"", "-", ".", "1.", ".5", "1..2", "1a", "0x10", "+1", "1e", "9999999999999999999", "1e400", "NaN", "1 "} {
		if got, ok := parseScaled([]byte(s), 6); ok {
			t.Errorf("%q read as %d", s, got)
		}
	}
	if got, ok := parseScaled([]byte("999999999999999999"), 6); ok {
		t.Errorf("overflow read as %d", got)
	}
	if got, ok := parseScaled([]byte("1e300"), 6); ok || got == math.MaxInt64 {
		t.Errorf("overflow read as %d", got)
	}
}

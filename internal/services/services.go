// Package services gives tests the real Kafka and ClickHouse that
// scripts/services runs. A test that needs one is skipped where it is not
// running, except in CI, where a missing service is a failure.
package services

import (
	"os"
	"strings"
	"testing"
)

const (
	kafkaVariable      = "WEIR_TEST_KAFKA"
	clickHouseVariable = "WEIR_TEST_CLICKHOUSE"
)

// Kafka returns the seed addresses (host:port) of the running brokers. The
// cluster is shared with all other tests: name topics, groups and
// transactional ids uniquely, and use PrivateKafka to disturb a broker.
func Kafka(t testing.TB) []string {
	t.Helper()
	return addresses(required(t, "Kafka", kafkaVariable))
}

// ClickHouse returns the DSN of the running engine, for the HTTP protocol:
// http://host:port/database. The database is shared with all other tests:
// name tables uniquely or create a database.
func ClickHouse(t testing.TB) string {
	t.Helper()
	return required(t, "ClickHouse", clickHouseVariable)
}

// required ends the test, or skips it outside CI, if the variable is unset.
func required(t testing.TB, service, variable string) string {
	t.Helper()
	value := os.Getenv(variable)
	if value != "" {
		return value
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not set: %s must be running in CI (scripts/services up)", variable, service)
	}
	t.Skipf(`needs %s: run "scripts/services up" and then eval "$(scripts/services env)"`, service)
	return ""
}

func addresses(list string) []string {
	var out []string
	for addr := range strings.SplitSeq(list, ",") {
		if addr = strings.TrimSpace(addr); addr != "" {
			out = append(out, addr)
		}
	}
	return out
}

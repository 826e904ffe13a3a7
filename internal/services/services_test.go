package services

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// recorder stands in for a test and notes how it was ended.
type recorder struct {
	testing.TB
	outcome string
}

func (r *recorder) Helper() {}
func (r *recorder) Fatalf(string, ...any) {
	r.outcome = "fatal"
	panic(r)
}
func (r *recorder) Skipf(string, ...any) {
	r.outcome = "skip"
	panic(r)
}

func outcome(t *testing.T, f func(testing.TB)) string {
	r := &recorder{TB: t}
	func() {
		defer func() {
			if p := recover(); p != nil && p != any(r) {
				panic(p)
			}
		}()
		f(r)
		r.outcome = "runs"
	}()
	return r.outcome
}

func TestMissingServiceFailsOnlyInCI(t *testing.T) {
	for _, c := range []struct{ ci, value, want string }{
		{"", "", "skip"},
		{"false", "", "skip"},
		{"true", "", "fatal"},
		{"true", "127.0.0.1:1", "runs"},
		{"", "127.0.0.1:1", "runs"},
	} {
		t.Setenv("CI", c.ci)
		t.Setenv(kafkaVariable, c.value)
		t.Setenv(clickHouseVariable, c.value)
		if got := outcome(t, func(tb testing.TB) { Kafka(tb) }); got != c.want {
			t.Errorf("CI=%q %s=%q: test %s, want %s", c.ci, kafkaVariable, c.value, got, c.want)
		}
		if got := outcome(t, func(tb testing.TB) { ClickHouse(tb) }); got != c.want {
			t.Errorf("CI=%q %s=%q: test %s, want %s", c.ci, clickHouseVariable, c.value, got, c.want)
		}
	}
}

func TestKafkaSplitsSeedAddresses(t *testing.T) {
	t.Setenv(kafkaVariable, "127.0.0.1:1, 127.0.0.1:2,")
	if diff := cmp.Diff([]string{"127.0.0.1:1", "127.0.0.1:2"}, Kafka(t)); diff != "" {
		t.Error(diff)
	}
}

func TestScriptIsFoundFromPackageDirectory(t *testing.T) {
	script, err := findScript()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(script, "scripts/services") {
		t.Errorf("found %s", script)
	}
}

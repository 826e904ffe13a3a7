package simulate

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
)

func TestShuffleIsBoundedAndLosesNothing(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Clients, cfg.Duration, cfg.Activity = 200, 30*time.Minute, 10
	records := Collect(mustNew(t, cfg), -1, features.AppendClientKey)
	if len(records) < 1000 {
		t.Fatalf("%d records", len(records))
	}
	values := func(rs []Record) []string {
		var out []string
		for _, r := range rs {
			out = append(out, string(r.Value))
		}
		return out
	}
	ordered := values(records)
	const bound = 5 * time.Second
	shuffled := slices.Clone(records)
	Shuffle(shuffled, bound, 3)
	again := slices.Clone(records)
	Shuffle(again, bound, 3)
	if !slices.Equal(values(shuffled), values(again)) {
		t.Error("one seed gives two orders")
	}
	other := slices.Clone(records)
	Shuffle(other, bound, 4)
	if slices.Equal(values(shuffled), values(other)) || slices.Equal(values(shuffled), ordered) {
		t.Error("the seed changes nothing")
	}
	newest, late := int64(0), 0
	for _, r := range shuffled {
		if newest-r.Time >= bound.Microseconds() {
			t.Fatalf("a record is %d us late", newest-r.Time)
		}
		if r.Time < newest {
			late++
		}
		newest = max(newest, r.Time)
		if len(r.Key) == 0 {
			t.Fatal("no key")
		}
	}
	if late < len(records)/20 {
		t.Errorf("only %d of %d records out of order", late, len(records))
	}
	left, right := values(shuffled), slices.Clone(ordered)
	slices.Sort(left)
	slices.Sort(right)
	if !slices.Equal(left, right) {
		t.Error("records were lost or made")
	}
	Shuffle(again, 0, 1)
	if !slices.IsSortedFunc(again, func(a, b Record) int { return int(a.Time - b.Time) }) {
		t.Error("a bound of zero does not restore the order")
	}
}

func TestFloodKeysAreDistinct(t *testing.T) {
	const n = 20_000
	start := defaultStart()
	ev := schemas.NewEvent()
	perKey, ids := make(map[string]int), make(map[string]bool)
	last := start.UnixMicro()
	for f := Flood(9, n, start, time.Minute); f.Next(ev); {
		perKey[string(features.AppendClientKey(nil, ev))]++
		ids[string(ev.ID)] = true
		if ev.Time < last || ev.Time > start.Add(time.Minute).UnixMicro() {
			t.Fatalf("time %d after %d", ev.Time, last)
		}
		last = ev.Time
	}
	total := 0
	for k, c := range perKey {
		if c > 2 {
			t.Fatalf("%s has %d requests", k, c)
		}
		total += c
	}
	if len(perKey) != n || len(ids) != total {
		t.Errorf("%d keys of %d, %d ids of %d", len(perKey), n, len(ids), total)
	}
	if total < n*5/4 || total > n*3/2 {
		t.Errorf("%d requests of %d keys", total, n)
	}
}

func TestFloodAddressesBeyondIPv4(t *testing.T) {
	a := string(appendFloodAddress(nil, 1, 1<<24))
	b := string(appendFloodAddress(nil, 1, 1<<24+1))
	if a == b || !bytes.HasPrefix([]byte(a), []byte("2001:db8:")) {
		t.Errorf("addresses %s and %s", a, b)
	}
	ev := schemas.NewEvent()
	ev.ClientIP = []byte(a)
	if n := string(features.AppendNetwork(nil, ev.ClientIP)); n == a {
		t.Errorf("%s is no address", a)
	}
}

func TestWrittenLabelsReadBack(t *testing.T) {
	g := mustNew(t, smallConfig())
	var b bytes.Buffer
	if err := WriteLabels(&b, g.Labels()); err != nil {
		t.Fatal(err)
	}
	var back []schemas.Label
	for s := bufio.NewScanner(&b); s.Scan(); {
		var l schemas.Label
		if err := json.Unmarshal(s.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		back = append(back, l)
	}
	if !slices.Equal(back, g.Labels()) {
		t.Errorf("%d labels read back of %d, or others", len(back), len(g.Labels()))
	}
}

var errFull = errors.New("disk full")

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }

func TestWritersReportErrors(t *testing.T) {
	g := mustNew(t, smallConfig())
	if err := WriteLabels(fullDisk{}, g.Labels()); !errors.Is(err, errFull) {
		t.Errorf("labels: %v", err)
	}
	if _, err := WriteNDJSON(fullDisk{}, g); !errors.Is(err, errFull) {
		t.Errorf("events: %v", err)
	}
}

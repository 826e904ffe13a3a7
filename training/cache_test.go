package training

import (
	"errors"
	"reflect"
	"testing"

	"github.com/weir-dev/weir/schemas"
)

func TestCacheYieldsTheSameRecordsAgain(t *testing.T) {
	reads := 0
	source := func(yield func(*schemas.ClientFeatures)) error {
		reads++
		return people(3, 200)(yield)
	}
	want := map[string]int{}
	count := func(into map[string]int) func(*schemas.ClientFeatures) {
		return func(f *schemas.ClientFeatures) {
			into[string(f.AppendProto(nil))]++
		}
	}
	if err := people(3, 200)(count(want)); err != nil {
		t.Fatal(err)
	}
	c, err := NewCache(source, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		got := map[string]int{}
		if err := c.Source(count(got)); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%d different records, want %d", len(got), len(want))
		}
	}
	if reads != 1 {
		t.Errorf("the source was read %d times", reads)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func TestCacheOfASourceThatFailsIsFilledAnew(t *testing.T) {
	broken := errors.New("broken")
	fails := true
	c, err := NewCache(func(yield func(*schemas.ClientFeatures)) error {
		if err := people(3, 10)(yield); err != nil || !fails {
			return err
		}
		return broken
	}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := c.Source(func(*schemas.ClientFeatures) {}); !errors.Is(err, broken) {
		t.Fatalf("error %v", err)
	}
	fails = false
	first, second := 0, 0
	if err := errors.Join(c.Source(func(*schemas.ClientFeatures) { first++ }), c.Source(func(*schemas.ClientFeatures) { second++ })); err != nil {
		t.Fatal(err)
	}
	if first == 0 || first != second {
		t.Errorf("%d records, then %d", first, second)
	}
}

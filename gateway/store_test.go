package gateway

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-dev/weir/schemas"
)

func pack(value, id string, offset int64) packed {
	return packed(appendPacked(nil, []byte(value), []byte(id), offset, &rawEntry{
		action: schemas.ActionBlock, expires: Forever.UnixMicro(),
	}))
}

// TestFlatAgreesWithAMap drives the table with random operations. Few tags make
// long runs of colliding keys, which is where deletion can go wrong.
func TestFlatAgreesWithAMap(t *testing.T) {
	for _, tags := range []uint32{1, 3, 40, 1 << 30} {
		t.Run(fmt.Sprint(tags), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, uint64(tags)))
			var f flat
			want := make(map[string]packed)
			n := 400
			if tags > 3 {
				n = 6000
			}
			tag := func(k string) uint32 {
				var h uint64 = 14695981039346656037
				for i := range len(k) {
					h = (h ^ uint64(k[i])) * 1099511628211
				}
				// High tags too, whose home is at the end and wraps around.
				return tagOf(uint64(^uint32(0) - uint32(h)%tags))
			}
			for i := range 4 * n {
				k := fmt.Sprintf("k%d", rng.IntN(n))
				// Fill first, then empty, so that the table grows and shrinks.
				if rng.IntN(4*n) > i {
					p := pack(k, k, int64(i))
					if old := f.put(tag(k), p); old != want[k] {
						t.Fatalf("step %d: putting %s replaced %q, want %q", i, k, old, want[k])
					}
					want[k] = p
				} else {
					_, ok := want[k]
					if got := f.remove(tag(k), []byte(k)); got != ok {
						t.Fatalf("step %d: removing %s: %v, want %v", i, k, got, ok)
					}
					delete(want, k)
				}
				probe := fmt.Sprintf("k%d", rng.IntN(n))
				if got, ok := f.get(tag(probe), []byte(probe)); got != want[probe] || ok != (want[probe] != "") {
					t.Fatalf("step %d: getting %s: %q, want %q", i, probe, got, want[probe])
				}
			}
			got := f.appendAll(nil)
			if len(got) != len(want) || f.n != len(want) {
				t.Fatalf("%d entries, n %d, want %d", len(got), f.n, len(want))
			}
			for k, p := range want {
				if got, _ := f.get(tag(k), []byte(k)); got != p {
					t.Errorf("%s: %q, want %q", k, got, p)
				}
			}
		})
	}
}

func TestFlatGivesMemoryBack(t *testing.T) {
	var f flat
	const n = 20_000
	for i := range n {
		k := fmt.Sprint(i)
		f.put(tagOf(uint64(i)*2654435761), pack(k, k, 0))
	}
	for i := range n {
		f.remove(tagOf(uint64(i)*2654435761), []byte(fmt.Sprint(i)))
	}
	if f.n != 0 || len(f.slots) > 1024 {
		t.Errorf("%d entries in %d slots after removing all", f.n, len(f.slots))
	}
}

// TestStoreIsAFunctionOfTheLog compares a store with what a map from key to
// record says, for random writes of many spellings.
func TestStoreIsAFunctionOfTheLog(t *testing.T) {
	spelt := []string{"192.0.2.1", "::ffff:192.0.2.1", "::ffff:c000:201", "2001:db8::1", "2001:DB8::1", "2001:db8:0::1", "word"}
	rng := rand.New(rand.NewPCG(7, 7))
	s := newStore()
	log := make(map[string]packed)
	for i := range 5000 {
		v := spelt[rng.IntN(len(spelt))]
		if rng.IntN(2) == 0 {
			id, _, _ := identify(nil, scopeIP, []byte(v))
			p := pack(v, string(id), int64(i))
			if old := s.put(scopeIP, false, p); old != log[v] {
				t.Fatalf("step %d: putting %s replaced %q, want %q", i, v, old, log[v])
			}
			log[v] = p
		} else {
			if old := s.remove(scopeIP, false, []byte(v)); old != log[v] {
				t.Fatalf("step %d: removing %s gave %q, want %q", i, v, old, log[v])
			}
			delete(log, v)
		}
		var text int64
		newest := make(map[string]packed)
		all := make(map[string][]packed)
		for _, p := range log {
			text += int64(len(p))
			all[p.id()] = append(all[p.id()], p)
			if p.offset() >= newest[p.id()].offsetOr(-1) {
				newest[p.id()] = p
			}
		}
		if s.text.Load() != text || s.len(false) != len(newest) {
			t.Fatalf("step %d: %d bytes, %d entries; want %d, %d", i, s.text.Load(), s.len(false), text, len(newest))
		}
		for _, v := range spelt {
			id, _, _ := identify(nil, scopeIP, []byte(v))
			if got, _ := s.get(scopeIP, false, []byte(v)); got != newest[string(id)] {
				t.Fatalf("step %d: getting %s: %q, want %q", i, v, got, newest[string(id)])
			}
			got := s.all(scopeIP, false, []byte(v))
			slices.Sort(got)
			want := all[string(id)]
			slices.Sort(want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("step %d: spellings of %s (-want +got):\n%s", i, v, diff)
			}
		}
	}
}

func (p packed) offsetOr(none int64) int64 {
	if p == "" {
		return none
	}
	return p.offset()
}

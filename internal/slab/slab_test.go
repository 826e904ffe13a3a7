package slab

import (
	"math/rand/v2"
	"testing"
)

func key(i int) Key { return Key{Hi: uint64(i) * 0x9e3779b97f4a7c15, Lo: uint64(i)} }

func TestFloodOfNewKeysLeavesProtectedKeysAlone(t *testing.T) {
	s := New[int](100)
	for i := range 50 {
		*s.Put(key(i), nil) = i
		s.Promote(key(i))
	}
	evicted := 0
	for i := 1000; i < 101000; i++ {
		if s.Get(key(i)) == nil {
			s.Put(key(i), func(Key, *int) { evicted++ })
		}
	}
	for i := range 50 {
		v := s.Peek(key(i))
		if v == nil || *v != i {
			t.Fatalf("protected key %d was lost to keys seen once", i)
		}
	}
	if s.Len() != 100 || evicted != 100000-50 {
		t.Fatalf("len %d, evicted %d; want 100 and 99950", s.Len(), evicted)
	}
	if len(s.chunks) != 2 {
		t.Fatalf("%d chunks for 100 values of %d a chunk", len(s.chunks), chunkSize)
	}
}

func TestProtectedOverflowFallsBackToProbation(t *testing.T) {
	s := New[int](8)
	for i := range 8 {
		s.Put(key(i), nil)
		s.Promote(key(i))
	}
	var order []uint64
	s.All(func(k Key, isProtected bool, _ *int) bool {
		if !isProtected {
			order = append(order, k.Lo)
		}
		return true
	})
	if len(order) != 2 || order[0] != 0 || order[1] != 1 {
		t.Fatalf("probation holds %v, want the two oldest, 0 and 1", order)
	}
}

// TestAgainstModel compares a Slab with a slow model over random operations.
func TestAgainstModel(t *testing.T) {
	type item struct {
		k    Key
		prot bool
		v    int
	}
	const capacity = 12
	rng := rand.New(rand.NewPCG(1, 2))
	s := New[int](capacity)
	var model []item // probation first, least recently used first within each
	find := func(k Key) int {
		for i := range model {
			if model[i].k == k {
				return i
			}
		}
		return -1
	}
	place := func(it item) { // at the end of its segment
		at := len(model)
		if !it.prot {
			for at = 0; at < len(model) && !model[at].prot; at++ {
			}
		}
		model = append(model[:at], append([]item{it}, model[at:]...)...)
	}
	for step := range 20000 {
		k := key(rng.IntN(30))
		i := find(k)
		switch op := rng.IntN(10); {
		case op < 6:
			v := s.Get(k)
			if (v == nil) != (i < 0) {
				t.Fatalf("step %d: presence of %v differs", step, k.Lo)
			}
			if i < 0 {
				*s.Put(k, nil) = step
				if len(model) == capacity {
					model = model[1:]
				}
				place(item{k, false, step})
			} else {
				it := model[i]
				model = append(model[:i], model[i+1:]...)
				place(it)
			}
		case op < 8:
			s.Promote(k)
			if i >= 0 && !model[i].prot {
				it := model[i]
				model = append(model[:i], model[i+1:]...)
				it.prot = true
				place(it)
				n, first := 0, -1
				for j := range model {
					if model[j].prot {
						if n++; first < 0 {
							first = j
						}
					}
				}
				if n > capacity-capacity/4 {
					it := model[first]
					model = append(model[:first], model[first+1:]...)
					it.prot = false
					place(it)
				}
			}
		default:
			s.Remove(k)
			if i >= 0 {
				model = append(model[:i], model[i+1:]...)
			}
		}
		j := 0
		s.All(func(k Key, prot bool, v *int) bool {
			if j >= len(model) || model[j] != (item{k, prot, *v}) {
				t.Fatalf("step %d: position %d differs", step, j)
			}
			j++
			return true
		})
		if j != len(model) || s.Len() != len(model) {
			t.Fatalf("step %d: %d values, model has %d", step, j, len(model))
		}
	}
}

func BenchmarkGetPut(b *testing.B) {
	s := New[[64]uint64](1 << 16)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		k := key(i % (1 << 17))
		if s.Get(k) == nil {
			s.Put(k, nil)
		}
		i++
	}
}

package payload

import (
	"math/rand/v2"
	"testing"

	"github.com/weir-dev/weir/simulate/injections"
)

func BenchmarkValue(b *testing.B) {
	d, err := Prior()
	if err != nil {
		b.Fatal(err)
	}
	r := rand.New(rand.NewPCG(3, 4))
	var benign, attacks [][]byte
	for range 2000 {
		benign = append(benign, injections.Benign(r))
		classes := injections.Classes()
		attacks = append(attacks, injections.Attack(classes[r.IntN(len(classes))], r))
	}
	plain := [][]byte{[]byte("29dbe35a-3d62-4ae6-9ff1-07533ae65836"), []byte("alice"), []byte("1442431887503330")}
	for _, c := range []struct {
		name   string
		values [][]byte
	}{{"benign", benign}, {"attack", attacks}, {"plain", plain}} {
		b.Run(c.name, func(b *testing.B) {
			s := new(Scratch)
			n := 0
			for _, v := range c.values {
				n += len(v)
			}
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				for _, v := range c.values {
					d.Value(s, v)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/B")
		})
	}
}

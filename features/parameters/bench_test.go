package parameters

import (
	"testing"

	"github.com/weir-dev/weir/schemas"
)

func benchmarkJudge(b *testing.B, c call) {
	m := shop(500).Model()
	s := NewScratch()
	b.ReportAllocs()
	values := 0
	for b.Loop() {
		values = m.Judge(s, c.e, c.route).Values
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(values), "ns/value")
}

func BenchmarkJudgeQuery(b *testing.B) {
	benchmarkJudge(b, get(9, "/items", "page=7&sort=small&q=river+stone"))
}

func BenchmarkJudgeJSON(b *testing.B) {
	benchmarkJudge(b, post(1, "/orders", "application/json",
		`{"item":1007,"note":"river please","lines":[{"sku":"AB-20000","count":3},{"sku":"AB-20001","count":4}]}`))
}

func BenchmarkJudgeAttack(b *testing.B) {
	benchmarkJudge(b, get(9, "/items", "page=1%27+union+select+null,null--&sort=tall&debug=1"))
}

func BenchmarkJudgeHeaders(b *testing.B) {
	c := get(9, "/items", "page=7&sort=small&q=river+stone")
	c.e.UserAgent = []byte("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36")
	c.e.Headers = []schemas.KV{{Key: []byte("accept"), Value: []byte("application/json")}, {Key: []byte("referer"), Value: []byte("https://shop.example/items?page=6")}}
	benchmarkJudge(b, c)
}

func BenchmarkLearn(b *testing.B) {
	l := shop(500)
	calls := shopCalls(7)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		c := calls[i%len(calls)]
		c.e.Time += 901e6
		l.Add(c.e, c.route, c.client)
		i++
	}
}

func BenchmarkModel(b *testing.B) {
	l := shop(500)
	for b.Loop() {
		l.Model()
	}
}

package eval
import ("testing";"time";"fmt"
"github.com/weir-dev/weir/schemas"
"github.com/weir-dev/weir/features"
"github.com/weir-dev/weir/scoring"
"github.com/weir-dev/weir/simulate")
func TestDebug(t *testing.T){
	cfg := simulate.DefaultConfig()
	cfg.Seed, cfg.Clients, cfg.Duration = 77, 1500, 24*time.Hour
	cfg.Attacks = simulate.EveryAttack(8*time.Hour, 20*time.Minute, 1)
	g,_ := simulate.New(cfg)
	want := map[string]string{}
	for _, l := range g.Labels() { if l.Attack=="interval-abuse"||l.Attack=="extreme-client"||l.Attack=="data-exfiltration" { want[l.EntityType+":"+l.Entity]=l.Attack; fmt.Println(l) } }
	model,_ := scoring.Prior()
	x,_ := features.New(features.DefaultConfig())
	s,_ := scoring.New(scoring.Config{Model: model, Policy: scoring.DefaultPolicy(), Clients: 100_000, Shards: 1})
	best := map[string]float64{}
	s.Observer = func(f *schemas.ClientFeatures, c float64, sc *[scoring.NumChannels]float64){
		k:=string(f.Client)
		if want[k]!="" && c>best[k]+0.3 { best[k]=c; fmt.Printf("%s %s T=%.2f %.1f n=%d H=%.2f sd=%.2f req=%d d15=%.0f final=%v\n", want[k],k[:min(len(k),30)],c,*sc,f.Intervals,f.IntervalEntropy,f.IntervalLogSD,f.Requests,f.Decayed15m,f.Final) }
	}
	o := &offline{s: s, report: NewReport(g.Labels(), 10*time.Minute)}
	ev := schemas.NewEvent()
	for g.Next(ev) { x.Apply(ev, ev.Time, o.offset, o); o.offset++ }
}

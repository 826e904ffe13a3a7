package eval

import (
	"fmt"
	"math"
	"path/filepath"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
)

// Sizes of the pictures.
const (
	plotWidth  = 16 * vg.Centimeter
	plotHeight = 12 * vg.Centimeter
)

// Plot draws the pictures of a suite's result into a folder and returns their
// paths; a suite without curves has none.
func Plot(r *SuiteResult, dir string) ([]string, error) {
	var paths []string
	draw := func(name string, p *plot.Plot, err error) error {
		if err != nil {
			return fmt.Errorf("drawing %s: %w", name, err)
		}
		path := filepath.Join(dir, name)
		if err := p.Save(plotWidth, plotHeight, path); err != nil {
			return fmt.Errorf("writing %s: %w", path, err)
		}
		paths = append(paths, path)
		return nil
	}
	if len(r.Rates) > 0 {
		p, err := calibrationPlot(r.Rates)
		if err := draw("calibration.png", p, err); err != nil {
			return paths, err
		}
	}
	if len(r.Intensities) > 0 {
		p, err := intensityPlot(r.Intensities)
		if err := draw("recall-intensity.png", p, err); err != nil {
			return paths, err
		}
	}
	if len(r.Tradeoff) > 0 {
		p, err := tradeoffPlot(r.Tradeoff)
		if err := draw("recall-false-blocks.png", p, err); err != nil {
			return paths, err
		}
	}
	return paths, nil
}

// decades marks the powers of ten, and the numbers between them without a label.
type decades struct{}

func (decades) Ticks(low, high float64) []plot.Tick {
	var ticks []plot.Tick
	for e := math.Floor(math.Log10(low)); e <= math.Ceil(math.Log10(high)); e++ {
		for k := 1.0; k < 10; k++ {
			t := plot.Tick{Value: k * math.Pow(10, e)}
			if k == 1 {
				t.Label = strconv.FormatFloat(math.Pow(10, math.Abs(e)), 'f', -1, 64)
				if e < 0 {
					t.Label = "1/" + t.Label
				}
			}
			if t.Value >= low*0.999 && t.Value <= high*1.001 {
				ticks = append(ticks, t)
			}
		}
	}
	return ticks
}

// halvings marks the intensities.
type halvings struct{}

func (halvings) Ticks(float64, float64) []plot.Tick {
	var ticks []plot.Tick
	for _, i := range Intensities() {
		ticks = append(ticks, plot.Tick{Value: i, Label: strconv.FormatFloat(i, 'g', -1, 64)})
	}
	return ticks
}

// points with an interval each; those that a logarithm cannot show stand at
// floor.
type points struct {
	plotter.XYs
	plotter.YErrors
}

const floor = 1e-6

func (p *points) add(x, y, low, high float64) {
	y, low, high = max(y, floor), max(low, floor), max(high, floor)
	p.XYs = append(p.XYs, plotter.XY{X: x, Y: y})
	p.YErrors = append(p.YErrors, struct{ Low, High float64 }{y - low, high - y})
}

// calibrationPlot shows the realised rate of false blocks over the nominal one,
// both logarithmic, with 95 % intervals; what was promised is the diagonal.
func calibrationPlot(rates []NamedRates) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = "Benign client-days blocked"
	p.X.Label.Text, p.Y.Label.Text = "nominal rate", "realised rate, 95 % interval"
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, decades{}
	p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, decades{}
	p.Add(plotter.NewGrid())
	least, most := 1.0, 0.0
	for _, r := range rates {
		for _, row := range r.Rows {
			least, most = min(least, row.Alpha), max(most, row.Alpha)
		}
	}
	diagonal, err := plotter.NewLine(plotter.XYs{{X: least, Y: least}, {X: most, Y: most}})
	if err != nil {
		return nil, err
	}
	diagonal.Dashes = plotutil.Dashes(1)
	p.Add(diagonal)
	p.Legend.Add("nominal", diagonal)
	var naive plotter.XYs
	for i, r := range rates {
		var pts points
		for _, row := range r.Rows {
			// Beside each other, not on top of each other.
			pts.add(row.Alpha*math.Pow(1.08, float64(i)), row.Rate, row.Low, row.High)
			if i == 0 {
				naive = append(naive, plotter.XY{X: row.Alpha, Y: max(row.NaiveProduct, floor)})
			}
		}
		marks, err := plotter.NewScatter(pts.XYs)
		if err != nil {
			return nil, err
		}
		bars, err := plotter.NewYErrorBars(pts)
		if err != nil {
			return nil, err
		}
		marks.Color, bars.Color = plotutil.Color(i), plotutil.Color(i)
		marks.Shape = plotutil.Shape(i)
		p.Add(marks, bars)
		p.Legend.Add(r.Name, marks)
	}
	if err := addLine(p, "product of the windows' p-values", naive, len(rates)); err != nil {
		return nil, err
	}
	p.Legend.Left, p.Legend.Top = true, true
	p.X.Min, p.X.Max = least/1.5, most*1.5
	p.Y.Min, p.Y.Max = floor, 1
	return p, nil
}

func addLine(p *plot.Plot, name string, xys plotter.XYs, style int) error {
	line, marks, err := plotter.NewLinePoints(xys)
	if err != nil {
		return err
	}
	line.Color, marks.Color = plotutil.Color(style), plotutil.Color(style)
	line.Dashes, marks.Shape = plotutil.Dashes(style/6), plotutil.Shape(style)
	p.Add(line, marks)
	p.Legend.Add(name, line, marks)
	return nil
}

// intensityPlot shows each attack's recall, all variants together, over how
// blatant it is.
func intensityPlot(rows []IntensityRow) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = fmt.Sprintf("Attacks found at %g false blocks a client-day", recallAlpha)
	p.X.Label.Text, p.Y.Label.Text = "intensity", "recall"
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, halvings{}
	p.Add(plotter.NewGrid())
	type sums struct{ found, n int }
	all := map[string]map[float64]*sums{}
	var order []string
	for _, r := range rows {
		if all[r.Attack] == nil {
			all[r.Attack] = map[float64]*sums{}
			order = append(order, r.Attack)
		}
		s := all[r.Attack][r.Intensity]
		if s == nil {
			s = new(sums)
			all[r.Attack][r.Intensity] = s
		}
		s.found, s.n = s.found+r.Found, s.n+r.Instances
	}
	for i, attack := range order {
		var xys plotter.XYs
		for _, intensity := range Intensities() {
			if s := all[attack][intensity]; s != nil {
				xys = append(xys, plotter.XY{X: intensity, Y: share(s.found, s.n)})
			}
		}
		if err := addLine(p, attack, xys, i); err != nil {
			return nil, err
		}
	}
	// Names of twenty attacks need a margin of their own.
	p.X.Min, p.X.Max = Intensities()[0], Intensities()[len(Intensities())-1]*2.6
	p.Y.Min, p.Y.Max = 0, 1.02
	p.Legend.TextStyle.Font.Size = vg.Points(7)
	p.Legend.Top = true
	return p, nil
}

// tradeoffPlot shows the share of labelled entities found over the share of
// benign client-days found with them.
func tradeoffPlot(rows []TradeoffPoint) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = "What an alpha finds and what it costs"
	p.X.Label.Text, p.Y.Label.Text = "benign client-days blocked", "labelled entities found"
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, decades{}
	p.Add(plotter.NewGrid())
	var xys plotter.XYs
	for _, r := range rows {
		xys = append(xys, plotter.XY{X: max(r.FalseBlocks, floor), Y: r.Recall})
	}
	if err := addLine(p, "recall", xys, 0); err != nil {
		return nil, err
	}
	p.Y.Min, p.Y.Max = 0, 1.02
	p.Legend.Top = false
	return p, nil
}

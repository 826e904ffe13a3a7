package payload

import (
	"fmt"
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// lowestFPR is where the logarithmic axis of a plot starts; less is drawn there.
const lowestFPR = 1e-4

// colours of curves, in their order; distinct for the colour-blind (M. Okabe and
// K. Ito, 2008).
var colours = []color.RGBA{
	{0, 114, 178, 255}, {213, 94, 0, 255}, {0, 158, 115, 255}, {204, 121, 167, 255}, {86, 180, 233, 255},
}

// Plot draws the curves into a PNG file: the share of attacks found over the
// share of benign rows flagged, which is logarithmic, because only its first
// thousandths are of use.
func (f *Figures) Plot(path string) error {
	p := plot.New()
	p.Title.Text = "HttpParams test"
	p.X.Label.Text = "benign values flagged"
	p.Y.Label.Text = "attacks found"
	p.X.Scale = plot.LogScale{}
	p.X.Tick.Marker = plot.LogTicks{Prec: -1}
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = lowestFPR, 1, f.floor(), 1
	p.Legend.Left = false
	p.Add(plotter.NewGrid())
	for i, c := range f.Curves {
		line, err := plotter.NewLine(steps(c.Points, p.Y.Min))
		if err != nil {
			return fmt.Errorf("drawing the curve of %s: %w", c.Subject, err)
		}
		line.Color = colours[i%len(colours)]
		line.Width = vg.Points(1.5)
		p.Add(line)
		p.Legend.Add(c.Subject, line)
	}
	if err := p.Save(16*vg.Centimeter, 12*vg.Centimeter, path); err != nil {
		return fmt.Errorf("writing the plot: %w", err)
	}
	return nil
}

// floor is where the vertical axis starts: a tenth below the lowest curve's
// first step, so that the upper ones can be told apart.
func (f *Figures) floor() float64 {
	low := 1.0
	for _, c := range f.Curves {
		first := 0.0
		for _, p := range c.Points {
			if p.FPR <= lowestFPR {
				first = p.TPR
			}
		}
		low = min(low, first)
	}
	return max(0, math.Floor(10*low-1e-9)/10)
}

// steps are the corners of a ROC curve as a staircase from floor up: between two
// thresholds nothing is reached but the lower of two points.
func steps(points []Point, floor float64) plotter.XYs {
	var xys plotter.XYs
	last := floor
	for _, p := range points {
		x, y := max(p.FPR, lowestFPR), max(p.TPR, floor)
		xys = append(xys, plotter.XY{X: x, Y: last}, plotter.XY{X: x, Y: y})
		last = y
	}
	return xys
}

package eval

import (
	"context"
	"fmt"

	"github.com/weir-dev/weir/eval/payload"
)

// runPayload measures what tells strings with code in them from others, on the
// data sets of Options.Datasets.
func runPayload(ctx context.Context, o *Options) (*SuiteResult, error) {
	out := new(SuiteResult)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if o.Datasets == "" {
		out.Note = "not run: WEIR_DATASETS names no folder with labelled payloads"
		return out, nil
	}
	detector, err := payload.Shipped()
	if err != nil {
		return nil, err
	}
	steps := 0
	opts := payload.Options{Progress: func(what string) {
		steps++
		if o.Progress != nil {
			o.Progress("payload: "+what, steps, steps)
		}
	}}
	if o.Quick {
		opts.BrowsingSample, opts.ListSample, opts.Transplants = 2000, 2000, 500
	}
	var beside *payload.Figures
	if o.Beside != "" {
		if beside, err = payload.ReadFigures(o.Beside); err != nil {
			return nil, err
		}
	}
	if out.Payload, err = payload.Suite(ctx, o.Datasets, detector, beside, opts); err != nil {
		return nil, fmt.Errorf("measuring payloads: %w", err)
	}
	for _, t := range out.Payload.Targets {
		sign := ">="
		if t.AtMost {
			sign = "<"
		}
		f := Figure{Name: "payload: " + t.Name, Measured: t.Measured, Low: t.Measured, High: t.Measured, Target: fmt.Sprintf("%s %g", sign, t.Target), Met: t.Met}
		if t.Low != nil && t.High != nil {
			f.Low, f.High = *t.Low, *t.High
		}
		out.Figures = append(out.Figures, f)
	}
	return out, nil
}

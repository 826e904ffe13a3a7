// Command buildpayload makes the payload model that is shipped inside the
// program, from generated attacks and generated benign values alone: run it with
// go generate ./features/payload.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"

	"github.com/weir-dev/weir/features/payload"
	"github.com/weir-dev/weir/simulate/injections"
)

func main() {
	out := flag.String("out", "prior.bin.gz", "file to write")
	attacks := flag.Int("attacks", 150000, "generated attacks, of all classes")
	benign := flag.Int("benign", 450000, "generated benign values")
	seed := flag.Uint64("seed", 1, "what the generated values derive from")
	options := payload.DefaultTrainOptions()
	flag.IntVar(&options.Epochs, "epochs", options.Epochs, "passes over the generated values")
	flag.Parse()
	if err := build(*out, *seed, *attacks, *benign, options); err != nil {
		fmt.Fprintln(os.Stderr, "buildpayload:", err)
		os.Exit(1)
	}
}

func build(out string, seed uint64, attacks, benign int, o payload.TrainOptions) (err error) {
	d, err := payload.Train(examples(seed, attacks, benign), o)
	if err != nil {
		return fmt.Errorf("training: %w", err)
	}
	f, err := os.Create(out)
	if err != nil {
		return fmt.Errorf("creating the model file: %w", err)
	}
	defer func() {
		if e := f.Close(); e != nil {
			err = errors.Join(err, fmt.Errorf("writing the model file: %w", e))
		}
	}()
	w := bufio.NewWriter(f)
	if err := d.Write(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("writing the model file: %w", err)
	}
	fmt.Fprintf(os.Stderr, "model %s, threshold %.4f\n", d.Version(), d.DefaultThreshold())
	return nil
}

// share is how often each class is generated: databases, script and commands
// have the most variants to learn.
var share = map[string]int{"sqli": 30, "xss": 22, "command": 20, "traversal": 12}

// examples generates the training values, anew at each walk.
func examples(seed uint64, attacks, benign int) iter.Seq[payload.Example] {
	var deck []string
	for _, c := range injections.Classes() {
		for range max(share[c], 4) {
			deck = append(deck, c)
		}
	}
	return func(yield func(payload.Example) bool) {
		r := rand.New(rand.NewPCG(seed, 0x7061796c6f6164))
		for a, b := attacks, benign; a+b > 0; {
			var ex payload.Example
			if r.IntN(a+b) < a {
				c := deck[r.IntN(len(deck))]
				ex = payload.Example{Value: injections.Attack(c, r), Class: payload.Class(c)}
				a--
			} else {
				ex.Value = injections.Benign(r)
				b--
			}
			if !yield(ex) {
				return
			}
		}
	}
}

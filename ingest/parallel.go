package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/weir-dev/weir/schemas"
)

// ParseOptions of ParseFile. The zero value detects the format and uses all
// cores.
type ParseOptions struct {
	Options
	// Format is a name of New, or FormatAuto. Default: FormatAuto.
	Format string
	// Workers parse in parallel. Default: GOMAXPROCS.
	Workers int
	// Progress is told, from one goroutine, how many bytes of the stored file
	// were read of how many; total is -1 where that is unknown. May be nil.
	Progress func(read, total int64)
}

// Batch is a run of events in file order. It owns the memory that the events'
// text lies in.
type Batch struct {
	// Events are valid until Release.
	Events []schemas.Event
	// Offset is where the batch begins in the decompressed file, bytes.
	Offset int64

	stats   Stats
	buf     []byte // the lines, which text of events aliases
	scratch []byte // text that had to be made
	done    chan struct{}
	pool    *sync.Pool
}

// Release gives the batch back: neither it nor text of its events may be used
// afterwards. A batch that is not released is left to the garbage collector.
func (b *Batch) Release() {
	if b.pool != nil {
		b.pool.Put(b)
	}
}

// Refusal is one line that was refused.
type Refusal struct {
	Offset int64 // where the line begins in the decompressed file
	Reason schemas.Reason
	Field  string
}

// maxRefusals is how many refusals Stats names.
const maxRefusals = 10

// Stats counts what became of a file's lines.
type Stats struct {
	Format  string // as given or detected
	Lines   int64  // not empty
	Parsed  int64
	Bytes   int64 // decompressed
	Refused map[schemas.Reason]int64
	// First are the first refusals of the file, at most 10.
	First []Refusal
}

// RefusedTotal is how many lines were refused.
func (s *Stats) RefusedTotal() int64 { return s.Lines - s.Parsed }

func (s *Stats) refuse(offset int64, err error) {
	s.Lines++
	if s.Refused == nil {
		s.Refused = make(map[schemas.Reason]int64)
	}
	reason, field := schemas.ReasonOf(err), ""
	if de, ok := errors.AsType[*schemas.DecodeError](err); ok {
		field = de.Field
	}
	s.Refused[reason]++
	if len(s.First) < maxRefusals {
		s.First = append(s.First, Refusal{offset, reason, field})
	}
}

// Add adds other's counts to s, for a total over files.
func (s *Stats) Add(other Stats) {
	s.Lines += other.Lines
	s.Parsed += other.Parsed
	s.Bytes += other.Bytes
	for reason, n := range other.Refused {
		if s.Refused == nil {
			s.Refused = make(map[schemas.Reason]int64)
		}
		s.Refused[reason] += n
	}
	for _, r := range other.First {
		if len(s.First) < maxRefusals {
			s.First = append(s.First, r)
		}
	}
}

// ParseFile reads a log file (see OpenFile) and hands its events to sink in file
// order, from one goroutine. The batch is sink's until it calls Release. Lines
// that are refused are counted, never an error. The error is the first of
// opening, reading, detecting (ErrNotDetected, ErrUnknownFormat), sink and ctx;
// Stats then cover what sink was given.
func ParseFile(ctx context.Context, path string, opts ParseOptions, sink func(*Batch) error) (Stats, error) {
	file, err := OpenFile(path)
	if err != nil {
		return Stats{}, err
	}
	stats, err := parse(ctx, file, file.stream, opts, file.Progress, sink)
	if cerr := file.Close(); err == nil && cerr != nil {
		err = fmt.Errorf("closing %s: %w", path, cerr)
	}
	if err != nil {
		return stats, fmt.Errorf("parsing %s: %w", path, err)
	}
	return stats, nil
}

// ParseReader is ParseFile for text that is open already and not compressed.
func ParseReader(ctx context.Context, r io.Reader, opts ParseOptions, sink func(*Batch) error) (Stats, error) {
	return parse(ctx, r, false, opts, nil, sink)
}

func parse(ctx context.Context, r io.Reader, eager bool, opts ParseOptions, progress func() (int64, int64), sink func(*Batch) error) (Stats, error) {
	if opts.MaxLine <= 0 {
		opts.MaxLine = DefaultMaxLine
	}
	if opts.Workers <= 0 {
		opts.Workers = runtime.GOMAXPROCS(0)
	}
	if opts.Key.IsZero() {
		// One key for all workers, or one user would get several pseudonyms.
		var err error
		if opts.Key, err = RandomKey(); err != nil {
			return Stats{}, err
		}
	}
	p := &parallel{
		chunks: chunker{r: r, maxLine: opts.MaxLine, eager: eager},
		work:   make(chan *Batch, opts.Workers),
		order:  make(chan *Batch, 2*opts.Workers),
	}
	p.pool.New = func() any { return &Batch{pool: &p.pool} }
	stats := Stats{Format: opts.Format}

	first, err := p.read()
	if errors.Is(err, io.EOF) {
		return stats, nil
	}
	if err != nil {
		return stats, err
	}
	if opts.Format == "" || opts.Format == FormatAuto {
		if opts.Format, err = detectChunk(first.buf); err != nil {
			return stats, err
		}
	}
	stats.Format = alias(opts.Format)

	adapters := make([]*adapter, opts.Workers)
	for i := range adapters {
		if adapters[i], err = newAdapter(opts.Format, opts.Options); err != nil {
			return stats, err
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, a := range adapters {
		group.Go(func() error { return p.parseChunks(ctx, a) })
	}
	group.Go(func() error { return p.readChunks(ctx, first) })
	group.Go(func() error {
		for {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case b, ok := <-p.order:
				if !ok {
					return nil
				}
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-b.done:
				}
				stats.Add(b.stats)
				if err := sink(b); err != nil {
					return err
				}
				if progress != nil && opts.Progress != nil {
					opts.Progress(progress())
				}
			}
		}
	})
	if err := group.Wait(); err != nil {
		return stats, err
	}
	return stats, p.readErr
}

// parallel reads chunks on one goroutine and parses them on several. Each chunk
// goes to both channels: work, where any parser takes it, and order, where the
// one that delivers waits for it.
type parallel struct {
	chunks chunker
	work   chan *Batch
	order  chan *Batch
	pool   sync.Pool
	// readErr ends the file early. It is kept until all that was read before it
	// is delivered.
	readErr error
}

// read returns the next chunk in a batch to be parsed.
func (p *parallel) read() (*Batch, error) {
	b := p.pool.Get().(*Batch)
	chunk, offset, tooLarge, err := p.chunks.next(b.buf)
	if err != nil {
		return nil, err
	}
	b.buf, b.Offset, b.done = chunk, offset, make(chan struct{})
	b.stats = Stats{Bytes: int64(len(chunk))}
	for range tooLarge {
		b.stats.refuse(offset, errTooLarge)
	}
	return b, nil
}

func (p *parallel) readChunks(ctx context.Context, b *Batch) error {
	defer close(p.work)
	defer close(p.order)
	for {
		for _, ch := range [...]chan *Batch{p.order, p.work} {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case ch <- b:
			}
		}
		var err error
		if b, err = p.read(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			p.readErr = err
			return nil
		}
	}
}

func (p *parallel) parseChunks(ctx context.Context, a *adapter) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case b, ok := <-p.work:
			if !ok {
				return nil
			}
			b.parse(a)
			close(b.done)
		}
	}
}

// parse fills the batch's events from its lines.
func (b *Batch) parse(a *adapter) {
	// Text that the adapter makes must live as long as the batch, so the batch
	// lends it its own scratch.
	a.fill.scratch = b.scratch[:0]
	b.Events = b.Events[:0]
	offset := b.Offset
	for rest := b.buf; len(rest) > 0; {
		line, n := cutLine(rest)
		if len(line) > 0 {
			at := len(b.Events)
			if at < cap(b.Events) {
				b.Events = b.Events[:at+1]
			} else {
				b.Events = append(b.Events, schemas.Event{})
			}
			ev := &b.Events[at]
			ev.Reset()
			if err := a.parseInto(line, ev); err != nil {
				b.Events = b.Events[:at]
				b.stats.refuse(offset, err)
			} else {
				b.stats.Lines++
				b.stats.Parsed++
			}
		}
		rest = rest[n:]
		offset += int64(n)
	}
	b.scratch = a.fill.scratch
}

func detectChunk(chunk []byte) (string, error) {
	var sample [][]byte
	for len(chunk) > 0 && len(sample) < 2*detectLines {
		line, n := cutLine(chunk)
		sample = append(sample, line)
		chunk = chunk[n:]
	}
	return Detect(sample)
}

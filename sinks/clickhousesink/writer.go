package clickhousesink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	ddl "github.com/weir-dev/weir/schemas/clickhouse"
	"github.com/weir-dev/weir/sinks"
)

// Config reaches a ClickHouse server.
type Config struct {
	// DSN is clickhouse://user:password@host:9000/database for the native
	// protocol or http(s)://host:8123/database for HTTP. Its parameters are those
	// of clickhouse-go, such as secure=true or compress=zstd. Required.
	DSN string
	// InsertTimeout bounds one insert. By default one minute.
	InsertTimeout time.Duration
	// VerifyAfter is the age of a chunk from which on the sink looks whether its
	// rows are stored before it sends them, because the server may have forgotten
	// the token. By default ten minutes.
	VerifyAfter time.Duration
	// Logger is slog.Default by default.
	Logger *slog.Logger
	// Now is time.Now by default.
	Now func() time.Time
}

// ErrDSN says that Config.DSN is none.
var ErrDSN = errors.New("invalid ClickHouse DSN")

// Writer inserts chunks. It implements sinks.Writer and sinks.Preparer and is
// safe for concurrent use. Close it when the sink has ended.
type Writer struct {
	cfg  Config
	conn driver.Conn
}

var (
	_ sinks.Writer   = (*Writer)(nil)
	_ sinks.Preparer = (*Writer)(nil)
)

// New makes a writer; it does not connect yet. The error is ErrDSN.
func New(cfg Config) (*Writer, error) {
	if cfg.InsertTimeout <= 0 {
		cfg.InsertTimeout = time.Minute
	}
	if cfg.VerifyAfter <= 0 {
		cfg.VerifyAfter = 10 * time.Minute
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	opts, err := clickhouse.ParseDSN(cfg.DSN)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDSN, err)
	}
	if opts.Compression == nil && opts.Protocol == clickhouse.Native {
		opts.Compression = &clickhouse.Compression{Method: clickhouse.CompressionLZ4}
	}
	if opts.DialTimeout == 0 {
		opts.DialTimeout = 5 * time.Second
	}
	if opts.MaxOpenConns == 0 {
		opts.MaxOpenConns = 8
	}
	if opts.ConnMaxLifetime == 0 {
		// A server closes idle connections; writing to one that it just closed
		// costs a retry.
		opts.ConnMaxLifetime = 5 * time.Minute
	}
	conn, err := clickhouse.Open(opts)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDSN, err)
	}
	return &Writer{cfg: cfg, conn: conn}, nil
}

// Close ends all connections.
func (w *Writer) Close() error { return w.conn.Close() }

// Prepare runs the migrations.
func (w *Writer) Prepare(ctx context.Context) error {
	migrations, err := ddl.Migrations()
	if err != nil {
		return err
	}
	for _, m := range migrations {
		bounded, cancel := context.WithTimeout(ctx, w.cfg.InsertTimeout)
		err := w.conn.Exec(bounded, m.Statement)
		cancel()
		if err != nil {
			return classed(ctx, fmt.Errorf("migrating %s: %w", m.File, err))
		}
	}
	return nil
}

// WriteChunk implements sinks.Writer.
func (w *Writer) WriteChunk(ctx context.Context, c *sinks.Chunk) (sinks.Written, error) {
	bounded, cancel := context.WithTimeout(ctx, w.cfg.InsertTimeout)
	defer cancel()
	var rows int64
	var err error
	switch c.Table {
	case sinks.TableEvents:
		rows, err = insert(bounded, w, c, ddl.TableEvents, eventColumns, c.Events)
	case sinks.TableFeatures:
		rows, err = insert(bounded, w, c, ddl.TableFeatures, featureColumns, c.Features)
	case sinks.TableVerdicts:
		rows, err = insert(bounded, w, c, ddl.TableVerdicts, verdictColumns, c.Verdicts)
	default:
		err = fmt.Errorf("unknown table %q", c.Table)
	}
	if err != nil {
		return sinks.Written{}, classed(ctx, fmt.Errorf("inserting into ClickHouse: %w", err))
	}
	return sinks.Written{Rows: rows, Bytes: c.Bytes()}, nil
}

func eventColumns() ([]sinks.Column[sinks.EventRow], func(*sinks.EventRow) int32) {
	return sinks.EventColumns(), func(r *sinks.EventRow) int32 { return r.Day }
}

func featureColumns() ([]sinks.Column[sinks.FeatureRow], func(*sinks.FeatureRow) int32) {
	return sinks.FeatureColumns(), func(r *sinks.FeatureRow) int32 { return r.Day }
}

func verdictColumns() ([]sinks.Column[sinks.VerdictRow], func(*sinks.VerdictRow) int32) {
	return sinks.VerdictColumns(), func(r *sinks.VerdictRow) int32 { return r.Day }
}

// dayColumn partitions every table.
const dayColumn = "day"

// insert sends the chunk's rows as one insert and returns how many there are.
func insert[R any](ctx context.Context, w *Writer, c *sinks.Chunk, table string,
	describe func() ([]sinks.Column[R], func(*R) int32), walk func(func([]R) error) error,
) (int64, error) {
	columns, day := describe()
	names := make([]string, 0, len(columns)+1)
	for i := range columns {
		names = append(names, columns[i].Name)
	}
	names = append(names, dayColumn)

	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{
		// The sink batches; an asynchronous insert would be acknowledged later or
		// merged with others under one token.
		"async_insert":               0,
		"insert_deduplicate":         1,
		"insert_deduplication_token": c.Token(),
		"deduplicate_blocks_in_dependent_materialized_views": 1,
	}))
	batch, err := w.conn.PrepareBatch(ctx, "INSERT INTO "+table+" ("+strings.Join(names, ", ")+")")
	if err != nil {
		return 0, err
	}
	// Gives the connection back on every way out; after Send it does nothing.
	defer func() { _ = batch.Close() }()

	fillers := make([]*filler[R], len(columns))
	types := batch.Columns()
	for i := range columns {
		if fillers[i], err = newFiller(&columns[i], batch.Column(i), string(types[i].Type())); err != nil {
			return 0, err
		}
	}
	days := batch.Column(len(columns))
	first, last := int32(math.MaxInt32), int32(0)
	rows := int64(0)
	err = walk(func(part []R) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		rows += int64(len(part))
		for _, f := range fillers {
			if err := f.fill(part); err != nil {
				return fmt.Errorf("column %s: %w", f.column.Name, err)
			}
		}
		dates := make([]time.Time, len(part))
		for i := range part {
			d := day(&part[i])
			first, last = min(first, d), max(last, d)
			dates[i] = dateOf(d)
		}
		return days.Append(dates)
	})
	if err != nil || rows == 0 {
		return rows, err
	}
	stored, err := w.isStored(ctx, c, table, first, last, rows)
	if err != nil || stored {
		return rows, err
	}
	return rows, batch.Send()
}

func dateOf(day int32) time.Time { return time.Unix(int64(day)*86400, 0).UTC() }

// isStored looks whether an old chunk is in the table already. A chunk that is
// there in part is sent again whole: its token tells the server what it has.
func (w *Writer) isStored(ctx context.Context, c *sinks.Chunk, table string, first, last int32, rows int64) (bool, error) {
	// Verdicts replace themselves.
	if table == ddl.TableVerdicts || w.cfg.Now().Sub(c.Since) < w.cfg.VerifyAfter {
		return false, nil
	}
	var found uint64
	err := w.conn.QueryRow(ctx, "SELECT count() FROM "+table+
		" WHERE kafka_topic = ? AND kafka_partition = ? AND kafka_offset >= ? AND kafka_offset < ? AND day >= ? AND day <= ?",
		c.Topic, c.Partition, c.First, c.End,
		dateOf(first).Format(time.DateOnly), dateOf(last).Format(time.DateOnly)).Scan(&found)
	if err != nil {
		return false, fmt.Errorf("looking for the chunk: %w", err)
	}
	if found < uint64(rows) {
		return false, nil
	}
	w.cfg.Logger.Info("an old chunk was stored already", "table", table, "token", c.Token(), "rows", found)
	return true, nil
}

// Package sinks moves the events, features and verdicts topics into history:
// Parquet files (package parquetsink) or ClickHouse tables (clickhousesink).
//
// Run consumes with a consumer group of its own and gives a Writer one chunk of
// one partition at a time. A chunk is a half-open range of offsets [First, End),
// and a range is decided once, before anything is written:
//
//  1. commit the offset First with the metadata {"end": End}: the intent;
//  2. write the chunk under a name that the range alone decides (a file name, a
//     deduplication token);
//  3. commit the offset End.
//
// Whoever resumes the partition reads the intent back with the committed offset
// and forms the very same chunk again. A crash between any two steps therefore
// neither loses nor doubles a row, as long as the Writer makes a repeated chunk
// replace or ignore itself.
//
// Chunks close by rows, by bytes or by age, and all buffers together are
// bounded: while the store is away, one chunk of each partition is retried and
// fetching stops.
//
// Columns are described once, in EventColumns, FeatureColumns and
// VerdictColumns; both writers are driven by those tables.
package sinks

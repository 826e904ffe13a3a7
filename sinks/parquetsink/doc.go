// Package parquetsink writes history as Parquet files, the default where no
// ClickHouse is configured. It needs no server and DuckDB, ClickHouse, Spark and
// pandas read what it writes.
//
// # Layout
//
//	<dir>/<table>/dt=YYYY-MM-DD/<topic>-<partition>-<first>-<last>.parquet
//
// Tables are events, features and verdicts. A file holds those rows of the
// offsets first..last of one partition that belong to one day: of the event's
// time, or of the window's start for features and verdicts. A day too far from
// the broker's time gives way to the broker's. Rows are in offset order.
//
// # Schema
//
// Columns are named as in the records (package sinks, EventColumns and its
// siblings). Text is STRING, times are TIMESTAMP(MICROS, UTC), counts are INT64,
// headers and attrs are MAP<STRING, STRING>, lists are LIST<STRING>. A value that
// the gateway did not report is NULL; zero means zero. The columns kafka_topic,
// kafka_partition, kafka_offset and kafka_time place a row in the log. Pages are
// compressed with zstd at its fastest level.
//
// # Crash safety
//
// A file is written under a name that starts with a dot and ends in .tmp, synced,
// renamed, and its directory is synced. The name depends on the range of offsets
// alone, so a range that is written again replaces its files.
package parquetsink

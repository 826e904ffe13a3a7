// Package clickhousesink writes history to ClickHouse, over the native protocol
// or HTTP. The tables are those of package schemas/clickhouse, which Prepare
// creates.
//
// A chunk is one synchronous, columnar insert with the deduplication token
// "topic:partition:first-end". The server drops a repetition of a token, in the
// table and in the targets of its views, so an insert whose answer was lost is
// sent again without doubling a row. The server remembers the last ten thousand
// inserts; for a chunk decided so long ago that the token may be forgotten, the
// sink first looks whether its rows are there.
//
// Errors that time heals make the runner repeat the chunk: the network, time
// limits, memory limits, too many parts, a table that is read-only for now. Any
// other error stops the sink: a wrong type or a missing column is for a human.
//
// On a cluster, point the DSN at one shard's replica and create the tables there
// beforehand with Replicated engines: CREATE ... IF NOT EXISTS leaves them alone.
package clickhousesink

// Package stream runs partition processors on Kafka: consume, transform,
// produce, with state that survives the death of any worker.
//
// A worker owns nothing. The state of a partition is a pure function of the
// records in that partition, kept as snapshots in a compacted topic; whoever
// is assigned the partition next loads the snapshots, replays the records
// after them with output muted, and goes on exactly where the log says.
//
// [Run] is the runtime, with two delivery modes ([ExactlyOnce] and
// [AtLeastOnce]). Beside it are the tools such a pipeline needs: tick records
// that move time forward in idle partitions ([RunTicker]), consumer lag in
// records and in time ([Lag]), topic definitions ([EnsureTopics],
// [CheckTopics]) and an embedded single-node broker ([StartEmbedded]).
//
// The package knows no record type: keys and values are bytes. DESIGN.md in
// this folder explains the concurrency rules and the failure sequences.
package stream

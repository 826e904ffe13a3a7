package schemas

import "strconv"

// Topic names without their prefix.
const (
	TopicEvents     = "events"
	TopicFeatures   = "features"
	TopicAggregates = "aggregates"
	TopicVerdicts   = "verdicts"
	TopicBlocklist  = "blocklist"
	TopicModels     = "models"
	TopicState      = "state"
	TopicDeadLetter = "deadletter"
)

// DefaultTopicPrefix precedes every topic name unless configured otherwise.
const DefaultTopicPrefix = "weir."

// Topic is one topic as it should exist: full name, partition count, and the
// broker settings that the design depends on.
type Topic struct {
	Name       string
	Partitions int32
	Config     map[string]string
}

// Topics lists every topic under a prefix. Events, features, aggregates and
// state share one partition count, because a worker owns the same partition
// number of each.
func Topics(prefix string, partitions int32) []Topic {
	const hour = 3_600_000
	ms := func(n int) string { return strconv.Itoa(n) }
	retained := func(hours int) map[string]string {
		return map[string]string{
			"cleanup.policy": "delete", "retention.ms": ms(hours * hour),
			"segment.bytes": "33554432",
		}
	}
	compacted := func() map[string]string {
		return map[string]string{
			"cleanup.policy": "compact", "segment.bytes": "16777216", "segment.ms": ms(hour),
			"min.cleanable.dirty.ratio": "0.1", "max.compaction.lag.ms": ms(hour),
			"delete.retention.ms": ms(24 * hour),
		}
	}
	events := retained(72)
	// The broker's clock, stored in the log, bounds every gateway's clock and
	// stays the same on replay.
	events["message.timestamp.type"] = "LogAppendTime"
	state := compacted()
	state["max.message.bytes"] = "2097152"
	models := compacted()
	models["max.message.bytes"] = "10485760"
	dead := retained(168)
	// An event too large to be accepted is still taken in, and refused by the
	// extractor, where it is counted and seen.
	events["max.message.bytes"] = "12582912"
	return []Topic{
		{prefix + TopicEvents, partitions, events},
		{prefix + TopicFeatures, partitions, retained(24)},
		{prefix + TopicAggregates, partitions, retained(24)},
		{prefix + TopicState, partitions, state},
		{prefix + TopicVerdicts, partitions, retained(168)},
		{prefix + TopicBlocklist, 1, compacted()},
		{prefix + TopicModels, 1, models},
		{prefix + TopicDeadLetter, 1, dead},
	}
}

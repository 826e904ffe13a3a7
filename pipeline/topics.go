// Package pipeline puts the pure parts of the program to work: it wires feature
// extraction and scoring onto the Kafka runtime for live traffic, and onto files
// for offline detection. Both run the same code on the same records.
package pipeline

import (
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weir-dev/weir/schemas"
)

// Topics are the full names of the topics of one deployment.
type Topics struct {
	Events, Features, Aggregates, Verdicts, Blocklist, Models, State, DeadLetter string
}

// TopicsUnder are the topics under a prefix.
func TopicsUnder(prefix string) Topics {
	return Topics{
		Events: prefix + schemas.TopicEvents, Features: prefix + schemas.TopicFeatures,
		Aggregates: prefix + schemas.TopicAggregates, Verdicts: prefix + schemas.TopicVerdicts,
		Blocklist: prefix + schemas.TopicBlocklist, Models: prefix + schemas.TopicModels, State: prefix + schemas.TopicState,
		DeadLetter: prefix + schemas.TopicDeadLetter,
	}
}

// header returns the value of a record header, nil without it.
func header(rec *kgo.Record, key string) []byte {
	for i := range rec.Headers {
		if rec.Headers[i].Key == key {
			return rec.Headers[i].Value
		}
	}
	return nil
}

// schemaHeaders are the headers of a record of a schema.
func schemaHeaders(schema, contentType string) []kgo.RecordHeader {
	return []kgo.RecordHeader{
		{Key: schemas.HeaderSchema, Value: []byte(schema)},
		{Key: schemas.HeaderContentType, Value: []byte(contentType)},
	}
}

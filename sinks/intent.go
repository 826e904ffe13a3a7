package sinks

import (
	"encoding/json"
	"time"
)

// intent is the metadata of an offset commit: the chunk that starts at the
// committed offset ends at End, and may already have been written.
type intent struct {
	End int64 `json:"end"`
	// At is when the chunk was decided, seconds since 1970. A store whose memory
	// of tokens is short uses it to tell a fresh retry from an old one.
	At int64 `json:"at,omitempty"`
}

func (i intent) String() string {
	// Two integers always marshal.
	text, _ := json.Marshal(i)
	return string(text)
}

func (i intent) since() time.Time {
	if i.At == 0 {
		return time.Time{}
	}
	return time.Unix(i.At, 0).UTC()
}

// parseIntent reads the metadata committed with an offset. Metadata of other
// tools, and a range that ends at or before the offset, are no intent.
func parseIntent(offset int64, metadata *string) (intent, bool) {
	var i intent
	if metadata == nil || *metadata == "" || offset < 0 {
		return intent{}, false
	}
	if json.Unmarshal([]byte(*metadata), &i) != nil || i.End <= offset || i.At < 0 {
		return intent{}, false
	}
	return i, true
}

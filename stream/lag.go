package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"
)

// PartitionLag is how far a group is behind in one partition.
type PartitionLag struct {
	Group     string
	Topic     string
	Partition int32
	Committed int64 // next record to be processed; -1: nothing was committed yet
	End       int64 // end of the log
	Records   int64 // between Committed (or the start of the log) and End, markers of transactions included
	// Time is the age of the first record that is not committed, by its
	// timestamp; 0 if there is none.
	Time time.Duration
}

// Lag returns the lag of groups, or of all groups if none are named, in every
// partition of the topics they have commits in, ordered by group, topic and
// partition. A group without commits has no entries.
func Lag(ctx context.Context, client *kgo.Client, groups ...string) ([]PartitionLag, error) {
	c := clusterOf(client)
	if len(groups) == 0 {
		listed, err := c.adm.ListGroups(ctx)
		if err != nil {
			return nil, fmt.Errorf("listing groups: %w", err)
		}
		groups = listed.Groups()
	}
	var lags []PartitionLag
	for _, group := range groups {
		committed, err := c.adm.FetchOffsets(ctx, group)
		if err == nil {
			err = committed.Error()
		}
		if errors.Is(err, kerr.GroupIDNotFound) {
			continue // nobody has joined it yet
		}
		if err != nil {
			return nil, fmt.Errorf("fetching offsets of group %s: %w", group, err)
		}
		if len(committed) == 0 {
			continue
		}
		topics := make([]string, 0, len(committed))
		for topic := range committed {
			topics = append(topics, topic)
		}
		starts, err := c.adm.ListStartOffsets(ctx, topics...)
		if err != nil {
			return nil, fmt.Errorf("listing start offsets: %w", err)
		}
		ends, err := c.adm.ListEndOffsets(ctx, topics...)
		if err != nil {
			return nil, fmt.Errorf("listing end offsets: %w", err)
		}
		ends.Each(func(end kadm.ListedOffset) {
			start, ok := starts.Lookup(end.Topic, end.Partition)
			if end.Err != nil || !ok || start.Err != nil {
				return // deleted since it was committed to
			}
			l := PartitionLag{Group: group, Topic: end.Topic, Partition: end.Partition, Committed: -1, End: end.Offset}
			from := start.Offset
			if o, ok := committed.Lookup(end.Topic, end.Partition); ok && o.At >= 0 {
				l.Committed = o.At
				from = max(from, o.At)
			}
			l.Records = max(0, l.End-from)
			lags = append(lags, l)
		})
	}
	slices.SortFunc(lags, func(a, b PartitionLag) int {
		if c := strings.Compare(a.Group, b.Group); c != 0 {
			return c
		}
		if c := strings.Compare(a.Topic, b.Topic); c != 0 {
			return c
		}
		return int(a.Partition - b.Partition)
	})

	now := time.Now()
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for i := range lags {
		l := &lags[i]
		if l.Records == 0 {
			continue
		}
		g.Go(func() error {
			f := c.fetchOnce(gctx, topicPartition{l.Topic, l.Partition}, l.End-l.Records, readUncommitted)
			if f.err != nil {
				return fmt.Errorf("reading the first record behind in %s/%d: %w", l.Topic, l.Partition, f.err)
			}
			if len(f.records) > 0 {
				l.Time = max(0, now.Sub(f.records[0].Timestamp))
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return lags, nil
}

package stream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// TopicSpec is the wanted definition of a topic.
type TopicSpec struct {
	Name       string
	Partitions int32             // number of partitions, at least 1
	Config     map[string]string // topic configuration, by its Kafka names; only these keys are compared
}

// Difference is one way in which a topic is not as its TopicSpec wants it.
type Difference struct {
	Topic string
	What  string // "missing", "partitions", or the name of a configuration key
	Want  string
	Have  string // empty if missing
}

// The values of Difference.What that are not configuration keys.
const (
	DifferenceMissing    = "missing"
	DifferencePartitions = "partitions"
)

// String renders the difference for a person.
func (d Difference) String() string {
	if d.What == DifferenceMissing {
		return fmt.Sprintf("topic %s is missing", d.Topic)
	}
	return fmt.Sprintf("topic %s: %s is %q, want %q", d.Topic, d.What, d.Have, d.Want)
}

// EnsureTopics creates the topics that do not exist. It changes nothing about
// those that do: CheckTopics tells how they differ. replication is the
// replication factor of new topics; -1 leaves it to the broker. Several
// processes may call it at the same time, and one that may not create topics
// can call it when they all exist.
func EnsureTopics(ctx context.Context, adm *kadm.Client, specs []TopicSpec, replication int16) error {
	// Creating comes before looking: the client would remember for seconds
	// that a topic was missing when it looked.
	failed := make(map[string]error)
	var unsure []TopicSpec
	for _, s := range specs {
		configs := make(map[string]*string, len(s.Config))
		for k, v := range s.Config {
			configs[k] = &v
		}
		_, err := adm.CreateTopic(ctx, s.Partitions, replication, configs, s.Name)
		if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
			failed[s.Name] = err
			unsure = append(unsure, s)
		}
	}
	have, err := listTopics(ctx, adm, unsure)
	if err != nil {
		return fmt.Errorf("listing topics: %w", err)
	}
	for _, s := range unsure {
		if d, ok := have[s.Name]; !ok || d.Err != nil {
			return fmt.Errorf("creating topic %s: %w", s.Name, failed[s.Name])
		}
	}
	return nil
}

// CheckTopics compares the topics of the cluster with their specs and returns
// the differences in the order of specs, configuration keys sorted.
func CheckTopics(ctx context.Context, adm *kadm.Client, specs []TopicSpec) ([]Difference, error) {
	have, err := listTopics(ctx, adm, specs)
	if err != nil {
		return nil, fmt.Errorf("listing topics: %w", err)
	}
	var present []string
	for _, s := range specs {
		if d, ok := have[s.Name]; ok && d.Err == nil {
			present = append(present, s.Name)
		} else if ok && !errors.Is(d.Err, kerr.UnknownTopicOrPartition) {
			return nil, fmt.Errorf("describing topic %s: %w", s.Name, d.Err)
		}
	}
	var configs kadm.ResourceConfigs
	if len(present) > 0 {
		if configs, err = adm.DescribeTopicConfigs(ctx, present...); err != nil {
			return nil, fmt.Errorf("describing topic configurations: %w", err)
		}
	}
	var diffs []Difference
	for _, s := range specs {
		if !slices.Contains(present, s.Name) {
			diffs = append(diffs, Difference{Topic: s.Name, What: DifferenceMissing, Want: strconv.Itoa(int(s.Partitions)) + " partitions"})
			continue
		}
		if n := len(have[s.Name].Partitions); n != int(s.Partitions) {
			diffs = append(diffs, Difference{Topic: s.Name, What: DifferencePartitions, Want: strconv.Itoa(int(s.Partitions)), Have: strconv.Itoa(n)})
		}
		rc, err := configs.On(s.Name, nil)
		if err == nil {
			err = rc.Err
		}
		if err != nil {
			return nil, fmt.Errorf("describing configuration of topic %s: %w", s.Name, err)
		}
		values := make(map[string]string, len(rc.Configs))
		for _, c := range rc.Configs {
			values[c.Key] = c.MaybeValue()
		}
		for _, k := range slices.Sorted(maps.Keys(s.Config)) {
			if values[k] != s.Config[k] {
				diffs = append(diffs, Difference{Topic: s.Name, What: k, Want: s.Config[k], Have: values[k]})
			}
		}
	}
	return diffs, nil
}

// listTopics asks the cluster. The client would answer from what it knew a few
// seconds ago, in which a topic that was created since is missing; asking for
// the authorized operations is the way around that.
func listTopics(ctx context.Context, adm *kadm.Client, specs []TopicSpec) (kadm.TopicDetails, error) {
	if len(specs) == 0 {
		return nil, nil // the request without names would mean all topics
	}
	return adm.ListTopicsWithInternal(kadm.WithAuthorizedOps(ctx), topicNames(specs)...)
}

func topicNames(specs []TopicSpec) []string {
	names := make([]string, len(specs))
	for i, s := range specs {
		names[i] = s.Name
	}
	return names
}

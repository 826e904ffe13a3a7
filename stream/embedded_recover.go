package stream

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// runningFile lies in the data directory from start to orderly stop, so that a
// start that finds it comes after a crash.
const runningFile = "running"

// markRunning reports whether the run before this one ended in a crash.
func markRunning(dir string) (crashed bool, err error) {
	path := filepath.Join(dir, runningFile)
	if _, err := os.Stat(path); err == nil {
		return true, nil
	} else if !errors.Is(err, os.ErrNotExist) {
		return false, fmt.Errorf("looking for a crash: %w", err)
	}
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		return false, fmt.Errorf("marking the data directory: %w", err)
	}
	return false, nil
}

// recoverTransactions ends for good what was open when the broker crashed. The
// broker underneath takes it for aborted, but writes that down nowhere:
//
//	transaction A is open, the broker crashes and starts again
//	A's producer asks to commit A. Its epoch was raised by one, which is also
//	what a commit does, so it is told that A has been committed: A is lost
//
//	transaction A is open, the broker crashes and starts again
//	the producer goes on under the same id and commits transaction B
//	the broker crashes again, and reads from its log A, B and one commit marker:
//	A, whose input was processed again in B, is there a second time
//
// So every transactional producer is fenced, and an abort marker written in
// every partition, before the first client can connect.
func recoverTransactions(opts []kfake.Opt) error {
	// Later options win: nobody knows this port.
	cluster, err := kfake.NewCluster(append(opts[:len(opts):len(opts)], kfake.Ports(0))...)
	if err != nil {
		return err
	}
	defer cluster.Close()
	cl, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...))
	if err != nil {
		return err
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	adm := kadm.NewClient(cl)
	listed, err := adm.ListTransactions(ctx, nil, nil)
	if err != nil {
		return fmt.Errorf("listing transactions: %w", err)
	}
	topics, err := adm.ListTopics(ctx)
	if err != nil {
		return fmt.Errorf("listing topics: %w", err)
	}
	markers := kmsg.NewPtrWriteTxnMarkersRequest()
	for _, txn := range listed.Sorted() {
		init := kmsg.NewPtrInitProducerIDRequest()
		init.TransactionalID = kmsg.StringPtr(txn.TxnID)
		init.TransactionTimeoutMillis = 10_000
		fenced, err := init.RequestWith(ctx, cl)
		if err == nil {
			err = kerr.ErrorForCode(fenced.ErrorCode)
		}
		if err != nil {
			return fmt.Errorf("fencing %s: %w", txn.TxnID, err)
		}
		m := kmsg.NewWriteTxnMarkersRequestMarker()
		m.ProducerID, m.ProducerEpoch = fenced.ProducerID, fenced.ProducerEpoch
		for _, topic := range topics.Sorted() {
			mt := kmsg.NewWriteTxnMarkersRequestMarkerTopic()
			mt.Topic, mt.Partitions = topic.Topic, topic.Partitions.Numbers()
			m.Topics = append(m.Topics, mt)
		}
		markers.Markers = append(markers.Markers, m)
	}
	if len(markers.Markers) == 0 {
		return nil
	}
	answer, err := cl.Broker(0).Request(ctx, markers)
	if err != nil {
		return fmt.Errorf("writing abort markers: %w", err)
	}
	for _, m := range answer.(*kmsg.WriteTxnMarkersResponse).Markers {
		for _, t := range m.Topics {
			for _, p := range t.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					return fmt.Errorf("writing abort marker to %s/%d: %w", t.Topic, p.Partition, err)
				}
			}
		}
	}
	return nil
}

package stream

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func (b *bed) dump(topic string) {
	c := clusterOf(b.cl)
	for _, i := range b.emb.cluster.PartitionInfos(topic) {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		err := c.read(ctx, topic, i.Partition, 0, i.LastStableOffset, readCommitted, func(*kgo.Record) error { return nil })
		cancel()
		if err == nil {
			continue
		}
		fmt.Printf("DBG %s %+v %v\n", topic, *i, err)
		for _, iso := range []int8{0, 1} {
			for from := int64(0); from < i.HighWatermark; {
				pl, _ := c.place(b.ctx(), topicPartition{topic, i.Partition})
				req := kmsg.NewPtrFetchRequest()
				req.MaxWaitMillis = 100
				req.MinBytes = 1
				req.MaxBytes = 16 << 20
				req.IsolationLevel = iso
				req.SessionEpoch = -1
				rt := kmsg.NewFetchRequestTopic()
				rt.Topic, rt.TopicID = topic, pl.id
				rp := kmsg.NewFetchRequestTopicPartition()
				rp.Partition, rp.FetchOffset, rp.PartitionMaxBytes = i.Partition, from, 4<<20
				rt.Partitions = append(rt.Partitions, rp)
				req.Topics = append(req.Topics, rt)
				kresp, err := c.cl.Broker(int(pl.leader)).RetriableRequest(b.ctx(), req)
				if err != nil {
					fmt.Println("DBG", err)
					break
				}
				p := kresp.(*kmsg.FetchResponse).Topics[0].Partitions[0]
				fmt.Printf("DBG iso %d from %d: err %d hw %d lso %d start %d bytes %d aborted %d\n", iso, from, p.ErrorCode, p.HighWatermark, p.LastStableOffset, p.LogStartOffset, len(p.RecordBatches), len(p.AbortedTransactions))
				in := p.RecordBatches
				n := int64(0)
				for len(in) > 17 {
					var rb kmsg.RecordBatch
					if err := rb.ReadFrom(in); err != nil {
						fmt.Println("DBG", err)
						break
					}
					if from > 800 {
						fmt.Printf("DBG   batch %d +%d attrs %x pid %d epoch %d seq %d\n", rb.FirstOffset, rb.LastOffsetDelta, rb.Attributes, rb.ProducerID, rb.ProducerEpoch, rb.FirstSequence)
					}
					n = rb.FirstOffset + int64(rb.LastOffsetDelta) + 1
					in = in[12+rb.Length:]
				}
				if n <= from {
					break
				}
				from = n
			}
		}
		exec.Command("cp", "-r", b.dir, "/tmp/st/broken").Run()
		os.Exit(3)
	}
}

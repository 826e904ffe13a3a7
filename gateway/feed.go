package gateway

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/weir-dev/weir/schemas"
)

// FeedLine is one line of the feed.
type FeedLine struct {
	// Op is "put" or "delete" for an entry, "ready" after the snapshot, "ping"
	// when nothing changed for a while, and "reset" before the stream ends
	// because the reader has to start again.
	Op    string              `json:"op"`
	Scope string              `json:"scope,omitempty"`
	Value string              `json:"value,omitempty"`
	Allow bool                `json:"allow,omitempty"`
	Entry *schemas.BlockEntry `json:"entry,omitempty"` // with put
	Count int                 `json:"count,omitempty"` // with ready: lines of the snapshot
}

// Feed serves GET /v1/blocklist: the entries in force as NDJSON, one FeedLine
// each, ending with "ready". With ?follow=true the stream stays open and carries
// every change; a reader that cannot keep up is told "reset" and cut off.
type Feed struct {
	list *Blocklist
	ping time.Duration
}

// feedBuffer is how many changes a reader may be behind.
const feedBuffer = 4096

// feedWrite bounds one write to a reader.
const feedWrite = 10 * time.Second

// NewFeed returns the handler.
func NewFeed(list *Blocklist) *Feed { return &Feed{list: list, ping: 15 * time.Second} }

// ServeHTTP implements http.Handler.
func (f *Feed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", http.MethodGet)
		http.Error(w, "only GET", http.StatusMethodNotAllowed)
		return
	}
	if !f.list.IsReady() {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "the blocklist is still being read", http.StatusServiceUnavailable)
		return
	}
	// Subscribed before the snapshot is taken, so that no change falls between.
	var changes chan Change
	lost := make(chan struct{})
	if r.URL.Query().Get("follow") == "true" {
		changes = make(chan Change, feedBuffer)
		gone := false
		defer f.list.Subscribe(func(c Change) {
			if gone {
				return
			}
			select {
			case changes <- c:
				gone = c.Kind == ChangeRebuilt
			default:
				gone = true
			}
			if gone {
				close(lost)
			}
		})()
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	out := &feedWriter{control: http.NewResponseController(w), enc: json.NewEncoder(w)}
	for it := range f.list.All() {
		if out.put(it); out.err != nil {
			return
		}
	}
	out.line(FeedLine{Op: "ready", Count: out.lines})
	if out.flush(); changes == nil {
		return
	}
	f.follow(r, out, changes, lost)
}

func (f *Feed) follow(r *http.Request, out *feedWriter, changes <-chan Change, lost <-chan struct{}) {
	ping := time.NewTicker(f.ping)
	defer ping.Stop()
	for out.err == nil {
		select {
		case <-r.Context().Done():
			return
		case <-lost:
			out.line(FeedLine{Op: "reset"})
			out.flush()
			return
		case <-ping.C:
			out.line(FeedLine{Op: "ping"})
		case c := <-changes:
			out.change(c)
			for more := len(changes); more > 0; more-- {
				out.change(<-changes)
			}
		}
		out.flush()
	}
}

// feedWriter writes lines and keeps the first error.
type feedWriter struct {
	control *http.ResponseController
	enc     *json.Encoder
	lines   int
	err     error
}

func (o *feedWriter) line(l FeedLine) {
	if o.err != nil {
		return
	}
	// The deadline moves along: a slow reader may take long in all, a stuck one
	// may not keep the connection.
	if o.lines%1000 == 0 {
		o.deadline()
	}
	o.lines++
	o.err = o.enc.Encode(l)
}

func (o *feedWriter) deadline() {
	err := o.control.SetWriteDeadline(time.Now().Add(feedWrite))
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		o.err = err
	}
}

func (o *feedWriter) put(it Item) {
	o.line(FeedLine{Op: "put", Scope: it.Scope, Value: it.Value, Allow: it.Allow, Entry: &it.Entry})
}

func (o *feedWriter) change(c Change) {
	switch c.Kind {
	case ChangeAdded, ChangeReplaced:
		o.put(c.Item)
	case ChangeRemoved, ChangeExpired:
		o.line(FeedLine{Op: "delete", Scope: c.Item.Scope, Value: c.Item.Value, Allow: c.Item.Allow})
	}
}

func (o *feedWriter) flush() {
	if o.err != nil {
		return
	}
	o.deadline()
	if err := o.control.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		o.err = err
	}
}

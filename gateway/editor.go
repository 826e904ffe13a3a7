package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weir-dev/weir/schemas"
)

// Errors of an Editor.
var (
	// ErrAllowed refuses a block that would have no effect.
	ErrAllowed = errors.New("the entity is on the allow list, which wins over blocks")
	// ErrNotListed says that there is no entry to remove.
	ErrNotListed = errors.New("no such entry")
	// ErrTTL refuses a block without a positive time to live.
	ErrTTL = errors.New("a block needs a positive time to live")
	// ErrAction refuses an action that a blocklist entry cannot have.
	ErrAction = errors.New("action is not throttle, challenge or block")
	// ErrReason refuses an entry that does not say why it exists, or at length.
	ErrReason = errors.New("an entry needs a reason of 1 to 1000 bytes")
)

// EditorConfig configures an Editor.
type EditorConfig struct {
	// Opts reach the brokers: seed brokers, TLS, SASL.
	Opts []kgo.Opt
	// Topic is the full name of the blocklist topic. Required.
	Topic string
	// Tenant whose list is edited. Default: "default".
	Tenant string
	// Logger receives refused entries found while reading. Default: none.
	Logger *slog.Logger
	// Now is the clock. Default: time.Now.
	Now func() time.Time
}

// Editor changes a tenant's list on an operator's behalf. Every method reads the
// topic from its start first; it is made for a command line, not for a request
// path. Followers see a change within milliseconds of the method's return.
type Editor struct {
	cfg EditorConfig
	cl  *kgo.Client
}

// NewEditor returns an Editor. Close it.
func NewEditor(cfg EditorConfig) (*Editor, error) {
	list := Config{Topic: cfg.Topic, Tenant: cfg.Tenant, Logger: cfg.Logger, Now: cfg.Now}
	if err := list.defaults(); err != nil {
		return nil, err
	}
	cfg.Tenant, cfg.Logger, cfg.Now = list.Tenant, list.Logger, list.Now
	cl, err := kgo.NewClient(append(append([]kgo.Opt{}, cfg.Opts...),
		kgo.DefaultProduceTopic(cfg.Topic), kgo.ProducerLinger(0))...)
	if err != nil {
		return nil, fmt.Errorf("configuring the blocklist editor: %w", err)
	}
	return &Editor{cfg: cfg, cl: cl}, nil
}

// Close releases the connection.
func (e *Editor) Close() { e.cl.Close() }

// Filter chooses entries; a zero field chooses all.
type Filter struct {
	Scope  string
	Value  string // in any spelling of the scope
	Attack string
	// Blocks and Allows choose kinds; neither set chooses both.
	Blocks, Allows bool
	// Expired includes entries past their expiry that no janitor has removed yet.
	Expired bool
}

// errEnough ends a read at the end of the log.
var errEnough = errors.New("end of the log")

// onceSink fills a Blocklist and stops at the end.
type onceSink struct{ *listSink }

func (onceSink) caughtUp(int64) error { return errEnough }

// read is the list as it stands now.
func (e *Editor) read(ctx context.Context) (*store, error) {
	b, err := NewBlocklist(Config{
		Opts: e.cfg.Opts, Topic: e.cfg.Topic, Tenant: e.cfg.Tenant, Logger: e.cfg.Logger, Now: e.cfg.Now,
	})
	if err != nil {
		return nil, err
	}
	if err := b.follow.once(ctx, onceSink{(*listSink)(b)}); !errors.Is(err, errEnough) {
		return nil, fmt.Errorf("reading the blocklist: %w", err)
	}
	return b.live.Load(), nil
}

// List reads the list and returns the chosen entries, blocks before allowances,
// then by scope and value.
func (e *Editor) List(ctx context.Context, f Filter) ([]Item, error) {
	if f.Scope != "" {
		if _, ok := scopeOf([]byte(f.Scope)); !ok {
			return nil, fmt.Errorf("%w: %q", ErrScope, f.Scope)
		}
	}
	s, err := e.read(ctx)
	if err != nil {
		return nil, err
	}
	now := e.cfg.Now().UnixMicro()
	var items []Item
	s.each(func(sc scope, allow bool, p packed) bool {
		it := item(sc, allow, p)
		if (f.Scope == "" || f.Scope == it.Scope) && (f.Value == "" || sameEntity(sc, f.Value, it.Value)) &&
			(f.Attack == "" || f.Attack == it.Entry.Attack) &&
			(f.Blocks == f.Allows || f.Allows == allow) && (f.Expired || p.expires() > now) {
			items = append(items, it)
		}
		return true
	})
	slices.SortFunc(items, func(a, b Item) int {
		if a.Allow != b.Allow {
			if a.Allow {
				return 1
			}
			return -1
		}
		return cmp.Or(cmp.Compare(a.Scope, b.Scope), cmp.Compare(a.Value, b.Value))
	})
	return items, nil
}

func sameEntity(sc scope, a, b string) bool {
	idA, _, okA := identify(nil, sc, []byte(a))
	idB, _, okB := identify(nil, sc, []byte(b))
	return okA && okB && string(idA) == string(idB)
}

// Block is a block to add by hand.
type Block struct {
	Scope, Value string
	Action       schemas.Action // default: block
	Reason       string
	TTL          time.Duration
	Attack       string // optional name of the catalogue
}

// Add writes a block, replacing one of the same entity, and returns it as
// written. It refuses an entity that is allowed: ErrAllowed. Other errors:
// ErrScope, ErrValue, ErrAction, ErrTTL, ErrReason.
func (e *Editor) Add(ctx context.Context, b Block) (Item, error) {
	value, err := Canonical(b.Scope, b.Value)
	if err != nil {
		return Item{}, err
	}
	if b.Action == "" {
		b.Action = schemas.ActionBlock
	}
	switch {
	case b.Action.Severity() == 0:
		return Item{}, fmt.Errorf("%w: %q", ErrAction, b.Action)
	case b.TTL <= 0:
		return Item{}, fmt.Errorf("%w: %s", ErrTTL, b.TTL)
	case b.Reason == "" || len(b.Reason) > 1000:
		return Item{}, ErrReason
	}
	s, err := e.read(ctx)
	if err != nil {
		return Item{}, err
	}
	sc, _ := scopeOf([]byte(b.Scope))
	now := e.cfg.Now()
	if s.allowsEntity(sc, value, now.UnixMicro) {
		return Item{}, fmt.Errorf("%w: %s %s", ErrAllowed, sc, value)
	}
	it := Item{Scope: b.Scope, Value: value, Entry: schemas.BlockEntry{
		VerdictID: manualID(now), Action: b.Action, Attack: b.Attack, Confidence: 1,
		Reason: b.Reason, Created: now.UTC().Truncate(time.Microsecond),
		ExpiresAt: now.Add(b.TTL).UTC().Truncate(time.Microsecond),
	}}
	return e.write(ctx, it)
}

// manualID marks an entry that no verdict stands behind.
func manualID(now time.Time) string { return "manual-" + strconv.FormatInt(now.UnixMicro(), 36) }

// Remove lifts the block of an entity, however the log spells it, and returns
// what was lifted. The error is ErrNotListed when there is none.
func (e *Editor) Remove(ctx context.Context, scope, value string) ([]Item, error) {
	return e.tombstone(ctx, scope, value, false)
}

// Disallow takes an entity from the allow list and returns the entries removed.
// Blocks that the allowance lifted do not come back. The error is ErrNotListed
// when there is none.
func (e *Editor) Disallow(ctx context.Context, scope, value string) ([]Item, error) {
	return e.tombstone(ctx, scope, value, true)
}

func (e *Editor) tombstone(ctx context.Context, scope, value string, allow bool) ([]Item, error) {
	value, err := Canonical(scope, value)
	if err != nil {
		return nil, err
	}
	s, err := e.read(ctx)
	if err != nil {
		return nil, err
	}
	sc, _ := scopeOf([]byte(scope))
	items := e.lift(s, sc, allow, value, nil)
	if len(items) == 0 {
		return nil, fmt.Errorf("%w: %s %s", ErrNotListed, scope, value)
	}
	return items, e.produceTombstones(ctx, items)
}

// lift appends every spelling of an entity to items.
func (e *Editor) lift(s *store, sc scope, allow bool, value string, items []Item) []Item {
	for _, p := range s.all(sc, allow, []byte(value)) {
		items = append(items, item(sc, allow, p))
	}
	return items
}

// Allow puts an entity on the allow list, for ever with a TTL of 0, and lifts
// the blocks that it covers: of the same entity, and for a network of the
// addresses, devices and networks inside it. It returns what was lifted.
//
// The allowance is written first: if the rest fails it already wins over the
// blocks, and a Janitor lifts them.
func (e *Editor) Allow(ctx context.Context, scopeName, value, reason string, ttl time.Duration) (allowed Item, lifted []Item, err error) {
	if value, err = Canonical(scopeName, value); err != nil {
		return Item{}, nil, err
	}
	if reason == "" || len(reason) > 1000 {
		return Item{}, nil, ErrReason
	}
	if ttl < 0 {
		return Item{}, nil, fmt.Errorf("allowing for %s: %w", ttl, ErrTTL)
	}
	now := e.cfg.Now()
	expires := Forever
	if ttl > 0 {
		expires = now.Add(ttl).UTC().Truncate(time.Microsecond)
	}
	allowed, err = e.write(ctx, Item{Scope: scopeName, Value: value, Allow: true, Entry: schemas.BlockEntry{
		VerdictID: manualID(now), Action: schemas.AllowAction, Confidence: 1, Reason: reason,
		Created: now.UTC().Truncate(time.Microsecond), ExpiresAt: expires,
	}})
	if err != nil {
		return Item{}, nil, err
	}
	s, err := e.read(ctx)
	if err != nil {
		return allowed, nil, err
	}
	only := newStore()
	sc, _ := scopeOf([]byte(scopeName))
	for _, p := range s.all(sc, true, []byte(value)) {
		only.put(sc, true, p)
	}
	only.publish()
	s.each(func(sc scope, allow bool, p packed) bool {
		if !allow && only.allowsEntity(sc, p.value(), now.UnixMicro) {
			lifted = e.lift(s, sc, false, p.value(), lifted)
		}
		return true
	})
	if err := e.produceTombstones(ctx, lifted); err != nil {
		return allowed, nil, err
	}
	return allowed, lifted, nil
}

func (e *Editor) key(it Item) []byte {
	if it.Allow {
		return []byte(schemas.AllowKey(e.cfg.Tenant, it.Scope, it.Value))
	}
	return []byte(schemas.BlockKey(e.cfg.Tenant, it.Scope, it.Value))
}

func (e *Editor) write(ctx context.Context, it Item) (Item, error) {
	value, err := json.Marshal(it.Entry)
	if err != nil {
		return Item{}, fmt.Errorf("encoding a blocklist entry: %w", err)
	}
	r, err := e.cl.ProduceSync(ctx, &kgo.Record{
		Key: e.key(it), Value: value, Headers: schemaHeaders(),
	}).First()
	if err != nil {
		return Item{}, fmt.Errorf("writing to the blocklist: %w", err)
	}
	it.Offset = r.Offset
	return it, nil
}

func schemaHeaders() []kgo.RecordHeader {
	return []kgo.RecordHeader{
		{Key: schemas.HeaderSchema, Value: []byte(SchemaHeader)},
		{Key: schemas.HeaderContentType, Value: []byte(schemas.ContentTypeJSON)},
	}
}

// produceTombstones lifts without a condition: an operator means the entity, not
// the entry that happened to stand when they looked.
func (e *Editor) produceTombstones(ctx context.Context, items []Item) error {
	rs := make([]*kgo.Record, len(items))
	for i, it := range items {
		rs[i] = &kgo.Record{Key: e.key(it)}
	}
	if len(rs) == 0 {
		return nil
	}
	if err := e.cl.ProduceSync(ctx, rs...).FirstErr(); err != nil {
		return fmt.Errorf("lifting blocks: %w", err)
	}
	return nil
}

package schemas

import (
	"errors"
	"fmt"
	"strings"
)

// DefaultTenant is the tenant of an event that names none.
const DefaultTenant = "default"

// Names of record headers that the project writes and reads.
const (
	// HeaderSchema names the record's schema and version, such as "event/1".
	// A record without it is read as version 1 of what its topic holds.
	HeaderSchema = "weir-schema"
	// HeaderContentType is ContentTypeJSON or ContentTypeProtobuf. A record
	// without it is JSON when its value starts with '{', else Protobuf.
	HeaderContentType = "content-type"

	ContentTypeJSON     = "application/json"
	ContentTypeProtobuf = "application/x-protobuf"
)

// ErrBlockKey says that a blocklist record's key is not tenant/scope/value.
var ErrBlockKey = errors.New("blocklist key is not tenant/scope/value")

// allowPrefix marks a scope whose entry allows instead of blocks. Allow entries
// stand under keys of their own, so that a scorer's block of the same client
// can never overwrite them.
const allowPrefix = "allow:"

// BlockKey is the blocklist topic's key for an entity: "tenant/scope/value".
// Scope is the entity type (user, consumer, credential, session, device, ip).
// The value may contain slashes.
func BlockKey(tenant, scope, value string) string {
	if tenant == "" {
		tenant = DefaultTenant
	}
	return tenant + "/" + scope + "/" + value
}

// AllowKey is the key of the entry that allows an entity. Scope may also be
// "network", with a CIDR prefix as the value.
func AllowKey(tenant, scope, value string) string {
	return BlockKey(tenant, allowPrefix+scope, value)
}

// ParseBlockKey splits a blocklist key; allow tells an allow entry from a block.
// The error is ErrBlockKey.
func ParseBlockKey(key string) (tenant, scope, value string, allow bool, err error) {
	tenant, rest, ok := strings.Cut(key, "/")
	if !ok {
		return "", "", "", false, fmt.Errorf("%w: %q", ErrBlockKey, key)
	}
	scope, value, ok = strings.Cut(rest, "/")
	if !ok || tenant == "" || scope == "" || value == "" {
		return "", "", "", false, fmt.Errorf("%w: %q", ErrBlockKey, key)
	}
	scope, allow = strings.CutPrefix(scope, allowPrefix)
	return tenant, scope, value, allow, nil
}

// SplitEntity splits a client key "type:value"; a key without a colon is all value.
func SplitEntity(key string) Entity {
	t, v, ok := strings.Cut(key, ":")
	if !ok {
		return Entity{Value: key}
	}
	return Entity{Type: t, Value: v}
}

// String is the entity as a client key, "type:value".
func (e Entity) String() string { return e.Type + ":" + e.Value }

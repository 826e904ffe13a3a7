package schemas

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// DecodeProto reads a weir.v1.Event. Text aliases data, so e is valid only as
// long as data is neither changed nor reused; slices of e are reused. The error
// is a *DecodeError, and e is then as after Reset. It allocates only to grow
// Headers and Attrs. Fields of a wire type that the schema does not give them
// are refused, not skipped as unknown.
func (e *Event) DecodeProto(data []byte) error {
	e.Reset()
	if len(data) > MaxEventBytes {
		return e.refuse(ReasonTooLarge, "", MaxEventBytes)
	}
	// This loop keeps its place in local variables and reads one-byte varints
	// itself, rather than walk a wireReader: every consumer spends it per event.
	var entries [2]int
	for pos := 0; pos < len(data); {
		start := pos
		tag := uint64(data[pos])
		if pos++; tag >= 0x80 {
			if tag, pos = readVarint(data, start); pos < 0 {
				return e.refuse(ReasonMalformedProtobuf, "", start)
			}
		}
		num, typ := int(tag>>3), protowire.Type(tag&7)
		if num == 0 || num >= len(eventNames) {
			r := wireReader{data: data, pos: pos}
			if num == 0 || tag>>3 > uint64(protowire.MaxValidNumber) || !r.skip(num, typ) {
				return e.refuse(ReasonMalformedProtobuf, "", start)
			}
			pos = r.pos
			e.UnknownFields++
			continue
		}

		if typ != protowire.VarintType && typ != protowire.BytesType {
			return e.refuse(ReasonWrongType, eventNames[num], start)
		}
		if pos >= len(data) {
			return e.refuse(ReasonMalformedProtobuf, eventNames[num], start)
		}
		v := uint64(data[pos]) // the value of an integer, the length of all else
		if v < 0x80 {
			pos++
		} else if v, pos = readVarint(data, pos); pos < 0 {
			return e.refuse(ReasonMalformedProtobuf, eventNames[num], start)
		}
		var reason Reason
		if typ == protowire.VarintType {
			reason = e.protoInteger(num, v)
		} else {
			if v > uint64(len(data)-pos) {
				return e.refuse(ReasonMalformedProtobuf, eventNames[num], start)
			}
			b := data[pos : pos+int(v) : pos+int(v)]
			pos += int(v)
			if place := e.text(num); place == nil {
				reason = e.protoEntry(num, b, &entries)
			} else if !validText(b) {
				reason = ReasonInvalidUTF8
			} else if num == fieldBodySample && len(b) > MaxBodySampleBytes {
				reason = ReasonTooLarge
			} else {
				*place = b
			}
		}
		if reason != "" {
			return e.refuse(reason, eventNames[num], start)
		}
	}
	return nil
}

func (e *Event) protoInteger(num int, v uint64) Reason {
	if place, limit := e.integer(num); place != nil {
		if v > uint64(limit) {
			return ReasonOutOfRange
		}
		*place = int64(v)
		return ""
	}
	if num != fieldTime {
		return ReasonWrongType
	}
	if v > maxTime {
		return ReasonInvalidTime
	}
	e.Time = int64(v)
	return ""
}

// protoEntry reads one entry of a map. Entries are counted as they come:
// repeated keys must not buy a sender more comparisons than distinct ones.
func (e *Event) protoEntry(num int, data []byte, counts *[2]int) Reason {
	kvs, count := &e.Headers, &counts[0]
	switch num {
	case fieldHeaders:
	case fieldAttrs:
		kvs, count = &e.Attrs, &counts[1]
	default:
		return ReasonWrongType
	}
	key, value, reason := mapEntry(data)
	if reason != "" {
		return reason
	}
	if *count++; *count > MaxMapEntries {
		return ReasonTooLarge
	}
	*kvs = putEntry(*kvs, key, value)
	return ""
}

// Fields of a Protobuf map entry.
const (
	entryKey   = 1
	entryValue = 2
)

func mapEntry(data []byte) (key, value []byte, reason Reason) {
	r := wireReader{data: data}
	for r.more() {
		num, typ, ok := r.tag()
		if !ok {
			return nil, nil, ReasonMalformedProtobuf
		}
		var reason Reason
		switch num {
		case entryKey:
			reason = r.text(typ, &key)
		case entryValue:
			reason = r.text(typ, &value)
		default:
			reason = r.pass(num, typ)
		}
		if reason != "" {
			return nil, nil, reason
		}
	}
	return key, value, ""
}

// AppendProto appends e as a weir.v1.Event to dst and returns the longer slice;
// it allocates only to grow dst. What it writes, the decoders accept, provided
// that it is no longer than MaxEventBytes: integers and times out of range are
// left out as unknown, text that is not UTF-8 is repaired with U+FFFD, a longer
// body sample is cut, entries of maps beyond MaxMapEntries are left out.
func (e *Event) AppendProto(dst []byte) []byte {
	if e.Time > 0 && e.Time <= maxTime {
		dst = appendUint(dst, fieldTime, uint64(e.Time))
	}
	dst = appendText(dst, fieldID, e.ID)
	dst = appendText(dst, fieldAPI, e.API)
	dst = appendText(dst, fieldMethod, e.Method)
	dst = appendText(dst, fieldPath, e.Path)
	dst = appendKnown(dst, fieldStatus, e.Status, maxStatus)
	dst = appendKnown(dst, fieldDurationUS, e.DurationUS, math.MaxInt64)
	dst = appendKnown(dst, fieldReqBytes, e.ReqBytes, math.MaxInt64)
	dst = appendKnown(dst, fieldRespBytes, e.RespBytes, math.MaxInt64)
	dst = appendText(dst, fieldClientIP, e.ClientIP)
	dst = appendText(dst, fieldUserAgent, e.UserAgent)
	dst = appendText(dst, fieldRoute, e.Route)
	dst = appendText(dst, fieldHost, e.Host)
	dst = appendText(dst, fieldGateway, e.Gateway)
	dst = appendText(dst, fieldUser, e.User)
	dst = appendText(dst, fieldTenant, e.Tenant)
	dst = appendText(dst, fieldGatewayType, e.GatewayType)
	dst = appendText(dst, fieldAPIVersion, e.APIVersion)
	dst = appendText(dst, fieldScheme, e.Scheme)
	dst = appendText(dst, fieldQuery, e.Query)
	dst = appendText(dst, fieldHTTPVersion, e.HTTPVersion)
	dst = appendText(dst, fieldContentType, e.ContentType)
	dst = appendKnown(dst, fieldUpstreamUS, e.UpstreamUS, math.MaxInt64)
	dst = appendKnown(dst, fieldClientPort, e.ClientPort, maxPort)
	dst = appendText(dst, fieldPeerIP, e.PeerIP)
	dst = appendText(dst, fieldXFF, e.XFF)
	dst = appendText(dst, fieldConsumer, e.Consumer)
	dst = appendText(dst, fieldCredential, e.Credential)
	dst = appendText(dst, fieldCredentialType, e.CredentialType)
	dst = appendText(dst, fieldSession, e.Session)
	dst = appendText(dst, fieldLoginUser, e.LoginUser)
	dst = appendText(dst, fieldJA4, e.JA4)
	dst = appendText(dst, fieldCountry, e.Country)
	dst = appendKnown(dst, fieldASN, e.ASN, math.MaxUint32)
	dst = appendEntries(dst, fieldHeaders, e.Headers)
	dst = appendText(dst, fieldBodySample, cutText(e.BodySample, MaxBodySampleBytes))
	dst = appendText(dst, fieldTraceID, e.TraceID)
	return appendEntries(dst, fieldAttrs, e.Attrs)
}

// appendKnown writes an optional integer, zero included, if it is in 0..limit.
func appendKnown(dst []byte, num int, v, limit int64) []byte {
	if v < 0 || v > limit {
		return dst
	}
	return protowire.AppendVarint(appendTag(dst, num, protowire.VarintType), uint64(v))
}

func appendEntries(dst []byte, num int, kvs []KV) []byte {
	for _, kv := range kvs[:min(len(kvs), MaxMapEntries)] {
		dst = appendTag(dst, num, protowire.BytesType)
		dst = protowire.AppendVarint(dst, uint64(2+sizedLen(kv.Key)+sizedLen(kv.Value)))
		dst = appendTag(dst, entryKey, protowire.BytesType)
		dst = appendSizedText(dst, kv.Key)
		dst = appendTag(dst, entryValue, protowire.BytesType)
		dst = appendSizedText(dst, kv.Value)
	}
	return dst
}

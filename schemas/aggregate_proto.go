package schemas

import "google.golang.org/protobuf/encoding/protowire"

// Reset makes a the record of nothing and keeps the buffers for reuse.
func (a *Aggregate) Reset() {
	*a = Aggregate{Latency: a.Latency[:0]}
}

// Mark says that a is a mark of its source's progress, not an aggregate.
func (a *Aggregate) Mark() bool { return len(a.EntityType) == 0 }

// DecodeProto reads a weir.v1.Aggregate. Text and registers alias data, and
// Latency is reused. The error is a *DecodeError without a field name, and a is
// then as after Reset. Fields that the schema does not name are passed over.
func (a *Aggregate) DecodeProto(data []byte) error {
	a.Reset()
	r := wireReader{data: data}
	for r.more() {
		start := r.pos
		num, typ, ok := r.tag()
		if !ok {
			a.Reset()
			return &DecodeError{Reason: ReasonMalformedProtobuf, Offset: start}
		}
		if reason := a.protoField(&r, num, typ); reason != "" {
			a.Reset()
			return &DecodeError{Reason: reason, Offset: start}
		}
	}
	return nil
}

func (a *Aggregate) protoField(r *wireReader, num int, typ protowire.Type) Reason {
	switch num {
	case 1:
		return r.text(typ, &a.Tenant)
	case 2:
		return r.text(typ, &a.EntityType)
	case 3:
		return r.text(typ, &a.Entity)
	case 4:
		return r.text(typ, &a.API)
	case 5:
		return r.int64(typ, &a.WindowStart)
	case 6:
		return r.int64(typ, &a.WindowEnd)
	case 7:
		return r.int32(typ, &a.Source)
	case 8:
		return r.uint32(typ, &a.Seq)
	case 9:
		return r.uint64(typ, &a.Requests)
	case 10:
		return r.uint64(typ, &a.Status2xx)
	case 11:
		return r.uint64(typ, &a.Status4xx)
	case 12:
		return r.uint64(typ, &a.Status5xx)
	case 13:
		return r.uint64(typ, &a.AuthDenied)
	case 14:
		return r.uint64(typ, &a.NotFound)
	case 15:
		return r.uint64(typ, &a.LoginAttempts)
	case 16:
		return r.uint64(typ, &a.LoginFailures)
	case 17:
		return r.uint64(typ, &a.ReqBytes)
	case 18:
		return r.uint64(typ, &a.RespBytes)
	case 19:
		return r.blob(typ, &a.Clients)
	case 20:
		return r.blob(typ, &a.FailedClients)
	case 21:
		return r.blob(typ, &a.LoginUsers)
	case 22:
		return r.uint32s(typ, &a.Latency)
	case 23:
		return r.blob(typ, &a.NewClients)
	case 24:
		return r.uint64(typ, &a.LoginSuccesses)
	case 25:
		return r.uint64(typ, &a.Identified)
	case 26:
		return r.uint64(typ, &a.Anonymous)
	case 27:
		return r.uint64(typ, &a.Plain)
	case 28:
		return r.uint64(typ, &a.Errors)
	case 29:
		return r.uint64(typ, &a.Verbose)
	}
	return r.pass(num, typ)
}

// AppendProto appends a as a weir.v1.Aggregate to dst and returns the longer
// slice; it allocates only to grow dst. Equal records give equal bytes. Text
// that is not UTF-8 is repaired.
func (a *Aggregate) AppendProto(dst []byte) []byte {
	dst = appendText(dst, 1, a.Tenant)
	dst = appendText(dst, 2, a.EntityType)
	dst = appendText(dst, 3, a.Entity)
	dst = appendText(dst, 4, a.API)
	dst = appendUint(dst, 5, uint64(a.WindowStart))
	dst = appendUint(dst, 6, uint64(a.WindowEnd))
	dst = appendUint(dst, 7, uint64(a.Source))
	dst = appendUint(dst, 8, uint64(a.Seq))
	dst = appendUint(dst, 9, a.Requests)
	dst = appendUint(dst, 10, a.Status2xx)
	dst = appendUint(dst, 11, a.Status4xx)
	dst = appendUint(dst, 12, a.Status5xx)
	dst = appendUint(dst, 13, a.AuthDenied)
	dst = appendUint(dst, 14, a.NotFound)
	dst = appendUint(dst, 15, a.LoginAttempts)
	dst = appendUint(dst, 16, a.LoginFailures)
	dst = appendUint(dst, 17, a.ReqBytes)
	dst = appendUint(dst, 18, a.RespBytes)
	dst = appendBytes(dst, 19, a.Clients)
	dst = appendBytes(dst, 20, a.FailedClients)
	dst = appendBytes(dst, 21, a.LoginUsers)
	dst = appendPacked(dst, 22, a.Latency)
	dst = appendBytes(dst, 23, a.NewClients)
	dst = appendUint(dst, 24, a.LoginSuccesses)
	dst = appendUint(dst, 25, a.Identified)
	dst = appendUint(dst, 26, a.Anonymous)
	dst = appendUint(dst, 27, a.Plain)
	dst = appendUint(dst, 28, a.Errors)
	dst = appendUint(dst, 29, a.Verbose)
	return dst
}

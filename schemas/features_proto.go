package schemas

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Reset makes f the record of nothing and keeps the buffers for reuse.
func (f *ClientFeatures) Reset() {
	*f = ClientFeatures{ASN: Unknown, EventIDs: f.EventIDs[:0]}
}

// DecodeProto reads a weir.v1.ClientFeatures. Text aliases data, and EventIDs
// is reused. The error is a *DecodeError without a field name, and f is then as
// after Reset. Fields that the schema does not name are passed over.
func (f *ClientFeatures) DecodeProto(data []byte) error {
	f.Reset()
	r := wireReader{data: data}
	for r.more() {
		start := r.pos
		num, typ, ok := r.tag()
		if !ok {
			f.Reset()
			return &DecodeError{Reason: ReasonMalformedProtobuf, Offset: start}
		}
		if reason := f.protoField(&r, num, typ); reason != "" {
			f.Reset()
			return &DecodeError{Reason: reason, Offset: start}
		}
	}
	return nil
}

func (f *ClientFeatures) protoField(r *wireReader, num int, typ protowire.Type) Reason {
	switch num {
	case 1:
		return r.text(typ, &f.Tenant)
	case 2:
		return r.text(typ, &f.Client)
	case 3:
		return r.text(typ, &f.API)
	case 4:
		return r.int64(typ, &f.WindowStart)
	case 5:
		return r.int64(typ, &f.WindowEnd)
	case 6:
		return r.uint32(typ, &f.Seq)
	case 7:
		return r.bool(typ, &f.Final)
	case 8:
		return r.int64(typ, &f.LastEvent)
	case 9:
		return r.int64(typ, &f.FirstSeen)
	case 10:
		return r.text(typ, &f.ClientIP)
	case 11:
		return r.text(typ, &f.UserAgent)
	case 12:
		return r.text(typ, &f.Country)
	case 13:
		return r.optional(typ, &f.ASN, math.MaxUint32)
	case 14:
		return r.text(typ, &f.JA4)
	case 15:
		return r.text(typ, &f.TopRoute)
	case 16:
		var id []byte
		reason := r.text(typ, &id)
		f.EventIDs = append(f.EventIDs, id)
		return reason
	case 17:
		return r.uint32(typ, &f.Requests)
	case 18:
		return r.uint32(typ, &f.Mutations)
	case 19:
		return r.uint32(typ, &f.Status2xx)
	case 20:
		return r.uint32(typ, &f.Status3xx)
	case 21:
		return r.uint32(typ, &f.Status4xx)
	case 22:
		return r.uint32(typ, &f.Status5xx)
	case 23:
		return r.uint32(typ, &f.Unauthorized)
	case 24:
		return r.uint32(typ, &f.Forbidden)
	case 25:
		return r.uint32(typ, &f.NotFound)
	case 26:
		return r.uint32(typ, &f.NoResponse)
	case 27:
		return r.uint32(typ, &f.LoginAttempts)
	case 28:
		return r.uint32(typ, &f.LoginFailures)
	case 29:
		return r.uint32(typ, &f.ObjectAccesses)
	case 30:
		return r.uint32(typ, &f.ObjectDenied)
	case 31:
		return r.uint32(typ, &f.ObjectNew)
	case 32:
		return r.uint32(typ, &f.ObjectSequential)
	case 33:
		return r.uint32(typ, &f.WindowRoutes)
	case 34:
		return r.uint32(typ, &f.WindowObjects)
	case 35:
		return r.uint64(typ, &f.ReqBytes)
	case 36:
		return r.uint64(typ, &f.RespBytes)
	case 37:
		return r.float64(typ, &f.DurationRatio)
	case 38:
		return r.float64(typ, &f.Decayed1m)
	case 39:
		return r.float64(typ, &f.Decayed15m)
	case 40:
		return r.float64(typ, &f.Decayed6h)
	case 41:
		return r.float64(typ, &f.Bytes15m)
	case 42:
		return r.float64(typ, &f.Bytes6h)
	case 43:
		return r.uint32(typ, &f.DayRequests)
	case 44:
		return r.float64(typ, &f.DayRoutes)
	case 45:
		return r.float64(typ, &f.DayObjects)
	case 46:
		return r.uint32(typ, &f.DayObjectAccesses)
	case 47:
		return r.uint32(typ, &f.DayLoginAttempts)
	case 48:
		return r.uint32(typ, &f.DayLoginFailures)
	case 49:
		return r.float64(typ, &f.DayLoginUsers)
	case 50:
		return r.float64(typ, &f.DayLoginSuccessUsers)
	case 51:
		return r.float64(typ, &f.DayDevices)
	case 52:
		return r.float64(typ, &f.DayNetworks)
	case 53:
		return r.uint32(typ, &f.DeviceChanges)
	case 54:
		return r.uint32(typ, &f.NetworkChanges)
	case 55:
		return r.uint32(typ, &f.Alternations)
	case 56:
		return r.uint32(typ, &f.HoursActive)
	case 57:
		return r.uint32(typ, &f.Intervals)
	case 58:
		return r.float64(typ, &f.IntervalEntropy)
	case 59:
		return r.float64(typ, &f.IntervalLogSD)
	case 60:
		return r.float64(typ, &f.IntervalMean)
	case 61:
		return r.text(typ, &f.Credential)
	case 62:
		return r.uint32(typ, &f.Deletes)
	case 63:
		return r.uint32(typ, &f.ObjectWrites)
	case 64:
		return r.uint32(typ, &f.NormedCalls)
	case 65:
		return r.uint32(typ, &f.SlowCalls)
	case 66:
		return r.uint32(typ, &f.LargeRequests)
	case 67:
		return r.uint32(typ, &f.LargeResponses)
	case 68:
		return r.float64(typ, &f.Duration15m)
	case 69:
		return r.float64(typ, &f.ReqBytes15m)
	case 70:
		return r.uint32(typ, &f.DecoyHits)
	case 71:
		return r.uint32(typ, &f.DayDecoyHits)
	case 72:
		return r.text(typ, &f.Decoy)
	case 73:
		return r.uint32(typ, &f.Steps)
	case 74:
		return r.float64(typ, &f.Surprise)
	case 75:
		return r.text(typ, &f.RareStep)
	case 76:
		return r.float64(typ, &f.RareStepP)
	case 77:
		return r.uint32(typ, &f.Prerequisites)
	case 78:
		return r.uint32(typ, &f.Skipped)
	case 79:
		return r.text(typ, &f.SkippedStep)
	case 80:
		return r.float64(typ, &f.SkippedStepP)
	case 81:
		return r.uint32(typ, &f.PayloadCalls)
	case 82:
		return r.uint32(typ, &f.PayloadHits)
	case 83:
		return r.float64(typ, &f.PayloadConfidence)
	case 84:
		return r.text(typ, &f.PayloadClass)
	case 85:
		return r.text(typ, &f.PayloadWhere)
	case 86:
		return r.text(typ, &f.PayloadSpan)
	case 87:
		return r.uint32(typ, &f.StructuredCalls)
	case 88:
		return r.uint32(typ, &f.Violations)
	case 89:
		return r.float64(typ, &f.ViolationLogP)
	case 90:
		return r.text(typ, &f.ViolationWhere)
	case 91:
		return r.text(typ, &f.ViolationKind)
	case 92:
		return r.uint32(typ, &f.LoginNewAttempts)
	case 93:
		return r.uint32(typ, &f.LoginNewFailures)
	case 94:
		return r.float64(typ, &f.SkipSurprise)
	}
	return r.pass(num, typ)
}

// AppendProto appends f as a weir.v1.ClientFeatures to dst and returns the
// longer slice; it allocates only to grow dst. Equal records give equal bytes.
// An ASN out of range is left out, text that is not UTF-8 is repaired.
func (f *ClientFeatures) AppendProto(dst []byte) []byte {
	dst = appendText(dst, 1, f.Tenant)
	dst = appendText(dst, 2, f.Client)
	dst = appendText(dst, 3, f.API)
	dst = appendUint(dst, 4, uint64(f.WindowStart))
	dst = appendUint(dst, 5, uint64(f.WindowEnd))
	dst = appendUint(dst, 6, uint64(f.Seq))
	dst = appendBool(dst, 7, f.Final)
	dst = appendUint(dst, 8, uint64(f.LastEvent))
	dst = appendUint(dst, 9, uint64(f.FirstSeen))
	dst = appendText(dst, 10, f.ClientIP)
	dst = appendText(dst, 11, f.UserAgent)
	dst = appendText(dst, 12, f.Country)
	dst = appendKnown(dst, 13, f.ASN, math.MaxUint32)
	dst = appendText(dst, 14, f.JA4)
	dst = appendText(dst, 15, f.TopRoute)
	for _, id := range f.EventIDs {
		dst = appendSizedText(appendTag(dst, 16, protowire.BytesType), id)
	}
	dst = appendUint(dst, 17, uint64(f.Requests))
	dst = appendUint(dst, 18, uint64(f.Mutations))
	dst = appendUint(dst, 19, uint64(f.Status2xx))
	dst = appendUint(dst, 20, uint64(f.Status3xx))
	dst = appendUint(dst, 21, uint64(f.Status4xx))
	dst = appendUint(dst, 22, uint64(f.Status5xx))
	dst = appendUint(dst, 23, uint64(f.Unauthorized))
	dst = appendUint(dst, 24, uint64(f.Forbidden))
	dst = appendUint(dst, 25, uint64(f.NotFound))
	dst = appendUint(dst, 26, uint64(f.NoResponse))
	dst = appendUint(dst, 27, uint64(f.LoginAttempts))
	dst = appendUint(dst, 28, uint64(f.LoginFailures))
	dst = appendUint(dst, 29, uint64(f.ObjectAccesses))
	dst = appendUint(dst, 30, uint64(f.ObjectDenied))
	dst = appendUint(dst, 31, uint64(f.ObjectNew))
	dst = appendUint(dst, 32, uint64(f.ObjectSequential))
	dst = appendUint(dst, 33, uint64(f.WindowRoutes))
	dst = appendUint(dst, 34, uint64(f.WindowObjects))
	dst = appendUint(dst, 35, f.ReqBytes)
	dst = appendUint(dst, 36, f.RespBytes)
	dst = appendDouble(dst, 37, f.DurationRatio)
	dst = appendDouble(dst, 38, f.Decayed1m)
	dst = appendDouble(dst, 39, f.Decayed15m)
	dst = appendDouble(dst, 40, f.Decayed6h)
	dst = appendDouble(dst, 41, f.Bytes15m)
	dst = appendDouble(dst, 42, f.Bytes6h)
	dst = appendUint(dst, 43, uint64(f.DayRequests))
	dst = appendDouble(dst, 44, f.DayRoutes)
	dst = appendDouble(dst, 45, f.DayObjects)
	dst = appendUint(dst, 46, uint64(f.DayObjectAccesses))
	dst = appendUint(dst, 47, uint64(f.DayLoginAttempts))
	dst = appendUint(dst, 48, uint64(f.DayLoginFailures))
	dst = appendDouble(dst, 49, f.DayLoginUsers)
	dst = appendDouble(dst, 50, f.DayLoginSuccessUsers)
	dst = appendDouble(dst, 51, f.DayDevices)
	dst = appendDouble(dst, 52, f.DayNetworks)
	dst = appendUint(dst, 53, uint64(f.DeviceChanges))
	dst = appendUint(dst, 54, uint64(f.NetworkChanges))
	dst = appendUint(dst, 55, uint64(f.Alternations))
	dst = appendUint(dst, 56, uint64(f.HoursActive))
	dst = appendUint(dst, 57, uint64(f.Intervals))
	dst = appendDouble(dst, 58, f.IntervalEntropy)
	dst = appendDouble(dst, 59, f.IntervalLogSD)
	dst = appendDouble(dst, 60, f.IntervalMean)
	dst = appendText(dst, 61, f.Credential)
	dst = appendUint(dst, 62, uint64(f.Deletes))
	dst = appendUint(dst, 63, uint64(f.ObjectWrites))
	dst = appendUint(dst, 64, uint64(f.NormedCalls))
	dst = appendUint(dst, 65, uint64(f.SlowCalls))
	dst = appendUint(dst, 66, uint64(f.LargeRequests))
	dst = appendUint(dst, 67, uint64(f.LargeResponses))
	dst = appendDouble(dst, 68, f.Duration15m)
	dst = appendDouble(dst, 69, f.ReqBytes15m)
	dst = appendUint(dst, 70, uint64(f.DecoyHits))
	dst = appendUint(dst, 71, uint64(f.DayDecoyHits))
	dst = appendText(dst, 72, f.Decoy)
	dst = appendUint(dst, 73, uint64(f.Steps))
	dst = appendDouble(dst, 74, f.Surprise)
	dst = appendText(dst, 75, f.RareStep)
	dst = appendDouble(dst, 76, f.RareStepP)
	dst = appendUint(dst, 77, uint64(f.Prerequisites))
	dst = appendUint(dst, 78, uint64(f.Skipped))
	dst = appendText(dst, 79, f.SkippedStep)
	dst = appendDouble(dst, 80, f.SkippedStepP)
	dst = appendUint(dst, 81, uint64(f.PayloadCalls))
	dst = appendUint(dst, 82, uint64(f.PayloadHits))
	dst = appendDouble(dst, 83, f.PayloadConfidence)
	dst = appendText(dst, 84, f.PayloadClass)
	dst = appendText(dst, 85, f.PayloadWhere)
	dst = appendText(dst, 86, f.PayloadSpan)
	dst = appendUint(dst, 87, uint64(f.StructuredCalls))
	dst = appendUint(dst, 88, uint64(f.Violations))
	dst = appendDouble(dst, 89, f.ViolationLogP)
	dst = appendText(dst, 90, f.ViolationWhere)
	dst = appendText(dst, 91, f.ViolationKind)
	dst = appendUint(dst, 92, uint64(f.LoginNewAttempts))
	dst = appendUint(dst, 93, uint64(f.LoginNewFailures))
	dst = appendDouble(dst, 94, f.SkipSurprise)
	return dst
}

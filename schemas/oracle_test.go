package schemas

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"strings"
	"time"
	"unicode/utf8"
)

// oracleEvent is an Event as encoding/json understands the same bytes: text by
// name, integers by name (absent: unknown), and the two maps.
type oracleEvent struct {
	text    map[string]string
	ints    map[string]int64
	time    int64
	maps    map[string]map[string]string
	unknown int
}

// oracleDecode reads an Event with encoding/json's tokens, slowly and without
// any code of this package but the field table and limits.
func oracleDecode(data []byte) (*oracleEvent, error) {
	if len(data) > MaxEventBytes || !utf8.Valid(data) || !json.Valid(data) || jsonDepth(data) > MaxDepth {
		return nil, errors.New("not a record")
	}
	e := &oracleEvent{text: map[string]string{}, ints: map[string]int64{}, maps: map[string]map[string]string{}}
	err := members(data, func(name string, value json.RawMessage) error {
		null := string(value) == "null"
		num := 0
		for i, n := range eventNames {
			if n == name && n != "" {
				num = i
			}
		}
		blank := NewEvent()
		place, limit := blank.integer(num)
		switch {
		case num == 0:
			e.unknown++
		case name == "time":
			e.time = 0
			if null {
				return nil
			}
			s, err := unquote(value)
			if err != nil {
				return err
			}
			var t time.Time
			if err := t.UnmarshalText([]byte(s)); err != nil {
				return err
			}
			if t.Before(time.Unix(0, 0)) || t.After(time.Unix(0, math.MaxInt64)) {
				return errors.New("time out of range")
			}
			e.time = t.UnixMicro()
		case blank.text(num) != nil:
			delete(e.text, name)
			if null {
				return nil
			}
			s, err := unquote(value)
			if err == nil && name == "body_sample" && len(s) > MaxBodySampleBytes {
				err = errors.New("too long")
			}
			e.text[name] = s
			return err
		case place != nil:
			delete(e.ints, name)
			if null {
				return nil
			}
			v, err := wholeBig(string(value), limit)
			e.ints[name] = v
			return err
		default:
			delete(e.maps, name)
			if null {
				return nil
			}
			m, n := map[string]string{}, 0
			err := members(value, func(key string, value json.RawMessage) error {
				delete(m, key)
				if n++; n > MaxMapEntries {
					return errors.New("too many")
				}
				if string(value) == "null" {
					return nil
				}
				s, err := unquote(value)
				m[key] = s
				return err
			})
			e.maps[name] = m
			return err
		}
		return nil
	})
	return e, err
}

// members calls f for every member of an object, repeated ones too.
func members(data []byte, f func(name string, value json.RawMessage) error) error {
	d := json.NewDecoder(bytes.NewReader(data))
	if tok, err := d.Token(); err != nil || tok != json.Delim('{') {
		return fmt.Errorf("not an object: %v", err)
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return err
		}
		if err := f(name.(string), value); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("trailing bytes")
	}
	return nil
}

func unquote(value json.RawMessage) (string, error) {
	if value[0] != '"' {
		return "", errors.New("not a string")
	}
	var s string
	err := json.Unmarshal(value, &s)
	return s, err
}

func wholeBig(number string, limit int64) (int64, error) {
	if number[0] != '-' && (number[0] < '0' || number[0] > '9') {
		return 0, errors.New("not a number")
	}
	// big.Rat would spell out an exponent of any size.
	if i := strings.IndexAny(number, "eE"); i >= 0 && len(strings.TrimLeft(number[i+1:], "+-0")) > 3 {
		if strings.Trim(number[:i], "-0.") == "" {
			return 0, nil
		}
		return 0, errors.New("out of range or a fraction")
	}
	r, ok := new(big.Rat).SetString(number)
	if !ok || !r.IsInt() || r.Sign() < 0 || r.Cmp(new(big.Rat).SetInt64(limit)) > 0 {
		return 0, errors.New("not in range")
	}
	return r.Num().Int64(), nil
}

func jsonDepth(data []byte) int {
	d := json.NewDecoder(bytes.NewReader(data))
	depth, deepest := 0, 0
	for {
		tok, err := d.Token()
		if err != nil {
			return deepest
		}
		switch tok {
		case json.Delim('{'), json.Delim('['):
			depth++
			deepest = max(deepest, depth)
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
	}
}

// diff says where e differs from what the oracle read, "" if nowhere.
func (o *oracleEvent) diff(e *Event) string {
	if e.Time != o.time || e.UnknownFields != o.unknown {
		return fmt.Sprintf("time %d, %d unknown; want %d, %d", e.Time, e.UnknownFields, o.time, o.unknown)
	}
	for num, name := range eventNames {
		if place := e.text(num); place != nil && string(*place) != o.text[name] {
			return fmt.Sprintf("%s = %q, want %q", name, *place, o.text[name])
		}
		if place, _ := e.integer(num); place != nil {
			want, ok := o.ints[name]
			if !ok {
				want = Unknown
			}
			if *place != want {
				return fmt.Sprintf("%s = %d, want %d", name, *place, want)
			}
		}
		if place := e.entries(num); place != nil {
			if len(*place) != len(o.maps[name]) {
				return fmt.Sprintf("%s = %q, want %q", name, *place, o.maps[name])
			}
			for _, kv := range *place {
				if want, ok := o.maps[name][string(kv.Key)]; !ok || want != string(kv.Value) {
					return fmt.Sprintf("%s = %q, want %q", name, *place, o.maps[name])
				}
			}
		}
	}
	return ""
}

package transfer

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"mediad/store/db"
)

// Row has a value for each column of its table: nil, or int64 (Int, Time), string (Text, JSON), []byte or float64.
type Row []any

// timeFormat is how SQLite keeps a moment as text: what the job queue writes, and what CURRENT_TIMESTAMP is.
const timeFormat = "2006-01-02 15:04:05.999999"

// fromEngine makes a Row's value of what a driver gave.
func (c *Column) fromEngine(v any) (any, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case bool:
		if c.Kind == Int {
			if v {
				return int64(1), nil
			}
			return int64(0), nil
		}
	case int64:
		switch c.Kind {
		case Int:
			return v, nil
		case Float:
			return float64(v), nil
		default:
		}
	case float64:
		if c.Kind == Float {
			return v, nil
		}
	case time.Time:
		if c.Kind == Time {
			return v.UnixMicro(), nil
		}
	case []byte:
		switch c.Kind {
		case Bytes:
			return append([]byte{}, v...), nil // never nil, which would be NULL, and SQLite's memory is the driver's
		case JSON, Text:
			return c.fromEngine(string(v))
		default:
		}
	case string:
		switch c.Kind {
		case Text:
			return v, nil
		case JSON:
			return canonical(v)
		case Time:
			return parseTime(v)
		case Bytes: // TEXT in a BLOB column, which only a table that is not STRICT lets in
			return []byte(v), nil
		default:
		}
	}
	return nil, fmt.Errorf("%s has a %T in a column of %s", c.Name, v, c.Kind)
}

// parseTime reads what SQLite has of a moment.
func parseTime(text string) (any, error) {
	text = strings.TrimSuffix(strings.TrimSuffix(strings.Replace(text, "T", " ", 1), "Z"), "+00:00")
	at, err := time.Parse(timeFormat, strings.TrimSuffix(text, " +0000 UTC"))
	if err != nil {
		return nil, err
	}
	return at.UnixMicro(), nil
}

// toEngine makes what the driver takes of a Row's value.
func (c *Column) toEngine(engine db.Engine, v any) any {
	n, ok := v.(int64)
	switch {
	case ok && c.Kind == Time && engine == db.PostgreSQL:
		return time.UnixMicro(n).UTC()
	case ok && c.Kind == Time:
		return time.UnixMicro(n).UTC().Format(timeFormat)
	case ok && c.boolean:
		return n != 0
	}
	return v
}

// canonical writes JSON with its keys in order and without spaces: databases keep the meaning, not the text.
func canonical(text string) (any, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return strings.TrimSuffix(out.String(), "\n"), nil
}

// The first byte of an encoded value.
const (
	tagNull  = 'n'
	tagInt   = 'i' // varint
	tagText  = 't' // length as uvarint, bytes
	tagBytes = 'b' // likewise
	tagFloat = 'f' // 8 bytes, big endian
)

// Append encodes a row: what checksums are of, and what a backup has.
func (r Row) Append(b []byte) []byte {
	for _, v := range r {
		switch v := v.(type) {
		case nil:
			b = append(b, tagNull)
		case int64:
			b = binary.AppendVarint(append(b, tagInt), v)
		case string:
			b = append(binary.AppendUvarint(append(b, tagText), uint64(len(v))), v...)
		case []byte:
			b = append(binary.AppendUvarint(append(b, tagBytes), uint64(len(v))), v...)
		case float64:
			b = binary.BigEndian.AppendUint64(append(b, tagFloat), math.Float64bits(v))
		}
	}
	return b
}

// Equal says whether two rows, or keys, have the same values.
func (r Row) Equal(other Row) bool { return bytes.Equal(r.Append(nil), other.Append(nil)) }

// ReadRow decodes a row of a number of values from the beginning of b, and returns what is behind it.
func ReadRow(b []byte, values int) (Row, []byte, error) {
	r := make(Row, values)
	for i := range r {
		if len(b) == 0 {
			return nil, nil, errCut
		}
		tag, rest := b[0], b[1:]
		var used int
		switch tag {
		case tagNull:
		case tagInt:
			var n int64
			n, used = binary.Varint(rest)
			r[i] = n
		case tagText, tagBytes:
			n, head := binary.Uvarint(rest)
			if head <= 0 || n > uint64(len(rest)-head) {
				return nil, nil, errCut
			}
			used = head + int(n)
			if r[i] = string(rest[head:used]); tag == tagBytes {
				r[i] = append([]byte{}, rest[head:used]...)
			}
		case tagFloat:
			if len(rest) < 8 {
				return nil, nil, errCut
			}
			used = 8
			r[i] = math.Float64frombits(binary.BigEndian.Uint64(rest))
		default:
			return nil, nil, fmt.Errorf("transfer: a value begins with %q", tag)
		}
		if tag == tagInt && used <= 0 {
			return nil, nil, errCut
		}
		b = rest[used:]
	}
	return r, b, nil
}

var errCut = errors.New("transfer: a row is cut short")

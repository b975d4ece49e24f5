package amf0

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Markers of AMF 0 (amf0-file-format-specification 2.1).
const (
	markerNumber      = 0x00
	markerBoolean     = 0x01
	markerString      = 0x02
	markerObject      = 0x03
	markerNull        = 0x05
	markerUndefined   = 0x06
	markerECMAArray   = 0x08
	markerObjectEnd   = 0x09
	markerStrictArray = 0x0A
	markerDate        = 0x0B
	markerLongString  = 0x0C
	markerXML         = 0x0F
	markerTypedObject = 0x10
)

const (
	// maxDepth and maxValues bound one message: a connect object has some twenty values, an onMetaData with
	// a key frame index some thousands, and both are at most four deep.
	maxDepth  = 16
	maxValues = 1 << 16
)

// ErrMalformed is wrapped by every error of a Reader: the bytes are no AMF 0, or more than a message may hold.
var ErrMalformed = errors.New("amf0: malformed")

// Reader decodes the AMF 0 values of one message. Numbers are float64, null and undefined nil, objects and ECMA
// arrays map[string]any, strict arrays []any, dates float64 (milliseconds). go-amf0 is not used on bytes from outside: it
// makes an array of whatever length is declared, recurses without bound and knows neither undefined nor long strings.
type Reader struct {
	b    []byte
	left int
}

// NewReader returns a Reader of b, the payload of one message.
func NewReader(b []byte) *Reader { return &Reader{b: b, left: maxValues} }

// More reports whether there is another value.
func (r *Reader) More() bool { return len(r.b) > 0 }

// Value reads the next value; its error is an ErrMalformed.
func (r *Reader) Value() (any, error) { return r.decode(0) }

// Text reads a value that must be a string.
func (r *Reader) Text() (string, error) {
	v, err := r.Value()
	if err != nil {
		return "", err
	}
	s, ok := v.(string)
	if !ok {
		return "", fmt.Errorf("%w: %T where a string is due", ErrMalformed, v)
	}
	return s, nil
}

func (r *Reader) take(n int) ([]byte, error) {
	if n > len(r.b) {
		return nil, fmt.Errorf("%w: %d bytes where %d are due", ErrMalformed, len(r.b), n)
	}
	p := r.b[:n]
	r.b = r.b[n:]
	return p, nil
}

func (r *Reader) decode(depth int) (any, error) {
	if r.left--; r.left < 0 || depth > maxDepth {
		return nil, fmt.Errorf("%w: more than %d values or %d levels", ErrMalformed, maxValues, maxDepth)
	}
	m, err := r.take(1)
	if err != nil {
		return nil, err
	}
	switch m[0] {
	case markerNumber:
		return r.number()
	case markerBoolean:
		p, err := r.take(1)
		return err == nil && p[0] != 0, err
	case markerString:
		return r.text(2)
	case markerLongString, markerXML:
		return r.text(4)
	case markerNull, markerUndefined:
		return nil, nil
	case markerDate:
		v, err := r.number()
		if err == nil {
			_, err = r.take(2) // time zone: reserved
		}
		return v, err
	case markerTypedObject:
		if _, err := r.text(2); err != nil {
			return nil, err
		}
		return r.object(depth)
	case markerObject:
		return r.object(depth)
	case markerECMAArray:
		// The count is only a hint, and encoders get it wrong.
		if _, err := r.take(4); err != nil {
			return nil, err
		}
		return r.object(depth)
	case markerStrictArray:
		return r.array(depth)
	default:
		return nil, fmt.Errorf("%w: marker %#x", ErrMalformed, m[0])
	}
}

func (r *Reader) number() (float64, error) {
	p, err := r.take(8)
	if err != nil {
		return 0, err
	}
	return math.Float64frombits(binary.BigEndian.Uint64(p)), nil
}

// text reads a string behind a length of size bytes.
func (r *Reader) text(size int) (string, error) {
	p, err := r.take(size)
	if err != nil {
		return "", err
	}
	n := 0
	for _, b := range p {
		n = n<<8 | int(b)
	}
	p, err = r.take(n)
	return string(p), err
}

func (r *Reader) object(depth int) (map[string]any, error) {
	o := make(map[string]any)
	for {
		key, err := r.text(2)
		if err != nil {
			return nil, err
		}
		if len(r.b) > 0 && r.b[0] == markerObjectEnd {
			r.b = r.b[1:]
			return o, nil
		}
		if o[key], err = r.decode(depth + 1); err != nil {
			return nil, err
		}
	}
}

func (r *Reader) array(depth int) ([]any, error) {
	p, err := r.take(4)
	if err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(p)
	if n > uint32(r.left) || n > uint32(len(r.b)) { // every value takes a byte at least
		return nil, fmt.Errorf("%w: array of %d values in %d bytes", ErrMalformed, n, len(r.b))
	}
	// Room for what has come, not for what is declared: arrays whose first value is the next array cost a mebibyte a level else.
	a := make([]any, 0, min(n, 16))
	for range n {
		v, err := r.decode(depth + 1)
		if err != nil {
			return nil, err
		}
		a = append(a, v)
	}
	return a, nil
}

// Object is an object whose fields have an order, for what we write.
type Object []Field

// Field is one entry of an Object: its key, which is a string, and its value. One whose key is none is left out.
type Field [2]any

// Append appends values: nil, bool, string, int, uint32, float64, Object, []any. Any other is a null, as nil is.
func Append(dst []byte, values ...any) []byte {
	for _, v := range values {
		switch v := v.(type) {
		case bool:
			dst = append(dst, markerBoolean, 0)
			if v {
				dst[len(dst)-1] = 1
			}
		case string:
			if len(v) > math.MaxUint16 {
				dst = binary.BigEndian.AppendUint32(append(dst, markerLongString), uint32(len(v)))
			} else {
				dst = binary.BigEndian.AppendUint16(append(dst, markerString), uint16(len(v)))
			}
			dst = append(dst, v...)
		case int:
			dst = Append(dst, float64(v))
		case uint32:
			dst = Append(dst, float64(v))
		case float64:
			dst = binary.BigEndian.AppendUint64(append(dst, markerNumber), math.Float64bits(v))
		case Object:
			dst = append(dst, markerObject)
			for _, f := range v {
				key, ok := f[0].(string)
				if !ok {
					continue
				}
				dst = binary.BigEndian.AppendUint16(dst, uint16(len(key)))
				dst = append(dst, key...)
				dst = Append(dst, f[1])
			}
			dst = append(dst, 0, 0, markerObjectEnd)
		case []any:
			dst = binary.BigEndian.AppendUint32(append(dst, markerStrictArray), uint32(len(v)))
			dst = Append(dst, v...)
		default:
			dst = append(dst, markerNull)
		}
	}
	return dst
}

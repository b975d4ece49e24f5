package rtmp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Markers of AMF 0 (amf0-file-format-specification 2.1).
const (
	amfNumber      = 0x00
	amfBoolean     = 0x01
	amfString      = 0x02
	amfObject      = 0x03
	amfNull        = 0x05
	amfUndefined   = 0x06
	amfECMAArray   = 0x08
	amfObjectEnd   = 0x09
	amfStrictArray = 0x0A
	amfDate        = 0x0B
	amfLongString  = 0x0C
	amfXML         = 0x0F
	amfTypedObject = 0x10
)

const (
	// maxAMFDepth and maxAMFValues bound one message: a connect object has some twenty values, an onMetaData with
	// a key frame index some thousands, and both are at most four deep.
	maxAMFDepth  = 16
	maxAMFValues = 1 << 16
)

var errAMF = errors.New("amf0: malformed")

// amfReader decodes the AMF 0 values of one message. Numbers are float64, null and undefined nil, objects and ECMA
// arrays map[string]any, strict arrays []any, dates float64 (milliseconds). go-amf0 is not used on bytes from outside: it
// makes an array of whatever length is declared, recurses without bound and knows neither undefined nor long strings.
type amfReader struct {
	b    []byte
	left int
}

func newAMFReader(b []byte) *amfReader { return &amfReader{b: b, left: maxAMFValues} }

// more reports whether there is another value.
func (r *amfReader) more() bool { return len(r.b) > 0 }

func (r *amfReader) value() (any, error) { return r.decode(0) }

// string reads a value that must be a string.
func (r *amfReader) string() (string, error) {
	v, err := r.value()
	if err != nil {
		return "", err
	}
	s, ok := v.(string)
	if !ok {
		return "", fmt.Errorf("%w: %T where a string is due", errAMF, v)
	}
	return s, nil
}

func (r *amfReader) take(n int) ([]byte, error) {
	if n > len(r.b) {
		return nil, fmt.Errorf("%w: %d bytes where %d are due", errAMF, len(r.b), n)
	}
	p := r.b[:n]
	r.b = r.b[n:]
	return p, nil
}

func (r *amfReader) decode(depth int) (any, error) {
	if r.left--; r.left < 0 || depth > maxAMFDepth {
		return nil, fmt.Errorf("%w: more than %d values or %d levels", errAMF, maxAMFValues, maxAMFDepth)
	}
	m, err := r.take(1)
	if err != nil {
		return nil, err
	}
	switch m[0] {
	case amfNumber:
		return r.number()
	case amfBoolean:
		p, err := r.take(1)
		return err == nil && p[0] != 0, err
	case amfString:
		return r.text(2)
	case amfLongString, amfXML:
		return r.text(4)
	case amfNull, amfUndefined:
		return nil, nil
	case amfDate:
		v, err := r.number()
		if err == nil {
			_, err = r.take(2) // time zone: reserved
		}
		return v, err
	case amfTypedObject:
		if _, err := r.text(2); err != nil {
			return nil, err
		}
		return r.object(depth)
	case amfObject:
		return r.object(depth)
	case amfECMAArray:
		// The count is only a hint, and encoders get it wrong.
		if _, err := r.take(4); err != nil {
			return nil, err
		}
		return r.object(depth)
	case amfStrictArray:
		return r.array(depth)
	default:
		return nil, fmt.Errorf("%w: marker %#x", errAMF, m[0])
	}
}

func (r *amfReader) number() (float64, error) {
	p, err := r.take(8)
	if err != nil {
		return 0, err
	}
	return math.Float64frombits(binary.BigEndian.Uint64(p)), nil
}

// text reads a string behind a length of size bytes.
func (r *amfReader) text(size int) (string, error) {
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

func (r *amfReader) object(depth int) (map[string]any, error) {
	o := make(map[string]any)
	for {
		key, err := r.text(2)
		if err != nil {
			return nil, err
		}
		if len(r.b) > 0 && r.b[0] == amfObjectEnd {
			r.b = r.b[1:]
			return o, nil
		}
		if o[key], err = r.decode(depth + 1); err != nil {
			return nil, err
		}
	}
}

func (r *amfReader) array(depth int) ([]any, error) {
	p, err := r.take(4)
	if err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(p)
	if n > uint32(r.left) || n > uint32(len(r.b)) { // every value takes a byte at least
		return nil, fmt.Errorf("%w: array of %d values in %d bytes", errAMF, n, len(r.b))
	}
	a := make([]any, n)
	for i := range a {
		if a[i], err = r.decode(depth + 1); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// amfFields is an object whose fields have an order, for what we write.
type amfFields []amfField

type amfField struct {
	Key   string
	Value any
}

// appendAMF appends values: nil, bool, string, int, float64, amfFields, []any.
func appendAMF(dst []byte, values ...any) []byte {
	for _, v := range values {
		switch v := v.(type) {
		case bool:
			dst = append(dst, amfBoolean, 0)
			if v {
				dst[len(dst)-1] = 1
			}
		case string:
			if len(v) > math.MaxUint16 {
				dst = binary.BigEndian.AppendUint32(append(dst, amfLongString), uint32(len(v)))
			} else {
				dst = binary.BigEndian.AppendUint16(append(dst, amfString), uint16(len(v)))
			}
			dst = append(dst, v...)
		case int:
			dst = appendAMF(dst, float64(v))
		case float64:
			dst = binary.BigEndian.AppendUint64(append(dst, amfNumber), math.Float64bits(v))
		case amfFields:
			dst = append(dst, amfObject)
			for _, f := range v {
				dst = binary.BigEndian.AppendUint16(dst, uint16(len(f.Key)))
				dst = append(dst, f.Key...)
				dst = appendAMF(dst, f.Value)
			}
			dst = append(dst, 0, 0, amfObjectEnd)
		case []any:
			dst = binary.BigEndian.AppendUint32(append(dst, amfStrictArray), uint32(len(v)))
			dst = appendAMF(dst, v...)
		default:
			dst = append(dst, amfNull)
		}
	}
	return dst
}

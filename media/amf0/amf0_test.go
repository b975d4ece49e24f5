package amf0

import (
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
)

func TestAMFComesBackAsWritten(t *testing.T) {
	long := strings.Repeat("x", 70000)
	b := Append(nil, nil, true, false, "text", 7, uint32(1<<31), -0.5, long, []any{"a", nil, 1}, Object{{"k", Object{{"n", 2}}}, {"", 1}, {"z", true}})
	r := NewReader(b)
	var got []any
	for r.More() {
		v, err := r.Value()
		require.NoError(t, err)
		got = append(got, v)
	}
	require.Equal(t, []any{
		nil, true, false, "text", 7.0, float64(1 << 31), -0.5, long, []any{"a", nil, 1.0},
		map[string]any{"k": map[string]any{"n": 2.0}, "": 1.0, "z": true},
	}, got)
}

func TestAMFReadsWhatOthersWrite(t *testing.T) {
	for name, c := range map[string]struct {
		b    []byte
		want any
	}{
		"ECMA array with a wrong count": {testx.Cat(8, 0xFF, 0xFF, 0xFF, 0xFF, 0, 1, "a", 1, 1, 0, 0, 9), map[string]any{"a": true}},
		"undefined":                     {testx.Cat(6), nil},
		"date":                          {testx.Cat(11, 0x3F, 0xF0, 0, 0, 0, 0, 0, 0, 0, 0), 1.0},
		"typed object":                  {testx.Cat(16, 0, 1, "T", 0, 1, "a", 5, 0, 0, 9), map[string]any{"a": nil}},
		"XML":                           {testx.Cat(15, 0, 0, 0, 2, "<>"), "<>"},
	} {
		got, err := NewReader(c.b).Value()
		require.NoError(t, err, name)
		require.Equal(t, c.want, got, name)
	}
}

func TestAMFIsBounded(t *testing.T) {
	for name, b := range map[string][]byte{
		"array longer than the message": testx.Cat(10, 0x7F, 0xFF, 0xFF, 0xFF, 5),
		"string longer than it":         testx.Cat(2, 0xFF, 0xFF, "x"),
		"long string longer than it":    testx.Cat(12, 0xFF, 0xFF, 0xFF, 0xFF, "x"),
		"too deep":                      []byte(strings.Repeat("\x03\x00\x01a", 100000)),
		"too many":                      testx.Cat(10, 0, 1, 0x86, 0xA0, []byte(strings.Repeat("\x05", 100000))),
		"reference":                     testx.Cat(7, 0, 0),
		"AMF 3":                         testx.Cat(17, 1),
		"nothing":                       {},
		"half a number":                 testx.Cat(0, 1, 2),
		"object without end":            testx.Cat(3, 0, 1, "a", 5),
	} {
		_, err := NewReader(b).Value()
		require.ErrorIs(t, err, ErrMalformed, name)
	}
}

// TestArraysTakeRoomAsTheyCome: each level declares as many values as bytes follow, and has one, the next level.
func TestArraysTakeRoomAsTheyCome(t *testing.T) {
	var b []byte
	for range maxDepth {
		b = append(b, testx.Cat(10, 0, 0, 0xF0, 0)...)
	}
	b = append(b, make([]byte, 0xF000)...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := NewReader(b).Value()
	runtime.ReadMemStats(&after)
	require.ErrorIs(t, err, ErrMalformed)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(4<<20))
}

// FuzzReader: any bytes are values or an error, within the bounds, and what is read is written and read as the same.
func FuzzReader(f *testing.F) {
	f.Add(Append(nil, "connect", 1, Object{{"app", "live"}, {"fourCcList", []any{"hvc1", nil, true}}}, nil))
	f.Add(testx.Cat(8, 0, 0, 0, 1, 0, 1, "a", 1, 1, 0, 0, 9, 11, 0x3F, 0xF0, 0, 0, 0, 0, 0, 0, 0, 0, 15, 0, 0, 0, 2, "<>"))
	f.Add(testx.Cat(16, 0, 1, "T", 0, 1, "a", 10, 0, 0, 0, 2, 5, 6, 0, 0, 9, 12, 0, 0, 0, 1, "x"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := NewReader(b)
		for r.More() {
			v, err := r.Value()
			if err != nil {
				require.ErrorIs(t, err, ErrMalformed)
				return
			}
			if holdsObject(v) {
				continue // whose fields have no order any more
			}
			written := Append(nil, v)
			back := NewReader(written)
			again, err := back.Value()
			require.NoError(t, err)
			require.False(t, back.More())
			require.Equal(t, written, Append(nil, again))
		}
	})
}

func holdsObject(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		return true
	case []any:
		return slices.ContainsFunc(v, holdsObject)
	}
	return false
}

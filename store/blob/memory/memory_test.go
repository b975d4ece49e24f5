package memory_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"mediad/store/blob"
	"mediad/store/blob/blobtest"
	"mediad/store/blob/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	blobtest.Run(t, func(*testing.T) blob.Store { return memory.New(memory.Options{MaxBytes: 256 << 20}) })
}

func TestFullStoreRefuses(t *testing.T) {
	s := memory.New(memory.Options{MaxBytes: 10})
	put := func(key, body string) error {
		return s.Put(t.Context(), key, strings.NewReader(body), int64(len(body)), blob.Meta{})
	}
	require.NoError(t, put("a", "123456"))
	require.ErrorIs(t, put("b", "12345"), blob.ErrNoSpace)
	require.ErrorIs(t, put("b", "12345678901"), blob.ErrNoSpace)
	require.NoError(t, put("a", "1234567890"), "a replaced object gives its place back")
	require.ErrorIs(t, put("b", "1"), blob.ErrNoSpace)
	require.NoError(t, s.Delete(t.Context(), "a"))
	assert.Zero(t, s.Bytes())

	f, err := s.Append(t.Context(), "c", -1)
	require.NoError(t, err)
	_, err = f.Write([]byte("12345678"))
	require.NoError(t, err)
	_, err = f.Write([]byte("123"))
	require.ErrorIs(t, err, blob.ErrNoSpace)
	assert.Equal(t, int64(8), f.Size(), "a refused write adds nothing")
	assert.Equal(t, int64(8), s.Bytes())
	require.NoError(t, f.Close())
	_, err = f.Write([]byte("1"))
	require.Error(t, err)

	f, err = s.Append(t.Context(), "c", 2)
	require.NoError(t, err)
	assert.Equal(t, int64(2), s.Bytes())
	require.NoError(t, f.Close())
	require.NoError(t, s.Delete(t.Context(), "c"))
	assert.Zero(t, s.Bytes())
}

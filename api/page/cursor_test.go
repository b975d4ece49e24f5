package page_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api/page"
)

type position struct {
	ID string `json:"i"`
	N  int    `json:"n"`
}

func TestCursorIsBoundToItsList(t *testing.T) {
	c := page.NewCodec([]byte(strings.Repeat("k", 32)))
	cursor, err := c.Seal("streams?sort=newest", position{"0198f2a0", 7})
	require.NoError(t, err)
	var got position
	require.NoError(t, c.Open("streams?sort=newest", cursor, &got))
	assert.Equal(t, position{"0198f2a0", 7}, got)

	require.ErrorIs(t, c.Open("streams?sort=viewers", cursor, &got), page.ErrCursor)
	require.ErrorIs(t, page.NewCodec([]byte("other")).Open("streams?sort=newest", cursor, &got), page.ErrCursor)
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	require.NoError(t, err)
	for i := range raw {
		raw[i] ^= 1
		altered := base64.RawURLEncoding.EncodeToString(raw)
		require.ErrorIs(t, c.Open("streams?sort=newest", altered, &got), page.ErrCursor, "byte %d", i)
		raw[i] ^= 1
	}
	for _, bad := range []string{"", "x", cursor[:10], cursor + "A", cursor + "=", "' OR 1=1 --", "\x00", strings.Repeat("A", 5000)} {
		require.ErrorIs(t, c.Open("streams?sort=newest", bad, &got), page.ErrCursor, "%q", bad)
	}
}

func FuzzOpen(f *testing.F) {
	c := page.NewCodec([]byte("key"))
	good, err := c.Seal("list", position{"a", 1})
	require.NoError(f, err)
	f.Add(good)
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, cursor string) {
		var p position
		if c.Open("list", cursor, &p) == nil && cursor != good {
			again, err := c.Seal("list", p)
			require.NoError(t, err)
			require.Equal(t, again, cursor, "only what we sealed opens")
		}
	})
}

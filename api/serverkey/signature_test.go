package serverkey

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestVectorOfTheContract is that of api.md 3.5.
func TestVectorOfTheContract(t *testing.T) {
	body := []byte(`{"user_id":"0198f2a0-0000-7000-8000-000000000001","coins":500}`)
	require.Len(t, body, 62)
	text, ok := canonical(1767225600, "n-0123456789abcdef", "POST", "/api/v1/integrations/topups?b=x%20y&a=2&a=1", body)
	require.True(t, ok)
	assert.Equal(t, strings.Join([]string{
		"MEDIAD-HMAC-SHA256-V1", "1767225600", "n-0123456789abcdef", "POST", "/api/v1/integrations/topups", "a=1&a=2&b=x%20y",
		"d06652d0598a4d56dc6dfbf71555724e049528ed021354148cabf60702a76735",
	}, "\n"), text)
	sig, ok := Sign("mdh_test_secret", 1767225600, "n-0123456789abcdef", "POST", "/api/v1/integrations/topups?b=x%20y&a=2&a=1", body)
	require.True(t, ok)
	assert.Equal(t, "a4c67e8ff73fd94ff781deb1ed72339a62a7ec598920d39b1a4287a333aa9629", sig)
}

func TestCanonicalQuery(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "&&": "", "a": "a=", "a=": "a=", "b=1&a=2": "a=2&b=1", "a=~-._": "a=~-._", "a=%7e": "a=~", "a=%c3%bc": "a=%C3%BC", "a=x+y": "a=x%20y",
		"a=/?:@!$'()*,;": "a=%2F%3F%3A%40%21%24%27%28%29%2A%2C%3B", "a=b=c": "a=b%3Dc", "ab=1&a=2": "a=2&ab=1",
	} {
		got, ok := canonicalQuery(in)
		assert.True(t, ok, in)
		assert.Equal(t, want, got, in)
	}
	for _, in := range []string{"a=%", "%zz=1"} {
		_, ok := canonicalQuery(in)
		assert.False(t, ok, in)
	}
}

func FuzzParse(f *testing.F) {
	sig := strings.Repeat("0a", 32)
	for _, seed := range []string{
		"key=mdk_0198f2a0000070008000000000000071,ts=1767225600,nonce=n-0123456789abcdef,sig=" + sig, "key=,ts=,nonce=,sig=", "ts=-1", "ts=01", "=,=,=", ",", "sig=zz",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, ok := parse(text)
		if !ok {
			return
		}
		require.LessOrEqual(t, len(text), maxHeader)
		require.True(t, nonceOK(s.nonce))
		require.Len(t, s.sig, 32)
		require.GreaterOrEqual(t, s.ts, int64(0))
		require.NotContains(t, rowID(s.key), "mdk_")
	})
}

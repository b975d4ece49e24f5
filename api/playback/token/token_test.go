package token_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api/playback/token"
)

const (
	a = "0198f2a0-0000-7000-8000-00000000000a"
	b = "0198f2a0-0000-7000-8000-00000000000b"
)

func secret(n byte) []byte { return bytes.Repeat([]byte{n}, 32) }

func ring(t testing.TB, keys ...[]byte) *token.Ring {
	t.Helper()
	r, err := token.NewRing(keys...)
	require.NoError(t, err)
	return r
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestTokenSaysWhatWasPutIn(t *testing.T) {
	r := ring(t, secret(1))
	for _, c := range []token.Cohort{token.Followers, token.Private} {
		for _, epoch := range []uint32{0, 1, 1 << 31, 1<<32 - 1} {
			s := r.Make(token.VOD, a, c, epoch, noon)
			require.Len(t, s, token.Length)
			assert.Regexp(t, `^[A-Za-z0-9_-]{32}$`, s)
			got, ok := token.Parse(s)
			require.True(t, ok)
			assert.Equal(t, c, got.Cohort)
			assert.Equal(t, epoch, got.Epoch)
			assert.Equal(t, noon, got.Expiry)
			assert.True(t, r.Verify(got, token.VOD, a))
		}
	}
}

// TestTokenIsOfOneItem: of another id, another kind, another site it is nothing.
func TestTokenIsOfOneItem(t *testing.T) {
	r := ring(t, secret(1))
	got, ok := token.Parse(r.Make(token.Live, a, token.Followers, 3, noon))
	require.True(t, ok)
	assert.True(t, r.Verify(got, token.Live, a))
	assert.False(t, r.Verify(got, token.Live, b))
	assert.False(t, r.Verify(got, token.VOD, a))
	assert.False(t, r.Verify(got, token.Live, ""))
	assert.False(t, ring(t, secret(2)).Verify(got, token.Live, a))
}

// TestTokenHasItsWrittenForm: nodes of different versions read each other's.
func TestTokenHasItsWrittenForm(t *testing.T) {
	body := []byte{0x11, 0, 0, 0, 5, 0x07, 0x83, 0x94}
	expiry := time.Unix(0x078394*3600, 0).UTC()
	m := hmac.New(sha256.New, secret(7))
	m.Write([]byte("mediad playback\nv"))
	m.Write(body)
	m.Write([]byte(a))
	want := base64.RawURLEncoding.EncodeToString(append(body, m.Sum(nil)[:16]...))
	assert.Equal(t, want, ring(t, secret(7)).Make(token.VOD, a, token.Followers, 5, expiry))
}

func TestKeysRotate(t *testing.T) {
	before, both, after := ring(t, secret(1)), ring(t, secret(2), secret(1)), ring(t, secret(2))
	old, ok := token.Parse(before.Make(token.VOD, a, token.Private, 0, noon))
	require.True(t, ok)
	assert.True(t, both.Verify(old, token.VOD, a))
	assert.False(t, after.Verify(old, token.VOD, a))
	assert.Equal(t, after.Make(token.VOD, a, token.Private, 0, noon), both.Make(token.VOD, a, token.Private, 0, noon), "the newest signs")
	for _, keys := range [][][]byte{{}, {nil}, {secret(1)[:31]}} {
		_, err := token.NewRing(keys...)
		require.ErrorIs(t, err, token.ErrKeys)
	}
}

// TestEveryBitCounts: whatever one alters of a token, it is none any more.
func TestEveryBitCounts(t *testing.T) {
	r := ring(t, secret(1))
	s := r.Make(token.VOD, a, token.Followers, 1, noon)
	raw, err := base64.RawURLEncoding.DecodeString(s)
	require.NoError(t, err)
	for bit := range len(raw) * 8 {
		other := bytes.Clone(raw)
		other[bit/8] ^= 1 << (bit % 8)
		got, ok := token.Parse(base64.RawURLEncoding.EncodeToString(other))
		assert.False(t, ok && r.Verify(got, token.VOD, a), "bit %d", bit)
	}
}

func TestMalformedIsNoToken(t *testing.T) {
	s := ring(t, secret(1)).Make(token.VOD, a, token.Followers, 1, noon)
	for name, bad := range map[string]string{
		"empty": "", "short": s[:31], "long": s + "A", "padded": s[:31] + "=", "standard alphabet": "+" + s[1:], "slash": "/" + s[1:],
		"space": " " + s[1:], "line end inside": s[:4] + "\n" + s[5:], "line end behind": s[:31] + "\n", "another form": "I" + s[1:],
		"no cohort": "EA" + s[2:], "another cohort": "Ez" + s[2:], "no ASCII": strings.Repeat("ä", 16), "nul": s[:31] + "\x00",
	} {
		_, ok := token.Parse(bad)
		assert.False(t, ok, name)
	}
}

// TestBucket: all who ask within an hour have one expiry, which is at least the lifetime away and less than an hour more.
func TestBucket(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		now := noon.Add(time.Duration(rnd.Int64N(int64(1000 * time.Hour))))
		for _, life := range []time.Duration{6 * time.Hour, 12 * time.Hour} {
			at := token.Bucket(now, life)
			assert.Equal(t, at, at.Truncate(time.Hour))
			assert.GreaterOrEqual(t, at.Sub(now), life)
			assert.Less(t, at.Sub(now), life+time.Hour)
		}
	}
	assert.Equal(t, noon.Add(6*time.Hour), token.Bucket(noon, 6*time.Hour))
	assert.Equal(t, token.Bucket(noon.Add(time.Second), 6*time.Hour), token.Bucket(noon.Add(time.Hour), 6*time.Hour))
}

// TestEqualIsEqual: a token is a function of item, cohort, epoch and hour, and of nothing else.
func TestEqualIsEqual(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	one, other := ring(t, secret(1)), ring(t, secret(1)) // two nodes
	seen := map[string]string{}
	for range 500 {
		epoch, hour := rnd.Uint32N(3), noon.Add(time.Duration(rnd.Int64N(3))*time.Hour)
		cohort := token.Cohort(1 + rnd.IntN(2))
		id := []string{a, b}[rnd.IntN(2)]
		s := one.Make(token.Live, id, cohort, epoch, hour)
		assert.Equal(t, s, other.Make(token.Live, id, cohort, epoch, hour))
		what := strings.Join([]string{id, hour.String(), string(rune('0' + epoch)), string(rune('0' + cohort))}, " ")
		if before, ok := seen[s]; ok {
			assert.Equal(t, before, what)
		}
		seen[s] = what
	}
	assert.Len(t, seen, 2*2*3*3)
}

func TestCheckingAllocatesNothing(t *testing.T) {
	r := ring(t, secret(2), secret(1))
	s := ring(t, secret(1)).Make(token.VOD, a, token.Followers, 1, noon)
	n := testing.AllocsPerRun(200, func() {
		got, ok := token.Parse(s)
		if !ok || !r.Verify(got, token.VOD, a) {
			t.Fatal("not verified")
		}
	})
	assert.Less(t, n, 1.0)
}

// TestManyAtOnce: what is kept ready serves one at a time.
func TestManyAtOnce(t *testing.T) {
	r := ring(t, secret(2), secret(1))
	var all sync.WaitGroup
	defer all.Wait()
	for i := range 200 {
		all.Go(func() {
			id := []string{a, b}[i%2]
			got, ok := token.Parse(r.Make(token.Live, id, token.Followers, uint32(i), noon))
			assert.True(t, ok && r.Verify(got, token.Live, id) && !r.Verify(got, token.VOD, id))
		})
	}
}

func BenchmarkParseAndVerify(b *testing.B) {
	r := ring(b, secret(1))
	s := r.Make(token.VOD, a, token.Followers, 1, noon)
	b.ReportAllocs()
	for b.Loop() {
		got, ok := token.Parse(s)
		if !ok || !r.Verify(got, token.VOD, a) {
			b.Fatal("not verified")
		}
	}
}

// FuzzParse: whatever is taken for a token has one spelling, and only ours verify.
func FuzzParse(f *testing.F) {
	r := ring(f, secret(1))
	ours := r.Make(token.VOD, a, token.Followers, 1, noon)
	for _, seed := range []string{"", ours, ours[:31] + "=", strings.Repeat("A", 32), strings.Repeat("-", 32), "EQ" + strings.Repeat("_", 30), "\r\n" + ours[:30]} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := token.Parse(s)
		if !ok {
			return
		}
		raw, err := base64.RawURLEncoding.Strict().DecodeString(s)
		if err != nil || len(raw) != 24 || base64.RawURLEncoding.EncodeToString(raw) != s {
			t.Fatalf("%q is another spelling", s)
		}
		if r.Verify(got, token.VOD, a) && s[:11] == ours[:11] && s != ours {
			t.Fatalf("%q is a second token for the same", s)
		}
	})
}

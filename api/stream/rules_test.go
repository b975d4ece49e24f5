package stream

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/store/db"
)

const streamer = "0198f2a0-0000-7000-8000-000000000002"

// withStreamer adds a user who is no admin, whose limits nobody would raise.
func withStreamer(t *testing.T, o Options) *bench {
	t.Helper()
	b := newBench(t, o)
	require.NoError(t, b.db.Tx(t.Context(), func(q db.Queries) error {
		return q.CreateUser(db.User{ID: streamer, Username: "bert", DisplayName: "Bert", Role: "streamer", CreatedAt: 1, UpdatedAt: 1, Version: 1})
	}))
	return b
}

func (b *bench) createFor(t *testing.T, user string, c Create) Created {
	t.Helper()
	c.OwnerID = user
	made, err := b.Create(t.Context(), c)
	require.NoError(t, err)
	return made
}

// begin opens a session of the stream, as who is on air has one.
func (b *bench) begin(t *testing.T, made Created, id string) {
	t.Helper()
	require.NoError(t, b.SaveSession(t.Context(), db.Session{ID: id, StreamID: made.Stream.ID, StartedAt: db.At(b.clock.Now())}))
}

func (b *bench) granted(t *testing.T, made Created) Grant {
	t.Helper()
	g, err := b.AuthorizePublish(t.Context(), made.Secret, "")
	require.NoError(t, err)
	return g
}

func TestProtocolsOfAStream(t *testing.T) {
	b := newBench(t, Options{})
	bound := int64(2_000_000)
	made := b.create(t, Create{Slug: "main", Protocols: []string{"srt", "rtsp", "srt"}, MaxBitrateBPS: &bound})
	assert.Equal(t, "rtsp,srt", made.Stream.PublishProtocols)
	g := b.granted(t, made)
	assert.Equal(t, Rules{"rtsp,srt", bound}, g.Rules)
	for protocol, ok := range map[string]bool{"srt": true, "rtsp": true, "rtsps": true, "rtmp": false, "rtmps": false, "whip": false, "": false} {
		err := b.Allow(t.Context(), g, protocol)
		if ok {
			require.NoError(t, err, protocol)
			continue
		}
		assert.Equal(t, "protocol", refused(t, err), protocol)
	}
	require.NoError(t, b.Allow(t.Context(), Grant{}, "whatever comes"))
	for field, c := range map[string]Create{
		"publish/protocols":       {Slug: "other", Protocols: []string{"rtmp", "quic"}},
		"publish/max_bitrate_bps": {Slug: "other", MaxBitrateBPS: new(int64)},
	} {
		c.OwnerID = owner
		_, err := b.Create(t.Context(), c)
		var bad *Invalid
		require.ErrorAs(t, err, &bad)
		assert.Equal(t, field, bad.Fields[0].Name)
	}
}

// TestRulesMadeOnAirCutWhoBreaksThem, and leave the key good.
func TestRulesMadeOnAirCutWhoBreaksThem(t *testing.T) {
	b := newBench(t, Options{})
	made := b.create(t, Create{Slug: "main"})
	g := b.granted(t, made)
	on := []OnAir{{Grant: g, Protocol: "rtmp", BitrateBPS: 2_500_000, Since: b.clock.Now()}}
	reason := func(change func(*db.Stream)) string {
		t.Helper()
		_, err := b.Edit(t.Context(), made.Stream.ID, Edit{Change: func(row *db.Stream) {
			row.PublishProtocols, row.PublishMaxBitrateBPS = "", nil
			change(row)
		}})
		require.NoError(t, err)
		dead, err := b.CheckOnAir(t.Context(), on)
		require.NoError(t, err)
		if len(dead) == 0 {
			return ""
		}
		assert.True(t, dead[0].Refusal.Broken())
		assert.NotEqual(t, "The stream key is not valid.", dead[0].Refusal.Detail())
		return dead[0].Refusal.Reason
	}
	assert.Equal(t, "protocol", reason(func(row *db.Stream) { row.PublishProtocols = "srt" }))
	assert.Empty(t, reason(func(row *db.Stream) { row.PublishProtocols = "rtmp,srt" }))
	for bound, want := range map[int64]string{2_000_000: "bitrate", 2_500_000: ""} {
		assert.Equal(t, want, reason(func(row *db.Stream) { row.PublishMaxBitrateBPS = &bound }))
	}
	assert.Equal(t, "protocol", reason(func(row *db.Stream) { row.PublishProtocols = "srt" }))
	away := []OnAir{{Grant: Grant{StreamID: g.StreamID, Stream: g.Stream}, Since: b.clock.Now()}}
	dead, err := b.CheckOnAir(t.Context(), away)
	require.NoError(t, err)
	assert.Empty(t, dead, "who is away may return by another protocol")
	b.granted(t, made)
}

func TestBroadcastsOfAUserAtTheSameTime(t *testing.T) {
	most := 2
	b := withStreamer(t, Options{MaxLive: func() (int, error) { return most, nil }})
	var made []Created
	for _, slug := range []string{"one", "two", "three"} {
		made = append(made, b.createFor(t, streamer, Create{Slug: slug}))
	}
	others := b.createFor(t, owner, Create{Slug: "an-admins"})
	b.begin(t, others, "e0")
	b.begin(t, made[0], "e1")
	require.NoError(t, b.Allow(t.Context(), b.granted(t, made[1]), "rtmp"))
	b.begin(t, made[1], "e2")
	require.NoError(t, b.Allow(t.Context(), b.granted(t, made[1]), "rtmp"), "the same stream's next publisher")
	assert.Equal(t, "sessions", refused(t, b.Allow(t.Context(), b.granted(t, made[2]), "rtmp")))
	require.NoError(t, b.EndSession(t.Context(), "e1", b.clock.Now(), "publisher_stopped"))
	require.NoError(t, b.Allow(t.Context(), b.granted(t, made[2]), "rtmp"))

	// Two that came at the same time, and one more by a lower limit: the newest go.
	var on []OnAir
	for i, one := range append(made, others, b.createFor(t, owner, Create{Slug: "second"}), b.createFor(t, owner, Create{Slug: "third"})) {
		on = append(on, OnAir{Grant: b.granted(t, one), Protocol: "rtmp", Since: b.clock.Now().Add(-time.Duration(i) * time.Minute)})
	}
	cut := func() (slugs []string) {
		dead, err := b.CheckOnAir(t.Context(), on)
		require.NoError(t, err)
		for _, d := range dead {
			assert.Equal(t, "sessions", d.Refusal.Reason)
			slugs = append(slugs, d.Grant.Stream)
		}
		return slugs
	}
	assert.Equal(t, []string{"one"}, cut())
	most = 1
	assert.Equal(t, []string{"one", "two"}, cut())
	most = 0
	assert.Empty(t, cut())
	most = 1
	require.NoError(t, b.Recheck(t.Context()))
	assert.Equal(t, 6, b.keys.len(), "keys that are only remembered are not on air")
}

// TestOfTooManyTagsNotAllAreLookedAt: a body may have a hundred thousand, and a patch is tidied while nobody else can write.
func TestOfTooManyTagsNotAllAreLookedAt(t *testing.T) {
	tags := make([]string, 150_000)
	for i := range tags {
		tags[i] = strconv.Itoa(i)
	}
	assert.Len(t, cleanTags(tags), MaxTags+1)
}

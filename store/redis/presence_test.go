package redis_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
	"mediad/store/presence"
	"mediad/store/presence/presencetest"
	"mediad/store/redis"
	"mediad/store/redis/redistest"
)

// of puts each case of the suite on streams of its own.
type of struct {
	set  presence.Set
	name string
}

func (o of) Tell(ctx context.Context, signs []presence.Sign) error {
	mine := slices.Clone(signs)
	for i := range mine {
		mine[i].Stream = o.name + mine[i].Stream
	}
	return o.set.Tell(ctx, mine)
}

func (o of) Count(ctx context.Context, streams []string) (map[string]presence.Counts, error) {
	mine, counts := make([]string, len(streams)), map[string]presence.Counts{}
	for i, s := range streams {
		mine[i] = o.name + s
	}
	found, err := o.set.Count(ctx, mine)
	for name, n := range found {
		counts[strings.TrimPrefix(name, o.name)] = n
	}
	return counts, err
}

func TestPresence(t *testing.T) {
	server := redistest.Start(t)
	a, b := redis.NewPresence(open(t, server)), redis.NewPresence(open(t, server))
	cases := 0
	presencetest.Run(t, func(*testing.T) (presence.Set, presence.Set) {
		cases++
		name := fmt.Sprint(cases, ":")
		return of{a, name}, of{b, name}
	})
}

// TestPresenceWithoutTheServer says so, and forgets what was told.
func TestPresenceWithoutTheServer(t *testing.T) {
	server := redistest.Start(t)
	p := redis.NewPresence(open(t, server))
	beat := []presence.Sign{presencetest.Beat("v", "n", 0)}
	require.NoError(t, p.Tell(t.Context(), beat))
	server.Stop(t)
	require.ErrorIs(t, p.Tell(t.Context(), beat), redis.ErrUnavailable)
	_, err := p.Count(t.Context(), []string{"main"})
	require.ErrorIs(t, err, redis.ErrUnavailable)
	server.Run(t)
	testx.WaitFor(t, "the server to answer", func() bool { return p.Tell(t.Context(), nil) == nil && p.Tell(t.Context(), beat) == nil })
	assert.Equal(t, presence.Counts{Viewers: 1}, presencetest.Count(t, p))
}

// TestPresenceIsBounded: of a crowd beyond the bound nobody is added, who is there stays counted, and who leaves makes room. Of a large set a
// sample is read, which comes near.
func TestPresenceIsBounded(t *testing.T) {
	server := redistest.Start(t)
	p := redis.NewPresence(open(t, server))
	redis.Bound(p, 100, 50)
	tell := func(signs ...presence.Sign) {
		t.Helper()
		require.NoError(t, p.Tell(t.Context(), signs))
	}
	var crowd []presence.Sign
	for i := range 300 {
		crowd = append(crowd, presencetest.Beat(fmt.Sprint("v", i), fmt.Sprint("n", i), 0), presencetest.Playlist(fmt.Sprint("p", i), 0), presencetest.Link(fmt.Sprint("l", i), fmt.Sprint("m", i), 0))
	}
	tell(crowd...)
	counts := presencetest.Count(t, p)
	assert.Equal(t, presence.Counts{Viewers: 200, Estimated: 100}, counts, "100 beats, 100 connections, 100 places")
	tell(crowd...)
	assert.Equal(t, counts, presencetest.Count(t, p))

	tell(presencetest.Gone(presencetest.Beat("v0", "n0", 0)), presencetest.Gone(presencetest.Link("l0", "m0", 0)))
	assert.Equal(t, 198, presencetest.Count(t, p).Viewers)
	tell(presencetest.Beat("late", "n1", 0), presencetest.Link("late", "late", 0), presencetest.Beat("later", "n1", 0))
	assert.Equal(t, 200, presencetest.Count(t, p).Viewers)

	// Half of those who asked for playlists have a page that tells of itself: a sample of them tells so, too.
	redis.Bound(p, 1000, 200)
	other := func(s presence.Sign) presence.Sign { s.Stream = "large"; return s }
	var large []presence.Sign
	for i := range 800 {
		large = append(large, other(presencetest.Playlist(fmt.Sprint("n", i), 0)))
		if i%2 == 0 {
			large = append(large, other(presencetest.Beat(fmt.Sprint("v", i), fmt.Sprint("n", i), 0)))
		}
	}
	tell(large...)
	found, err := p.Count(t.Context(), []string{"large"})
	require.NoError(t, err)
	assert.Equal(t, 400, found["large"].Viewers)
	assert.InDelta(t, 400, found["large"].Estimated, 120) // four deviations
}

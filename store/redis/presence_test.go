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

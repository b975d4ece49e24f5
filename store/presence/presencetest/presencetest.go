// Package presencetest is what every presence.Set has to keep.
package presencetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/store/presence"
)

const window = presence.Window

// near is how close to the window's end a sign may lie on a busy machine, whose clock goes on meanwhile.
const near = 5 * time.Second

// Beat is a sign of a viewer's page.
func Beat(who, net string, age time.Duration) presence.Sign {
	return presence.Sign{Stream: "main", Kind: presence.Beat, Who: who, Net: net, Age: age}
}

// Link is a sign of a connection.
func Link(who, net string, age time.Duration) presence.Sign {
	return presence.Sign{Stream: "main", Kind: presence.Connection, Who: who, Net: net, Age: age}
}

// Playlist is a sign of somebody who asked for one.
func Playlist(net string, age time.Duration) presence.Sign {
	return presence.Sign{Stream: "main", Kind: presence.Playlist, Net: net, Age: age}
}

// Gone is the same sign of who has left.
func Gone(s presence.Sign) presence.Sign {
	s.Gone = true
	return s
}

// Count is what a set counts of the stream.
func Count(t testing.TB, s presence.Set) presence.Counts {
	t.Helper()
	counts, err := s.Count(t.Context(), []string{"main", "other"})
	require.NoError(t, err)
	assert.NotContains(t, counts, "other")
	return counts["main"]
}

// Run runs the suite. connect makes two nodes' sets that share what they are told, empty; a set within a process is both.
func Run(t *testing.T, connect func(t *testing.T) (a, b presence.Set)) {
	for name, c := range map[string]struct {
		signs []presence.Sign
		want  presence.Counts
	}{
		"nobody":                               {nil, presence.Counts{}},
		"a beat":                               {[]presence.Sign{Beat("v", "n", 0)}, presence.Counts{Viewers: 1}},
		"two beats of one viewer":              {[]presence.Sign{Beat("v", "n", 0), Beat("v", "m", 0)}, presence.Counts{Viewers: 1}},
		"two viewers in one place":             {[]presence.Sign{Beat("v", "n", 0), Beat("w", "n", 0)}, presence.Counts{Viewers: 2}},
		"a beat within the window":             {[]presence.Sign{Beat("v", "n", window-near)}, presence.Counts{Viewers: 1}},
		"a beat before the window":             {[]presence.Sign{Beat("v", "n", window+near)}, presence.Counts{}},
		"an older beat changes nothing":        {[]presence.Sign{Beat("v", "n", 0), Beat("v", "n", window+near)}, presence.Counts{Viewers: 1}},
		"who has left":                         {[]presence.Sign{Beat("v", "n", 0), Gone(Beat("v", "n", 0))}, presence.Counts{}},
		"who was never there leaves":           {[]presence.Sign{Gone(Beat("v", "n", 0)), Gone(Link("l", "n", 0))}, presence.Counts{}},
		"a playlist":                           {[]presence.Sign{Playlist("n", 0), Playlist("n", 0)}, presence.Counts{Estimated: 1}},
		"a playlist long ago":                  {[]presence.Sign{Playlist("n", window+near)}, presence.Counts{}},
		"playlists of two places":              {[]presence.Sign{Playlist("n", 0), Playlist("m", 0)}, presence.Counts{Estimated: 2}},
		"a page that asks and beats":           {[]presence.Sign{Playlist("n", 0), Beat("v", "n", 0)}, presence.Counts{Viewers: 1}},
		"another place asks":                   {[]presence.Sign{Playlist("m", 0), Beat("v", "n", 0)}, presence.Counts{Viewers: 1, Estimated: 1}},
		"a page that has left asked before":    {[]presence.Sign{Playlist("n", 0), Beat("v", "n", 0), Gone(Beat("v", "n", 0))}, presence.Counts{}},
		"a page whose beats have stopped asks": {[]presence.Sign{Playlist("n", 0), Beat("v", "n", window+near)}, presence.Counts{Estimated: 1}},
		"a page that died":                     {[]presence.Sign{Playlist("n", window-near), Beat("v", "n", window+near)}, presence.Counts{}},
		"a connection":                         {[]presence.Sign{Link("l", "n", 0), Link("l", "n", 0)}, presence.Counts{Viewers: 1}},
		"two connections from one place":       {[]presence.Sign{Link("l", "n", 0), Link("k", "n", 0)}, presence.Counts{Viewers: 2}},
		"a connection of a page that beats":    {[]presence.Sign{Link("l", "n", 0), Beat("v", "n", 0)}, presence.Counts{Viewers: 1}},
		"a connection after beats have ended":  {[]presence.Sign{Link("l", "n", 0), Beat("v", "n", window+near)}, presence.Counts{Viewers: 1}},
		"a connection that ended":              {[]presence.Sign{Link("l", "n", 0), Gone(Link("l", "n", 0))}, presence.Counts{}},
		"a connection nobody tells of":         {[]presence.Sign{Link("l", "n", window+near)}, presence.Counts{}},
		"a connection that asked before":       {[]presence.Sign{Link("l", "n", 0), Playlist("n", 0)}, presence.Counts{Viewers: 1}},
		"names that look like others'":         {[]presence.Sign{Link("l x", "n", 0), Beat("v", "x", 0), Beat("{main}", "", 0)}, presence.Counts{Viewers: 3}},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := connect(t)
			half := len(c.signs) / 2
			require.NoError(t, a.Tell(t.Context(), c.signs[:half]))
			require.NoError(t, b.Tell(t.Context(), c.signs[half:]))
			assert.Equal(t, c.want, Count(t, a))
			assert.Equal(t, c.want, Count(t, b))
		})
	}
	t.Run("any signs in any order", func(t *testing.T) {
		for seed := range uint64(20) {
			random := rand.New(rand.NewPCG(seed, 11))
			var signs []presence.Sign
			for range random.IntN(60) {
				signs = append(signs, anySign(random))
			}
			a, b := connect(t)
			for _, s := range signs {
				require.NoError(t, []presence.Set{a, b}[random.IntN(2)].Tell(t.Context(), []presence.Sign{s}))
			}
			assert.Equal(t, Model(signs), Count(t, a), "seed %d: %v", seed, signs)
		}
	})
	t.Run("from many goroutines", func(t *testing.T) {
		a, b := connect(t)
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for j := range 50 {
					assert.NoError(t, []presence.Set{a, b}[j%2].Tell(context.Background(), []presence.Sign{Beat(fmt.Sprint("v", j), "n", 0), Playlist(fmt.Sprint("p", i), 0)}))
				}
			})
		}
		wg.Wait()
		assert.Equal(t, presence.Counts{Viewers: 50, Estimated: 8}, Count(t, b))
	})
	t.Run("a thousand signs at once", func(t *testing.T) {
		a, b := connect(t)
		var signs []presence.Sign
		for i := range 1200 {
			signs = append(signs, Beat(fmt.Sprint("v", i), fmt.Sprint("n", i), 0))
		}
		require.NoError(t, a.Tell(t.Context(), signs))
		assert.Equal(t, presence.Counts{Viewers: 1200}, Count(t, b))
	})
}

// anySign is of few viewers and places, so that they meet, and never near the end of a window.
func anySign(r *rand.Rand) presence.Sign {
	ages := []time.Duration{0, 10 * time.Second, window - near, window + near, 2*window - near - time.Second, 2*window + near}
	who, net, age := fmt.Sprint("w", r.IntN(4)), fmt.Sprint("n", r.IntN(4)), ages[r.IntN(len(ages))]
	switch r.IntN(3) {
	case 0:
		return Beat(who, net, age)
	case 1:
		return Link(who+net, net, age) // a connection stays where it is
	}
	return Playlist(net, age)
}

// Model counts signs of which nobody has left, straight from the definition.
func Model(signs []presence.Sign) presence.Counts {
	ago := func(kind presence.Kind, match func(presence.Sign) bool) time.Duration {
		least := time.Duration(1 << 62)
		for _, s := range signs {
			if s.Kind == kind && match(s) {
				least = min(least, s.Age)
			}
		}
		return least
	}
	viewers, links, asked := map[string]bool{}, map[string]string{}, map[string]bool{}
	for _, s := range signs {
		switch s.Kind {
		case presence.Beat:
			viewers[s.Who] = true
		case presence.Connection:
			links[s.Who] = s.Net
		case presence.Playlist:
			asked[s.Net] = true
		}
	}
	var n presence.Counts
	for who := range viewers {
		if ago(presence.Beat, func(s presence.Sign) bool { return s.Who == who }) <= window {
			n.Viewers++
		}
	}
	from := func(net string) func(presence.Sign) bool { return func(s presence.Sign) bool { return s.Net == net } }
	for who, net := range links {
		if ago(presence.Connection, func(s presence.Sign) bool { return s.Who == who }) <= window && ago(presence.Beat, from(net)) > window {
			n.Viewers++
		}
	}
	for net := range asked {
		last, beat := ago(presence.Playlist, from(net)), ago(presence.Beat, from(net))
		if last <= window && ago(presence.Connection, from(net)) > window && (beat > 1<<61 || beat-last > window) {
			n.Estimated++
		}
	}
	return n
}

//go:build bench

package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestCaches: viewers through each cache, beside fewer who ask directly at the same time.
func TestCaches(t *testing.T) {
	const through, beside, span = 150, 40, 20 * time.Second
	for _, kind := range append([]string{Edge}, Caches...) {
		t.Run(kind, func(t *testing.T) {
			p := peers(t, "mediad")[0]
			cache, err := StartCache(kind, "../../deploy", t.TempDir(), p.HTTP)
			if errors.Is(err, ErrNoCache) {
				t.Skip(err)
			}
			require.NoError(t, err)
			t.Cleanup(cache.Stop)
			publish(t, p, "bench")
			waitPlaylist(t, p, "bench")
			pass(5 * time.Second)
			renditions, _, err := Renditions(context.Background(), p.HTTP, p.Playlist("bench"))
			require.NoError(t, err)
			asked, hit, err := cache.Count()
			require.NoError(t, err)

			ctx, cancel := context.WithTimeout(context.Background(), span)
			defer cancel()
			var wg sync.WaitGroup
			crowd := func(host string, n int) (*Counts, *Landings) {
				l := &Landings{}
				c := &Counts{Saw: l.Note}
				for range n {
					for _, path := range renditions {
						wg.Go(func() { Watch(ctx, host, path, "", c) })
					}
				}
				return c, l
			}
			busy := cache.CPU()
			_, direct := crowd(p.HTTP, beside)
			c, cached := crowd(cache.HTTP, through)
			wg.Wait()
			busy = cache.CPU() - busy
			pass(2 * time.Second) // until all is logged
			all, hits, err := cache.Count()
			require.NoError(t, err)
			all, hits = all-asked, hits-hit
			later := cached.Later(direct)
			require.NotEmpty(t, later)
			at := func(q float64) float64 { return float64(later[int(q*float64(len(later)-1))].Microseconds()) / 1000 }
			fmt.Printf("BENCH  %-34s %-24s %10.2f %%\n", fmt.Sprintf("hits, %d that pull", through*len(renditions)), kind, 100*float64(hits)/float64(all))
			fmt.Printf("BENCH  %-34s %-24s %10.1f ms     p95 %.1f ms\n", "parts later than directly, p50", kind, at(.5), at(.95))
			fmt.Printf("BENCH    %-32s %-24s %10.3f ms     %d requests, %d errors, %d stalls\n", "CPU a request", kind, busy.Seconds()*1000/float64(all),
				c.Requests.Load(), c.Errors.Load(), c.Stalls.Load())
		})
	}
}

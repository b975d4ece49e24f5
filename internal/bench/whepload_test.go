//go:build bench

package bench

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/egress/whep/wheptest"
)

// TestWHEPViewers: what a viewer of the reference stream by WebRTC costs the server, pictures alone, as the peer makes no Opus of the
// sound, and how many of them one core carries by that. Viewers share the cores with the server and answer as browsers do.
func TestWHEPViewers(t *testing.T) {
	const viewers, window = 40, 10 * time.Second
	ours := map[string]float64{}
	for _, name := range []string{"mediad webrtc", "mediamtx webrtc"} {
		t.Run(name, func(t *testing.T) {
			for _, p := range peers(t, name) {
				p.Name = name[:len(name)-len(" webrtc")]
				publish(t, p, "bench")
				pass(4 * time.Second)
				alone := cpuOver(p.Process, 4*time.Second).Seconds() / 4
				players := watchers(t, p, viewers)
				pass(2 * time.Second)
				bytes := received(players)
				used := cpuOver(p.Process, window).Seconds() - alone*window.Seconds()
				rate := float64(received(players)-bytes) * 8 / 1e6 / viewers / window.Seconds()
				for _, one := range players {
					select {
					case <-one.Ended():
						t.Error("a viewer was lost")
					default:
					}
				}
				minute := used / viewers / window.Seconds() * 60
				for _, r := range []struct {
					what  string
					value float64
					unit  string
				}{{"CPU a WHEP viewer-minute", minute, "s"}, {"WHEP viewers a core", 60 / minute, ""}} {
					if p.Name == "mediad" {
						ours[r.what] = r.value
					}
					row(r.what, p, r.value, r.unit, ours[r.what])
				}
				fmt.Printf("BENCH    %d viewers, %.2f Mbit/s each, the publisher alone %.3f cores\n", viewers, rate, alone)
			}
		})
	}
}

func watchers(t *testing.T, p *Peer, n int) []*wheptest.Player {
	t.Helper()
	var players []*wheptest.Player
	var failed error
	var mu sync.Mutex
	var joining sync.WaitGroup
	for range n {
		joining.Go(func() {
			one, err := wheptest.Play(t.Context(), wheptest.Options{URL: p.WebRTC("whep", "bench"), Blind: true})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = err
				return
			}
			players = append(players, one)
		})
	}
	joining.Wait()
	t.Cleanup(func() {
		for _, one := range players {
			_ = one.Close()
		}
	})
	require.NoError(t, failed)
	eventually(t, 20*time.Second, "pictures for everybody", func() bool {
		for _, one := range players {
			if one.Packets() == 0 {
				return false
			}
		}
		return true
	})
	return players
}

func received(players []*wheptest.Player) (bytes uint64) {
	for _, one := range players {
		bytes += one.Bytes()
	}
	return bytes
}

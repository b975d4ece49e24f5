package whep

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
	"mediad/live"
	"mediad/media"
)

// onAir gives frames to the source of a viewer's broadcast, of epoch 1.
func onAir(v *viewer, frames ...*frame) {
	v.b.onAir.Store(1)
	for _, f := range frames {
		f.epoch = 1
		v.b.source.add(f)
	}
}

// TestKeyFrameMakesUpForALoss that was told before it: nothing is sent again then.
func TestKeyFrameMakesUpForALoss(t *testing.T) {
	v, w := lone(t, Options{})
	onAir(v, picture(0, true, 100), picture(1, false, 100))
	_, err := v.player.step(0)
	require.NoError(t, err)
	v.lost.Store(true)
	onAir(v, picture(2, true, 100), picture(3, false, 100))
	for _, now := range []time.Duration{replayEvery / 2, 2 * replayEvery, 4 * replayEvery} {
		_, err = v.player.step(now)
		require.NoError(t, err)
	}
	require.Len(t, w.headers, 4)
}

// TestNothingIsPlayedAgainWhileAway: who loses a picture then misses nothing, neither while the publisher is away nor before the first
// picture of the next.
func TestNothingIsPlayedAgainWhileAway(t *testing.T) {
	v, w := lone(t, Options{})
	onAir(v, picture(0, true, 100), picture(1, false, 100))
	now := time.Duration(0)
	step := func() {
		t.Helper()
		now += 2 * replayEvery
		_, err := v.player.step(now)
		require.NoError(t, err)
	}
	step()
	v.lost.Store(true)
	step()
	require.Len(t, w.headers, 4, "while on air it is played again")
	for _, epoch := range []int64{0, 2} {
		v.b.onAir.Store(epoch)
		v.lost.Store(true)
		step()
		require.Len(t, w.headers, 4)
	}
	f := picture(100, true, 100)
	f.epoch = 2
	v.b.source.add(f)
	step()
	require.Len(t, w.headers, 5)
	require.Equal(t, uint32(300000)+v.video.offset, w.headers[4].Timestamp)
}

// TestTimeGoesOn where the layer that is changed to is behind, and where pictures come faster than what is played off.
func TestTimeGoesOn(t *testing.T) {
	v, w := lone(t, Options{})
	low := newLayer("low", true)
	v.b.rungs = []*layer{low}
	fast := func(n int, key bool) *frame { // 240 a second
		f := picture(0, key, 100)
		f.time, f.at = media.Ticks(n)*375, time.Duration(n)*time.Second/240
		return f
	}
	for n := range 200 {
		onAir(v, fast(n, n == 0))
	}
	_, err := v.player.step(0)
	require.NoError(t, err)
	v.lost.Store(true)
	_, err = v.player.step(2 * replayEvery)
	require.NoError(t, err)
	onAir(v, fast(200, false), fast(201, false))
	_, err = v.player.step(2 * replayEvery)
	require.NoError(t, err)
	v.b.source.off.Store(true)
	v.b.verdict = errCodec
	for n := range 20 {
		low.add(picture(n, n == 0, 100))
	}
	_, err = v.player.step(3 * replayEvery)
	require.NoError(t, err)
	require.Equal(t, low, v.player.layer)
	for n := 20; n < 40; n++ {
		low.add(picture(n, false, 100))
	}
	_, err = v.player.step(3 * replayEvery)
	require.NoError(t, err)
	require.Len(t, w.headers, 200+200+2+20+20)
	for i := 1; i < len(w.headers); i++ {
		require.Positive(t, int32(w.headers[i].Timestamp-w.headers[i-1].Timestamp), "packet %d", i)
	}
}

// TestShedViewerGetsWhatFits: who had a light layer is not put on the heaviest when that one goes.
func TestShedViewerGetsWhatFits(t *testing.T) {
	v, _ := lone(t, Options{})
	v.estimate = func() int { return 1_000_000 }
	mid, low, least := newLayer("mid", true), newLayer("low", true), newLayer("least", true)
	v.b.rungs = []*layer{mid, low, least}
	for l, rate := range map[*layer]int{v.b.source: 5_000_000, mid: 2_000_000, low: 800_000, least: 200_000} {
		l.add(picture(0, true, 100))
		l.rate.last = rate
	}
	_, err := v.player.step(0)
	require.NoError(t, err)
	require.Equal(t, low, v.player.layer)
	low.off.Store(true)
	_, err = v.player.step(time.Millisecond)
	require.NoError(t, err)
	require.Equal(t, least, v.player.layer)
}

// TestLayersByTheirSize: the source is not the heaviest where the publisher sends a larger picture beside it.
func TestLayersByTheirSize(t *testing.T) {
	v, _ := lone(t, Options{})
	big, small := newLayer("1080p", true), newLayer("360p", true)
	v.b.source.pixels, big.pixels, small.pixels = 1280*720, 1920*1080, 640*360
	v.b.rungs = []*layer{big, small}
	require.Equal(t, []*layer{big, v.b.source, small}, v.b.layers(nil))
	small.off.Store(true)
	require.Equal(t, []*layer{big, v.b.source}, v.b.layers(nil))
}

// TestNoReplayOnPLIWhileAway is TestNothingIsPlayedAgainWhileAway with a peer that asks, and its first picture of the next publisher.
func TestNoReplayOnPLIWhileAway(t *testing.T) {
	s := newSite(t, Options{})
	track, units := pattern(40, 20)
	pub := s.publish("main", videoOf(track))
	pub.write(units[:10]...)
	p := newPeer(t, videoKind)
	p.play(s, "main")
	testx.WaitFor(t, "pictures", func() bool { return p.seen() == 10 })
	pub.p.Close(live.ReasonConnectionLost)
	var v *viewer
	s.whep.mu.Lock()
	for _, v = range s.whep.viewers {
	}
	s.whep.mu.Unlock()
	testx.WaitFor(t, "the publisher to be away", func() bool { return v.b.onAir.Load() == 0 })
	time.Sleep(replayEvery) // a replay follows another no sooner
	p.loses()
	testx.WaitFor(t, "the peer to be heard", func() bool { return v.losses.Load() > 0 && !v.lost.Load() })
	s.publish("main", videoOf(track)).write(units[:1]...)
	testx.WaitFor(t, "the next publisher's picture", func() bool { return p.seen() >= 11 })
	require.Equal(t, 11, p.seen())
}

// TestWhatNobodyMissesIsNotLogged: that the source cannot be played is news only where no rung is there instead.
func TestWhatNobodyMissesIsNotLogged(t *testing.T) {
	log := &testx.Buffer{}
	v, _ := lone(t, Options{Log: slog.New(slog.NewTextHandler(log, nil))})
	low := newLayer("low", true)
	v.b.rungs = []*layer{low}
	v.b.decide(errCodec)
	require.NotContains(t, log.String(), "whep")
	low.off.Store(true)
	for range 3 {
		v.b.followed(ErrNoRungs)
	}
	require.Equal(t, 1, strings.Count(log.String(), "see no picture"))
}

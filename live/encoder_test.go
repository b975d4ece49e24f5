package live

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSlowEncoderGoesOnAtTheNextKeyFrameForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := running(t, Options{})
		e := connect(t, h, "a", obs).start(videoOnly())
		q := e.p.Session().Subscribe(EncoderPolicy)
		defer q.Close()
		for range 8 {
			e.mustSend(1200 * time.Millisecond)
			got := units(taken(q))
			require.LessOrEqual(t, len(got), 31, "never more than a second")
			if len(got) > 0 {
				require.True(t, got[0].RandomAccess)
			}
			e.mustSend(time.Second)
			taken(q)
		}
		require.Positive(t, q.Drops()[DropQueueFull])
		require.NoError(t, h.End("a", ReasonEndedByOwner))
	})
}

func TestKeyFrameIsAskedForAtMostTwiceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := running(t, Options{})
		e := onAir(t, h, "a", obs)
		s := e.p.Session()
		asked := 0
		for range 20 {
			s.AskKeyFrame()
			select {
			case <-e.p.KeyFrameAsked():
				asked++
			default:
			}
			time.Sleep(100 * time.Millisecond)
		}
		require.Equal(t, 4, asked)
		found, ok := h.Session("a")
		require.True(t, ok)
		require.Same(t, s, found)
		e.p.Close(ReasonConnectionLost)
		s.AskKeyFrame() // nobody is there to be asked
		_, ok = h.Session("a")
		require.True(t, ok, "it is held")
		require.NoError(t, h.End("a", ReasonEndedByOwner))
		_, ok = h.Session("a")
		require.False(t, ok)
		_, ok = h.Session("b")
		require.False(t, ok)
	})
}

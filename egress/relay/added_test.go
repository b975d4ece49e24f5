package relay

import (
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
	"mediad/live"
	"mediad/media"
)

// TestTargetsAreAddedAndTakenAwayOnAir: what is added is called at once, what is taken away is told goodbye, and the others notice nothing.
func TestTargetsAreAddedAndTakenAwayOnAir(t *testing.T) {
	hub, addr, _ := server(t, "127.0.0.1:0", false)
	r := onAir(t, clip(t), Options{Allow: func(netip.AddrPort) error { return nil }}, "rtmp://"+addr+"/live/"+key)
	first := hub.Next(t, 0)
	first.AwaitUnits(t, media.Video, 1)
	r.relays.SetTargets("tower", []Target{{"b", "rtmp://" + addr + "/live/other-key"}, {"c", "nonsense://"}})
	second := hub.Next(t, 1)
	second.AwaitUnits(t, media.Video, 30)
	s := r.await("the state", 1, isLive)
	require.Equal(t, [3]any{"b", "rtmp://" + addr + "/live/…", uint64(1)}, [3]any{s.ID, s.Target, s.Attempts})
	require.Len(t, r.relays.All(), 2)
	r.relays.SetTargets("tower", []Target{{"b", "rtmp://" + addr + "/live/other-key"}})
	require.Equal(t, uint64(1), r.status(1).Attempts, "what stays is left alone")

	r.relays.SetTargets("tower", nil)
	require.Equal(t, live.ReasonPublisherStopped, second.AwaitClosed(t), "it is told")
	require.Len(t, r.relays.All(), 1)
	seen := len(first.Units(media.Video))
	first.AwaitUnits(t, media.Video, seen+30)
	require.Equal(t, uint64(1), r.status(0).Attempts)
	require.NotContains(t, r.log.String(), "other-key")

	// One that waits to be called again goes as well, and one that is added goes with the session.
	r.relays.SetTargets("tower", []Target{{"d", "rtmp://" + testx.FreeAddr(t) + "/live/x"}, {"e", "rtmp://" + addr + "/live/other-key"}})
	third := hub.Next(t, 2)
	third.AwaitUnits(t, media.Video, 1)
	r.await("no connection", 1, func(s Status) bool { return s.State == StateWaiting })
	r.relays.SetTargets("tower", []Target{{"e", "rtmp://" + addr + "/live/other-key"}})
	require.NoError(t, r.hub.End("tower", live.ReasonEndedByOwner))
	require.Equal(t, live.ReasonPublisherStopped, third.AwaitClosed(t))
	r.stop()
	r.relays.SetTargets("tower", []Target{{"f", "rtmp://" + addr + "/live/other-key"}})
	require.Len(t, r.relays.All(), 1)
}

// TestAddedTargetsLeadNowhereElse: each address is judged when it is called, what a name leads to as well, by RTMP and by SRT.
func TestAddedTargetsLeadNowhereElse(t *testing.T) {
	var asked atomic.Int32
	addr := answering(t, func(net.Conn) { asked.Add(1) })
	_, port, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	errNot := errors.New("not there")
	r := onAir(t, clip(t), Options{Allow: func(to netip.AddrPort) error {
		if to.Addr().IsLoopback() {
			return errNot
		}
		return nil
	}})
	r.relays.SetTargets("tower", []Target{
		{"1", "rtmp://" + addr + "/live/" + key}, {"2", "rtmps://localhost:" + port + "/live/" + key}, {"3", "srt://localhost:" + port + "?streamid=" + key},
		{"4", "rtmp://[::ffff:127.0.0.1]:" + port + "/live/" + key},
	})
	for i := range 4 {
		s := r.await("the refusal", i, func(s Status) bool { return s.State == StateWaiting && s.Attempts > 1 })
		require.Equal(t, errNowhere.Error(), s.Error)
	}
	r.relays.SetTargets("tower", nil)
	r.stop()
	require.Zero(t, asked.Load(), "nothing was connected to")
	shown, err := Shown("rtmp://a.example/live2/" + key)
	require.NoError(t, err)
	require.Equal(t, "rtmp://a.example/live2/…", shown)
	_, err = Shown("http://a.example/" + key)
	require.Error(t, err)
	require.NotContains(t, err.Error(), key)
}

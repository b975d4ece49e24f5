package main

import (
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"mediad/api/play"
	"mediad/api/stream"
	"mediad/internal/metrics"
	"mediad/live"
	"mediad/media"
	"mediad/media/mediatest"
	"mediad/packager/playlist"
	"mediad/store/event"
	"mediad/transcode/thumb"
)

// TestQualitiesAreWhatViewersHave: the renditions that HLS has, which need not have the source among them; while there are none, what
// the source brings.
func TestQualitiesAreWhatViewersHave(t *testing.T) {
	large, small := mediatest.H264Track(1280, 720, 30, 1), mediatest.H264Track(640, 360, 0, 0)
	sound := mediatest.AACTrack(48000, 2)
	status := live.Status{Stream: mainStream, SessionID: "s", State: live.StateLive}
	status.Tracks[media.Video], status.Tracks[media.Audio] = mediatest.H264Track(1920, 1080, 30, 1), sound
	var variants []playlist.Variant
	rows, _ := rowsOf(t)
	o := onAir{sessions: rows, audience: play.NewAudience(play.AudienceOptions{}), pictures: thumb.New(thumb.Options{Log: slog.New(slog.DiscardHandler)}), variants: func(slug string) []playlist.Variant {
		require.Equal(t, mainStream, slug)
		return variants
	}}
	names := func(qualities []stream.Quality) (out []string) {
		for _, q := range qualities {
			out = append(out, q.Name)
		}
		return out
	}
	require.Equal(t, []string{"source", "audio"}, names(o.info(status).Qualities), "starting")

	variants = []playlist.Variant{
		{Name: "720p", Track: large, FrameRate: 30, Average: 2_000_000, Bandwidth: 3_000_000},
		{Name: "360p", Track: small, FrameRate: -1, Average: 500_000, Bandwidth: 900_000},
		{Name: "audio", Track: sound, Average: 128_000, Bandwidth: 140_000},
	}
	require.Equal(t, []stream.Quality{
		{Name: "720p", Width: 1280, Height: 720, FPS: 30, Codecs: large.RFC6381() + ",mp4a.40.2", BitrateBPS: 2_128_000},
		{Name: "360p", Width: 640, Height: 360, Codecs: small.RFC6381() + ",mp4a.40.2", BitrateBPS: 628_000},
		{Name: "audio", Codecs: "mp4a.40.2", BitrateBPS: 128_000},
	}, o.info(status).Qualities)
}

// TestAKeyThatIsRefusedIsToldOf: its owner hears of it as of one that was not let in.
func TestAKeyThatIsRefusedIsToldOf(t *testing.T) {
	s, err := openTestSite([]string{"MEDIAD_DATA_DIR=" + t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(s.close)
	_, key, err := s.streams.RotateKey(t.Context(), mainStream, stream.Rotate{})
	require.NoError(t, err)
	require.NoError(t, s.streams.SetDisabled(t.Context(), mainStream, true, ""))
	var told []stream.Disconnect
	rights := publishRights{streams: s.streams, refused: func(d stream.Disconnect) { told = append(told, d) }, now: time.Now}
	for _, one := range []string{key, "mds_nobodys"} {
		_, err = rights.AuthorizePublish(t.Context(), one, live.Peer{Protocol: "rtmp", Remote: "203.0.113.7:1"})
		require.Error(t, err)
	}
	require.Len(t, told, 1, "of an unknown key nobody is told")
	require.True(t, told[0].Refused)
	require.NoError(t, s.streams.NoteDisconnect(t.Context(), told[0]))
	events, err := s.db.Read(t.Context()).ListUnsent(0, 100)
	require.NoError(t, err)
	require.Equal(t, event.PublishRefused, events[len(events)-1].Type)
}

// TestACutOfAnExpiredKeySaysSo: that it was revoked would send its owner looking for who did.
func TestACutOfAnExpiredKeySaysSo(t *testing.T) {
	s, err := openTestSite([]string{"MEDIAD_DATA_DIR=" + t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(s.close)
	of, err := s.streams.Find(t.Context(), mainStream)
	require.NoError(t, err)
	rows := newSessionRows(s, slog.New(slog.DiscardHandler))
	hub := live.NewHub(live.Options{Observer: observer{metrics.New(prometheus.NewRegistry(), "test"), rows}})
	watch := keyWatch{hub: hub, streams: s.streams, log: slog.New(slog.DiscardHandler)}
	key, _, err := s.streams.AddKey(t.Context(), of.ID, "", time.Now().Add(100*time.Millisecond))
	require.NoError(t, err)
	p, err := hub.Admit(live.Grant{StreamID: of.ID, Stream: mainStream, KeyID: key.ID}, live.Peer{Protocol: "rtmp", Remote: "203.0.113.7:1"})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		for _, d := range watch.check(t.Context(), []stream.OnAir{airing(hub.Live()[0])}) {
			watch.end(d)
			return true
		}
		return false
	}, 20*time.Second, 10*time.Millisecond)
	require.Equal(t, live.ReasonKeyRevoked, live.ReasonOf(p.Err()))
	d := <-rows.lost
	require.Equal(t, [2]string{"key_revoked", "The stream key has expired."}, [2]string{d.Code, d.Detail})
}

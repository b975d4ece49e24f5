package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/api/stream"
	"mediad/live"
	"mediad/media"
)

// printed is what stream health prints of a status.
func printed(t *testing.T, s live.Status) string {
	t.Helper()
	var out strings.Builder
	require.NoError(t, printHealth(&out, healthOf(s, nil, time.Second)))
	return out.String()
}

func TestHealthIsToldInTheWordsOfTheMoment(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s := live.Status{
		Stream: "main", State: live.StateLive, Now: now, SessionID: "id", StartedAt: now.Add(-time.Second),
		Protocol: "rtmp", Encoder: "obs", Remote: "203.0.113.5:1", ConnectedAt: now.Add(-time.Second),
	}
	s.Tracks[media.Video] = &media.Track{Kind: media.Video, Codec: media.VP8, Timescale: media.VideoTimescale, Width: 640, Height: 360}
	text := printed(t, s)
	require.Contains(t, text, "one so far")
	require.NotContains(t, text, "each 0 s")

	s.Video.LastGOP, s.Video.MeanGOP, s.Video.MaxGOP = 2*time.Second, 2*time.Second, 2*time.Second
	require.Contains(t, printed(t, s), "each 2 s (longest 2 s)")

	// While the publisher is away nothing is known of it.
	s.State, s.Protocol, s.Encoder, s.Remote, s.ConnectedAt = live.StateReconnecting, "", "", "", time.Time{}
	text = printed(t, s)
	require.Contains(t, text, "away")
	require.NotContains(t, text, "from ,")
	require.NotContains(t, text, "alerts")
}

func TestForwardsAreToldWhileThePublisherIsAway(t *testing.T) {
	h := healthOf(live.Status{}, nil, 0)
	h.Forwards = []stream.HealthForward{{Target: "rtmp://a.example/live2/…", State: "idle"}}
	var out strings.Builder
	require.NoError(t, printHealth(&out, h))
	require.Contains(t, out.String(), "rtmp://a.example/live2/…: idle")
}

func TestHealthCountsAndLeavesOutWhatSaysNothing(t *testing.T) {
	h := healthOf(live.Status{Protocol: "whip", Remote: "[::1]:4000"}, []stream.HealthRung{
		{Name: "720p", State: rungShed}, {Name: "480p", State: "on", LagMS: 30},
	}, 0)
	h.Forwards = []stream.HealthForward{{Target: "a", State: "live", Attempts: 1}, {Target: "b", State: "waiting", Attempts: 2}}
	var out strings.Builder
	require.NoError(t, printHealth(&out, h))
	require.Regexp(t, `(?m)^rung 720p +shed$`, out.String(), "what is not made is not behind")
	require.Regexp(t, `(?m)^rung 480p +on, 30 ms behind$`, out.String())
	require.Contains(t, out.String(), "in 1 attempt,")
	require.Contains(t, out.String(), "in 2 attempts,")
	require.Contains(t, out.String(), "whip from ::1,")
}

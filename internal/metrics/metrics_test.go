package metrics

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"mediad/egress/whep"
	"mediad/internal/testx"
	"mediad/live"
	"mediad/media"
	"mediad/packager"
	"mediad/packager/origin"
)

var (
	_ live.Observer     = (*Metrics)(nil)
	_ packager.Observer = (*Metrics)(nil)
	_ origin.Observer   = (*Metrics)(nil)
	_ whep.Observer     = (*Players)(nil)
)

func TestMain(m *testing.M) { testx.Main(m) }

func newMetrics(t *testing.T) (*Metrics, *prometheus.Registry) {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	return New(r, "1.2.3"), r
}

func expect(t *testing.T, r *prometheus.Registry, want string, names ...string) {
	t.Helper()
	var b strings.Builder
	for line := range strings.Lines(want) {
		b.WriteString(strings.TrimLeft(line, "\t"))
	}
	require.NoError(t, testutil.GatherAndCompare(r, strings.NewReader(b.String()), names...))
}

func TestLifeOfAStreamInNumbers(t *testing.T) {
	m, r := newMetrics(t)
	peer := live.Peer{Protocol: "rtmp"}
	for _, n := range []live.Notice{
		{Kind: live.PublishRefused, Peer: peer, Reason: live.ReasonStreamKeyInvalid},
		{Kind: live.PublishRefused, Peer: peer, Reason: "something made up"},
		{Kind: live.PublisherConnected, Peer: peer},
		{Kind: live.EpochStarted}, {Kind: live.SessionStarted}, {Kind: live.TakenOver}, {Kind: live.SessionAway},
		{Kind: live.SessionResumed}, {Kind: live.EpochStarted}, {Kind: live.StreamForgotten},
		{Kind: live.PublisherClosed, Peer: peer, Reason: live.ReasonConnectionLost},
		{Kind: live.SessionEnded, Reason: live.ReasonResumeTimeout},
	} {
		m.Notice(n)
	}
	m.Unit(media.Video, 1000)
	m.Unit(media.Video, 500)
	m.Unit(media.Audio, 100)
	m.Unit(9, 100)
	m.Dropped(live.AtEntrance, live.DropNoKeyFrame, 3)
	m.Repaired("nudged", 2)
	expect(t, r, `
		# HELP mediad_epochs_total Epochs begun; each but a session's first is a discontinuity.
		# TYPE mediad_epochs_total counter
		mediad_epochs_total 2
		# HELP mediad_ingest_bytes_total Payload taken in from publishers.
		# TYPE mediad_ingest_bytes_total counter
		mediad_ingest_bytes_total{kind="audio"} 100
		mediad_ingest_bytes_total{kind="video"} 1500
		# HELP mediad_ingest_drops_total Access units that went no further: at the entrance of a session, or at the queue of a subscriber.
		# TYPE mediad_ingest_drops_total counter
		mediad_ingest_drops_total{reason="no_key_frame",where="entrance"} 3
		# HELP mediad_ingest_repairs_total What was mended in sources' timestamps and structure.
		# TYPE mediad_ingest_repairs_total counter
		mediad_ingest_repairs_total{kind="nudged"} 2
		# HELP mediad_publish_total Attempts to publish, by protocol and result: ok, or why it was refused.
		# TYPE mediad_publish_total counter
		mediad_publish_total{protocol="rtmp",result="ok"} 1
		mediad_publish_total{protocol="rtmp",result="other"} 1
		mediad_publish_total{protocol="rtmp",result="stream_key_invalid"} 1
		# HELP mediad_sessions_ended_total Sessions that ended, by reason.
		# TYPE mediad_sessions_ended_total counter
		mediad_sessions_ended_total{reason="resume_timeout"} 1
		# HELP mediad_takeovers_total Publishers that were replaced by another.
		# TYPE mediad_takeovers_total counter
		mediad_takeovers_total 1
	`, "mediad_epochs_total", "mediad_ingest_bytes_total", "mediad_ingest_drops_total", "mediad_ingest_repairs_total",
		"mediad_publish_total", "mediad_sessions_ended_total", "mediad_takeovers_total")
}

func TestPartsAndRequestsInNumbers(t *testing.T) {
	m, r := newMetrics(t)
	m.PartPublished("a", "source", 1000, 0)
	m.PartPublished("a", "source", 1000, 99*time.Millisecond)
	m.PartPublished("a", "source", 1000, 101*time.Millisecond)
	m.SegmentPublished("a", "source", 3000, 2*time.Second, false)
	m.SegmentPublished("a", "source", 0, 2*time.Second, true)
	m.Filled("a", media.Audio, 4)
	m.Discarded("a", media.Video, 2)
	m.Fallback("a", true)
	m.Fallback("a", true)
	m.Fallback("b", true)
	m.Fallback("b", false)
	m.Served(origin.Served{Kind: origin.Part, Stream: "a", Status: 200, Bytes: 1000, Held: 30 * time.Millisecond, CMCD: origin.CMCDStarved})
	m.Served(origin.Served{Kind: origin.Playlist, Stream: "a", Status: 304})
	m.Served(origin.Served{Kind: origin.Other, Status: -1})
	m.Parked(1)
	m.Parked(1)
	m.Parked(-1)
	expect(t, r, `
		# HELP mediad_parked_waiters Requests that wait now for what is not there yet.
		# TYPE mediad_parked_waiters gauge
		mediad_parked_waiters 1
		# HELP mediad_parts_late_total Parts that came over 100 ms later than they last after the one before.
		# TYPE mediad_parts_late_total counter
		mediad_parts_late_total 1
		# HELP mediad_parts_published_total Parts published, over all renditions.
		# TYPE mediad_parts_published_total counter
		mediad_parts_published_total 3
		# HELP mediad_playback_cmcd_total Requests below /live/ with which players told of themselves by CMCD.
		# TYPE mediad_playback_cmcd_total counter
		mediad_playback_cmcd_total{starved="yes"} 1
		# HELP mediad_playback_requests_total Requests below /live/ answered, by kind and status.
		# TYPE mediad_playback_requests_total counter
		mediad_playback_requests_total{kind="other",status="other"} 1
		mediad_playback_requests_total{kind="part",status="200"} 1
		mediad_playback_requests_total{kind="playlist",status="304"} 1
		# HELP mediad_segments_published_total Segments published, over all renditions; a gap has no media.
		# TYPE mediad_segments_published_total counter
		mediad_segments_published_total{gap="no"} 1
		mediad_segments_published_total{gap="yes"} 1
		# HELP mediad_streams_in_memory Streams whose segments are kept in memory, because nothing can be written.
		# TYPE mediad_streams_in_memory gauge
		mediad_streams_in_memory 1
	`, "mediad_parked_waiters", "mediad_parts_late_total", "mediad_parts_published_total", "mediad_playback_cmcd_total",
		"mediad_playback_requests_total",
		"mediad_segments_published_total", "mediad_streams_in_memory")
}

func TestGaugesLastAsLongAsTheirStream(t *testing.T) {
	m, r := newMetrics(t)
	names := []string{"mediad_streams", "mediad_ingest_bitrate_bps", "mediad_ingest_fps", "mediad_ingest_gop_seconds", "mediad_stream_viewers", "mediad_viewers", "mediad_stream_alerts"}
	n, err := testutil.GatherAndCount(r, names...)
	require.NoError(t, err)
	require.Zero(t, n, "nothing is watched yet")

	status := live.Status{Stream: "talk", State: live.StateLive, Alerts: []live.Alert{{Code: live.AlertGOPTooLong}}}
	status.Tracks[media.Video] = &media.Track{Kind: media.Video}
	status.Video = live.VideoFigures{FPS: 29.97, LastGOP: 2 * time.Second, Bitrate: live.Bitrate{Last1s: 2_500_000}}
	all := []live.Status{status, {Stream: "gone soon", State: live.StateReconnecting}}
	m.Watch(func() []live.Status { return all }, func(stream string) int { return len(stream) }, func(string) int { return 2 })
	expect(t, r, `
		# HELP mediad_ingest_bitrate_bps What a publisher sends, over the last second.
		# TYPE mediad_ingest_bitrate_bps gauge
		mediad_ingest_bitrate_bps{kind="video",stream="talk"} 2.5e+06
		# HELP mediad_ingest_fps Pictures a second of a publisher's video.
		# TYPE mediad_ingest_fps gauge
		mediad_ingest_fps{stream="talk"} 29.97
		# HELP mediad_ingest_gop_seconds Length of the newest complete GOP.
		# TYPE mediad_ingest_gop_seconds gauge
		mediad_ingest_gop_seconds{stream="talk"} 2
		# HELP mediad_stream_alerts Streams for which an alert stands, by its code.
		# TYPE mediad_stream_alerts gauge
		mediad_stream_alerts{code="gop_too_long"} 1
		# HELP mediad_stream_viewers Estimate of viewers.
		# TYPE mediad_stream_viewers gauge
		mediad_stream_viewers{stream="gone soon"} 11
		mediad_stream_viewers{stream="talk"} 6
		# HELP mediad_streams Streams by state.
		# TYPE mediad_streams gauge
		mediad_streams{state="live"} 1
		mediad_streams{state="reconnecting"} 1
		mediad_streams{state="starting"} 0
		# HELP mediad_viewers Estimate of viewers, over all streams, by how they watch.
		# TYPE mediad_viewers gauge
		mediad_viewers{kind="hls"} 13
		mediad_viewers{kind="whep"} 4
	`, names...)

	all = nil
	n, err = testutil.GatherAndCount(r, "mediad_ingest_bitrate_bps", "mediad_ingest_fps", "mediad_stream_viewers")
	require.NoError(t, err)
	require.Zero(t, n)
}

func TestViewersByWebRTCInNumbers(t *testing.T) {
	m, r := newMetrics(t)
	p := m.Players()
	p.Viewers("talk", 1)
	p.FirstFrame("talk", 120*time.Millisecond)
	p.Ended("talk", live.ReasonConnectionLost, time.Minute, 5000)
	p.Ended("talk", "something made up", time.Minute, 1)
	expect(t, r, `
		# HELP mediad_whep_ended_total Viewers by WebRTC that left or were sent away, by reason.
		# TYPE mediad_whep_ended_total counter
		mediad_whep_ended_total{reason="connection_lost"} 1
		mediad_whep_ended_total{reason="other"} 1
		# HELP mediad_whep_sent_bytes_total Payload sent to viewers by WebRTC; counted when they leave.
		# TYPE mediad_whep_sent_bytes_total counter
		mediad_whep_sent_bytes_total 5001
	`, "mediad_whep_ended_total", "mediad_whep_sent_bytes_total")
}

func TestLabelsAreBounded(t *testing.T) {
	m, r := newMetrics(t)
	all := make([]live.Status, maxNamed+500)
	for i := range all {
		all[i] = live.Status{Stream: fmt.Sprintf("s%04d", i), State: live.StateLive}
		all[i].Tracks[media.Video] = &media.Track{Kind: media.Video}
		m.Repaired(fmt.Sprint("kind", i), 1)
		m.Dropped(fmt.Sprint("place", i), live.DropQueueFull, 1)
		m.Notice(live.Notice{Kind: live.PublisherConnected, Peer: live.Peer{Protocol: fmt.Sprint("p", i)}})
	}
	m.Watch(func() []live.Status { return all }, nil, nil)
	for name, limit := range map[string]int{
		"mediad_ingest_repairs_total": maxRepairKinds + 1, "mediad_ingest_drops_total": maxPlaces + 1,
		"mediad_publish_total": maxProtocols + 1, "mediad_ingest_fps": maxNamed,
	} {
		n, err := testutil.GatherAndCount(r, name)
		require.NoError(t, err)
		require.Equal(t, limit, n, name)
	}
}

func TestEveryMetricIsWellFormed(t *testing.T) {
	m, r := newMetrics(t)
	m.Watch(func() []live.Status { return nil }, nil, nil)
	problems, err := testutil.GatherAndLint(r)
	require.NoError(t, err)
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, namespace) {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	n, err := testutil.GatherAndCount(r, "mediad_build_info", "go_goroutines", "process_open_fds")
	require.NoError(t, err)
	require.Equal(t, 3, n)
}

func TestCountingAUnitAllocatesNothing(t *testing.T) {
	m, _ := newMetrics(t)
	require.Zero(t, testing.AllocsPerRun(1000, func() { m.Unit(media.Video, 1000) }))
}

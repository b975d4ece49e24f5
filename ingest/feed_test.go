package ingest_test

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/ingest"
	"mediad/live"
	"mediad/media"
	"mediad/media/mediatest"
)

// epoch is what a fake publisher was told.
type epoch struct {
	tracks [media.Kinds]*media.Track
	start  time.Duration
	reason string
	units  [media.Kinds][]media.AccessUnit
}

type fakePublisher struct {
	epochs  []*epoch
	repairs map[string]int
	err     error
}

func (p *fakePublisher) StartEpoch(tracks [media.Kinds]*media.Track, start time.Duration, _ time.Time, reason string) error {
	p.epochs = append(p.epochs, &epoch{tracks: tracks, start: start, reason: reason})
	return p.err
}

func (p *fakePublisher) Write(au media.AccessUnit) error {
	e := p.epochs[len(p.epochs)-1]
	e.units[au.Kind] = append(e.units[au.Kind], au)
	return p.err
}

func (p *fakePublisher) Repaired(kind string, n int) {
	if p.repairs == nil {
		p.repairs = map[string]int{}
	}
	p.repairs[kind] += n
}

// bench is a Feed into a fake publisher under a clock that follows the media.
type bench struct {
	t    *testing.T
	pub  *fakePublisher
	feed *ingest.Feed
	now  time.Time
	v, a *media.Track
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, pub: &fakePublisher{}, now: time.Unix(1000, 0),
		v: mediatest.H264Track(640, 360, 30, 1), a: mediatest.AACTrack(48000, 2)}
	b.feed = ingest.NewFeed(ingest.FeedOptions{Publisher: b.pub, Now: func() time.Time { return b.now }})
	return b
}

func (b *bench) tracks(kinds ...media.Kind) {
	for _, k := range kinds {
		require.NoError(b.t, b.feed.Track(k, [...]*media.Track{b.v, b.a}[k]))
	}
}

// write sends units, each when the media says.
func (b *bench) write(units []media.AccessUnit) {
	base := b.now
	var first time.Duration
	for i, au := range units {
		at := b.v.Timescale.Duration(au.DTS)
		if au.Kind == media.Audio {
			at = b.a.Timescale.Duration(au.DTS)
		}
		if i == 0 {
			first = at
		}
		if d := base.Add(at - first); d.After(b.now) {
			b.now = d
		}
		require.NoError(b.t, b.feed.Write(au))
	}
}

// both is n seconds of video with the given GOP and of audio, from start.
func (b *bench) both(start time.Duration, seconds, gop int) []media.AccessUnit {
	v := mediatest.Video(mediatest.VideoPattern{Frames: 30 * seconds, GOP: gop, Start: b.v.Timescale.Ticks(start)})
	a := mediatest.Audio(mediatest.AudioPattern{Frames: 47 * seconds, Start: b.a.Timescale.Ticks(start)})
	return mediatest.Interleave(b.v, b.a, v, a)
}

func only(k media.Kind, units []media.AccessUnit) []media.AccessUnit {
	var out []media.AccessUnit
	for _, au := range units {
		if au.Kind == k {
			out = append(out, au)
		}
	}
	return out
}

// checkEpochs holds what every epoch promises.
func (b *bench) checkEpochs() {
	b.t.Helper()
	for i, e := range b.pub.epochs {
		for k, units := range e.units {
			if len(units) > 0 {
				require.NotNil(b.t, e.tracks[k], "epoch %d", i)
			}
			for _, au := range units {
				require.GreaterOrEqual(b.t, e.tracks[k].Timescale.Duration(au.PTS), e.start, "epoch %d %v", i, au.Kind)
			}
		}
		if v := e.units[media.Video]; len(v) > 0 {
			require.True(b.t, v[0].RandomAccess && !v[0].OpenGOP, "epoch %d", i)
			require.Equal(b.t, e.start, b.v.Timescale.Duration(v[0].PTS), "epoch %d", i)
		}
	}
}

func TestEpochBeginsWithBothTracksAtTheKeyFrame(t *testing.T) {
	b := newBench(t)
	b.tracks(media.Video, media.Audio)
	units := b.both(5*time.Second, 4, 30)
	b.write(units[10:]) // in the middle of a GOP
	require.Len(t, b.pub.epochs, 1)
	b.checkEpochs()
	e := b.pub.epochs[0]
	require.Equal(t, "first", e.reason)
	require.Equal(t, 6*time.Second, e.start)
	require.Len(t, e.units[media.Video], 90)
	require.Len(t, e.units[media.Audio], 188-47)
	require.NotNil(t, e.tracks[media.Audio])
}

func TestSecondTrackIsAwaitedASecond(t *testing.T) {
	for _, known := range []bool{true, false} {
		b := newBench(t)
		b.tracks(media.Video)
		if known {
			b.feed.NoTrack(media.Audio)
		}
		v := only(media.Video, b.both(0, 4, 30))
		b.write(v[:29])
		require.Len(t, b.pub.epochs, map[bool]int{true: 1, false: 0}[known])
		b.write(v[29:])
		require.Len(t, b.pub.epochs, 1)
		require.Nil(t, b.pub.epochs[0].tracks[media.Audio])
		require.Len(t, b.pub.epochs[0].units[media.Video], 120)
	}
}

func TestAudioThatComesLateJoinsAtAKeyFrame(t *testing.T) {
	b := newBench(t)
	b.tracks(media.Video)
	all := b.both(0, 6, 30)
	cut := len(all) / 2
	b.write(only(media.Video, all[:cut]))
	b.tracks(media.Audio)
	b.write(all[cut:])
	require.Len(t, b.pub.epochs, 2)
	b.checkEpochs()
	require.Equal(t, "track_added", b.pub.epochs[1].reason)
	require.Len(t, b.pub.epochs[0].units[media.Video], 120)
	require.Len(t, b.pub.epochs[1].units[media.Video], 60)
	require.NotEmpty(t, b.pub.epochs[1].units[media.Audio])
}

func TestVideoThatComesLateJoinsAtItsKeyFrame(t *testing.T) {
	b := newBench(t)
	b.tracks(media.Audio)
	all := b.both(0, 6, 30)
	cut := len(all) / 2
	b.write(only(media.Audio, all[:cut]))
	b.tracks(media.Video)
	b.write(all[cut+3:])
	require.Len(t, b.pub.epochs, 2)
	b.checkEpochs()
	require.Nil(t, b.pub.epochs[0].tracks[media.Video])
	require.NotNil(t, b.pub.epochs[1].tracks[media.Audio])
	require.NotEmpty(t, b.pub.epochs[1].units[media.Audio])
	require.Len(t, b.pub.epochs[1].units[media.Video], 60)
}

func TestAudioOnly(t *testing.T) {
	b := newBench(t)
	b.tracks(media.Audio)
	b.write(only(media.Audio, b.both(0, 3, 30)))
	require.Len(t, b.pub.epochs, 1)
	require.Len(t, b.pub.epochs[0].units[media.Audio], 141)
}

func TestOpusIsPassedOn(t *testing.T) {
	b := newBench(t)
	b.a = mediatest.OpusTrack()
	b.tracks(media.Audio)
	b.feed.NoTrack(media.Video)
	b.write(mediatest.Audio(mediatest.AudioPattern{Track: b.a, Frames: 100}))
	require.Len(t, b.pub.epochs, 1)
	require.Equal(t, media.Opus, b.pub.epochs[0].tracks[media.Audio].Codec)
	require.Len(t, b.pub.epochs[0].units[media.Audio], 100)
}

func TestChangedConfigurationBeginsAnEpoch(t *testing.T) {
	b := newBench(t)
	b.tracks(media.Video, media.Audio)
	b.write(b.both(0, 3, 30))
	b.tracks(media.Video, media.Audio) // repeated, as on every reconnect
	require.Len(t, b.pub.epochs, 1)
	b.v = mediatest.H264Track(1280, 720, 30, 1)
	b.tracks(media.Video)
	b.write(b.both(3*time.Second, 3, 30))
	require.Len(t, b.pub.epochs, 2)
	b.checkEpochs()
	require.Equal(t, "config_changed", b.pub.epochs[1].reason)
	require.Equal(t, 1280, b.pub.epochs[1].tracks[media.Video].Width)
	require.Len(t, b.pub.epochs[1].units[media.Video], 90)
}

func TestTimeJumpBeginsAnEpochAtTheNextKeyFrame(t *testing.T) {
	for _, jump := range []time.Duration{10 * time.Hour, -10 * time.Hour, 3 * time.Second} {
		b := newBench(t)
		b.tracks(media.Video, media.Audio)
		b.write(b.both(11*time.Hour, 3, 30))
		units := b.both(11*time.Hour+3*time.Second+jump, 3, 30)
		b.write(units[5:])
		require.Len(t, b.pub.epochs, 2, jump)
		b.checkEpochs()
		require.Equal(t, "time_jump", b.pub.epochs[1].reason)
		require.Len(t, b.pub.epochs[1].units[media.Video], 60)
	}
}

func TestOpenGOPWillDoAfterAWhile(t *testing.T) {
	b := newBench(t)
	b.tracks(media.Video)
	b.feed.NoTrack(media.Audio)
	v := mediatest.Video(mediatest.VideoPattern{Frames: 300, GOP: 30, BFrames: 2, OpenGOP: true})
	b.write(v[5:])
	require.Len(t, b.pub.epochs, 1)
	b.checkEpochs()
	require.Equal(t, 4*time.Second, b.pub.epochs[0].start)
}

func TestLimits(t *testing.T) {
	b := newBench(t)
	b.tracks(media.Video)
	b.feed = ingest.NewFeed(ingest.FeedOptions{Publisher: b.pub, Now: func() time.Time { return b.now },
		Limits: ingest.Limits{MaxFrame: 1000, MaxBitrate: 100_000}})
	b.tracks(media.Video)
	err := b.feed.Write(media.AccessUnit{Data: make([]byte, 1001)})
	require.Equal(t, live.ReasonFrameTooLarge, live.ReasonOf(err))
	err = nil
	for i := 0; i < 100 && err == nil; i++ {
		err = b.feed.Write(media.AccessUnit{DTS: media.Ticks(i * 3000), PTS: media.Ticks(i * 3000), Data: make([]byte, 999)})
	}
	require.Equal(t, live.ReasonBitrateTooHigh, live.ReasonOf(err))
	require.Error(t, b.feed.Track(media.Audio, b.v))
}

// grantedPublisher was let in by a stream with a rule.
type grantedPublisher struct {
	*fakePublisher
	grant live.Grant
}

func (p grantedPublisher) Grant() live.Grant { return p.grant }

// TestAStreamsOwnBitrate is kept to where it is below the server's, and told by another word.
func TestAStreamsOwnBitrate(t *testing.T) {
	for name, c := range map[string]struct {
		server, stream int64
		want           live.Reason
	}{
		"below the server's": {1_000_000, 100_000, live.ReasonPolicyLimit},
		"alone":              {-1, 100_000, live.ReasonPolicyLimit},
		"above the server's": {100_000, 1_000_000, live.ReasonBitrateTooHigh},
		"none":               {100_000, 0, live.ReasonBitrateTooHigh},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.feed = ingest.NewFeed(ingest.FeedOptions{
				Publisher: grantedPublisher{b.pub, live.Grant{MaxBitrate: c.stream}}, Now: func() time.Time { return b.now },
				Limits: ingest.Limits{MaxBitrate: c.server},
			})
			b.tracks(media.Video)
			var err error
			sent := 0
			for ; sent < 1000 && err == nil; sent++ {
				err = b.feed.Write(media.AccessUnit{DTS: media.Ticks(sent * 3000), PTS: media.Ticks(sent * 3000), Data: make([]byte, 999)})
			}
			require.Equal(t, c.want, live.ReasonOf(err))
			require.InDelta(t, 5*100_000/8, sent*999, 1000, "what five seconds hold")
		})
	}
}

func TestPublisherThatLostTheStreamEndsTheFeed(t *testing.T) {
	b := newBench(t)
	b.tracks(media.Video)
	b.feed.NoTrack(media.Audio)
	b.pub.err = live.Refuse(live.ReasonReplaced, errors.New("gone"))
	err := b.feed.Write(mediatest.Video(mediatest.VideoPattern{})[0])
	require.Equal(t, live.ReasonReplaced, live.ReasonOf(err))
}

func TestFlushWritesWhatIsKeptBack(t *testing.T) {
	b := newBench(t)
	b.tracks(media.Video, media.Audio)
	b.write(mediatest.Video(mediatest.VideoPattern{Frames: 10}))
	require.Empty(t, b.pub.epochs)
	b.feed.Flush()
	require.Len(t, b.pub.epochs, 1)
	require.Len(t, b.pub.epochs[0].units[media.Video], 10)
}

func TestSteadyPathDoesNotAllocate(t *testing.T) {
	b := newBench(t)
	feed := ingest.NewFeed(ingest.FeedOptions{Publisher: discard{}, Now: func() time.Time { return b.now }})
	require.NoError(t, feed.Track(media.Video, b.v))
	require.NoError(t, feed.Track(media.Audio, b.a))
	units := b.both(0, 60, 30)
	i := 0
	next := func() {
		if err := feed.Write(units[i]); err != nil {
			t.Error(err)
		}
		b.now = b.now.Add(13 * time.Millisecond)
		i++
	}
	for range 500 {
		next()
	}
	require.Zero(t, testing.AllocsPerRun(1000, next))
}

type discard struct{}

func (discard) StartEpoch([media.Kinds]*media.Track, time.Duration, time.Time, string) error {
	return nil
}
func (discard) Write(media.AccessUnit) error { return nil }
func (discard) Repaired(string, int)         {}

func TestFloodWritesALineASecond(t *testing.T) {
	var lines []string
	now := time.Unix(0, 1)
	f := ingest.NewFlood(slog.New(slog.NewTextHandler(writer(func(s string) { lines = append(lines, s) }), nil)), func() time.Time { return now }, "repaired")
	for range 1000 {
		f.Add("nudged")
		now = now.Add(5 * time.Millisecond)
	}
	f.Add("hole")
	f.Flush()
	f.Flush()
	require.Len(t, lines, 6)
	require.Contains(t, lines[0], "nudged=1\n")
	require.Contains(t, lines[1], "nudged=200\n")
	require.Contains(t, lines[5], "hole=1")
}

type writer func(string)

func (w writer) Write(b []byte) (int, error) {
	w(string(b))
	return len(b), nil
}

func TestPublisherThatBeginsAnEpochWithEveryPictureIsCut(t *testing.T) {
	b := newBench(t)
	other := mediatest.H264Track(320, 180, 30, 1)
	b.feed.NoTrack(media.Audio)
	units := mediatest.Video(mediatest.VideoPattern{Frames: 300, GOP: 1})
	var err error
	for i := 0; i < len(units) && err == nil; i++ {
		if err = b.feed.Track(media.Video, [...]*media.Track{b.v, other}[i%2]); err == nil {
			err = b.feed.Write(units[i])
		}
		b.now = b.now.Add(time.Second / 30)
	}
	require.Equal(t, live.ReasonProtocolError, live.ReasonOf(err), "media_invalid would cost the frame alone")
	require.Less(t, len(b.pub.epochs), 40)

	// One now and then may go on for ever.
	b = newBench(t)
	b.feed.NoTrack(media.Audio)
	for i, u := range mediatest.Video(mediatest.VideoPattern{Frames: 100, GOP: 1}) {
		require.NoError(t, b.feed.Track(media.Video, [...]*media.Track{b.v, other}[i%2]))
		require.NoError(t, b.feed.Write(u))
		b.now = b.now.Add(2 * time.Second)
	}
	require.Greater(t, len(b.pub.epochs), 90)
}

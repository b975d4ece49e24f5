package rtmp

import (
	"bytes"
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/ingest"
	"mediad/ingest/ingesttest"
	"mediad/internal/testx"
	"mediad/live"
	"mediad/media"
	"mediad/media/chunk"
	"mediad/media/mediatest"
)

// tracksIn takes a multitrack message apart.
func tracksIn(t *testing.T, kind media.Kind, b []byte) (out []tag, errs []error) {
	t.Helper()
	parse := parseVideo
	if kind == media.Audio {
		parse = parseAudio
	}
	all, err := parse(b)
	require.NoError(t, err)
	require.Equal(t, tagTracks, all.Kind)
	for {
		one, err := all.next(kind)
		if err != nil {
			errs = append(errs, err)
		} else {
			out = append(out, tag{Kind: one.Kind, Codec: one.Codec, Track: one.Track, Composition: one.Composition, Nanos: one.Nanos, Payload: one.Payload})
		}
		if len(all.Payload) == 0 {
			return out, errs
		}
	}
}

func TestMultitrackMessages(t *testing.T) {
	for _, c := range []struct {
		name string
		kind media.Kind
		body []byte
		want []tag
	}{
		{"one track, configuration", media.Video, testx.Cat(0x96, 0x00, "avc1", 2, "conf"), []tag{{Kind: tagConfig, Codec: media.H264, Track: 2, Payload: []byte("conf")}}},
		{"one track, picture", media.Video, testx.Cat(0xA6, 0x01, "avc1", 1, 0, 0, 80, "data"), []tag{{Kind: tagFrame, Codec: media.H264, Track: 1, Composition: 80, Payload: []byte("data")}}},
		{"one track, picture without composition time", media.Video, testx.Cat(0xA6, 0x03, "hvc1", 3, "data"), []tag{{Kind: tagFrame, Codec: media.H265, Track: 3, Payload: []byte("data")}}},
		{"behind a ModEx", media.Video, testx.Cat(0xA7, 2, 0, 0, 9, 0x06, 0x03, "av01", 3, "data"), []tag{{Kind: tagFrame, Codec: media.AV1, Track: 3, Nanos: 9, Payload: []byte("data")}}},
		{"many tracks", media.Video, testx.Cat(0xA6, 0x11, "avc1", 0, 0, 0, 4, 0, 0, 7, "a", 5, 0, 0, 5, 0, 0, 8, "bc"), []tag{
			{Kind: tagFrame, Codec: media.H264, Composition: 7, Payload: []byte("a")}, {Kind: tagFrame, Codec: media.H264, Track: 5, Composition: 8, Payload: []byte("bc")},
		}},
		{"many tracks of many codecs, one of them not carried", media.Video, testx.Cat(0x96, 0x20, "avc1", 0, 0, 0, 1, "a", "vvc1", 1, 0, 0, 2, "bc", "av01", 2, 0, 0, 1, "d"), []tag{
			{Kind: tagConfig, Codec: media.H264, Payload: []byte("a")}, {Track: 1}, {Kind: tagConfig, Codec: media.AV1, Track: 2, Payload: []byte("d")},
		}},
		{"a track of a codec that is not carried", media.Video, testx.Cat(0x96, 0x00, "vvc1", 1, "conf"), []tag{{Track: 1}}},
		{"sound", media.Audio, testx.Cat(0x95, 0x01, "mp4a", 1, "data"), []tag{{Kind: tagFrame, Codec: media.AAC, Track: 1, Payload: []byte("data")}}},
		{"sound of many tracks", media.Audio, testx.Cat(0x95, 0x11, "Opus", 0, 0, 0, 1, "a", 1, 0, 0, 1, "b"), []tag{
			{Kind: tagFrame, Codec: media.Opus, Payload: []byte("a")}, {Kind: tagFrame, Codec: media.Opus, Track: 1, Payload: []byte("b")},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, errs := tracksIn(t, c.kind, c.body)
			require.Empty(t, errs)
			for i := range got {
				if got[i].Kind == tagNothing {
					got[i] = tag{Track: got[i].Track}
				}
			}
			require.Equal(t, c.want, got)
		})
	}
	for name, body := range map[string][]byte{
		"multitrack in multitrack": testx.Cat(0x96, 0x06, "avc1", 1), "unknown way of telling apart": testx.Cat(0x96, 0x31, "avc1", 1), "ModEx within": testx.Cat(0x96, 0x07, "avc1", 1),
		"nothing": testx.Cat(0x96), "half a codec": testx.Cat(0x96, 0x01, "av"),
	} {
		_, err := parseVideo(body)
		require.Equal(t, live.ReasonMediaInvalid, live.ReasonOf(err), name)
	}
	for name, body := range map[string][]byte{
		"longer than the message": testx.Cat(0x96, 0x11, "avc1", 1, 0xFF, 0xFF, 0xFF, "x"), "no track": testx.Cat(0x96, 0x01, "avc1"), "no length": testx.Cat(0x96, 0x11, "avc1", 1, 0),
		"no codec": testx.Cat(0x96, 0x21, "avc"), "short picture": testx.Cat(0x96, 0x01, "avc1", 0, 0),
	} {
		_, errs := tracksIn(t, media.Video, body)
		require.Len(t, errs, 1, name)
		require.Equal(t, live.ReasonMediaInvalid, live.ReasonOf(errs[0]), name)
	}
	_, errs := tracksIn(t, media.Video, testx.Cat(0x96, 0x00, "vvc1", 0, "conf"))
	require.Equal(t, live.ReasonCodecUnsupported, live.ReasonOf(errs[0]), "the default track")
}

// TestMultitrackPublisher is what OBS does: real encodings of three sizes, track 0 in the old form and the others each in a message of its own. The
// layers are the source's pictures, at the source's times.
func TestMultitrackPublisher(t *testing.T) {
	type encoding struct {
		track *media.Track
		units []media.AccessUnit
	}
	var tracks [3]encoding
	var sound *media.Track
	var source []media.AccessUnit
	for i, size := range [][2]int{{640, 360}, {480, 270}, {320, 180}} {
		v, a, units := mediatest.Encoded(t, mediatest.EncodedPattern{Width: size[0], Height: size[1], FPS: media.Rational{Num: 30000, Den: 1001}, GOP: 30, BFrames: 2, NoAudio: i > 0})
		if i == 0 {
			sound, source = a, units
		}
		tracks[i].track = v
		for _, u := range units {
			if u.Kind == media.Video {
				tracks[i].units = append(tracks[i].units, u)
			}
		}
	}

	log := &testx.Buffer{}
	type got struct{ source, layers []live.Event }
	done := make(chan got, 1)
	hub := live.NewHub(live.Options{Authorizer: anyKey{}, Run: func(ctx context.Context, s *live.Session) error {
		var g got
		subs := []*live.Subscriber{s.SubscribeLayers(live.EncoderPolicy), s.Subscribe(live.PackagerPolicy)}
		for i, sub := range subs {
			for {
				e, err := sub.Next(ctx)
				if err != nil {
					break
				}
				if e.Kind == live.EventUnit && i == 0 {
					g.layers = append(g.layers, e)
				} else if e.Kind == live.EventUnit && e.Unit.Kind == media.Video {
					g.source = append(g.source, e)
				}
			}
			sub.Close()
		}
		done <- g
		return nil
	}})
	p, err := hub.Publish(t.Context(), "tower", live.Peer{Protocol: "rtmp", Remote: "192.0.2.1:1"})
	require.NoError(t, err)
	now := time.Now()
	feed := ingest.NewFeed(ingest.FeedOptions{Publisher: p, Log: slog.New(slog.NewTextHandler(log, nil)), Now: func() time.Time { return now }})
	pub := newPublication(p, feed, 1, "", now)
	say := func(typ uint8, ms uint32, body []byte) {
		require.NoError(t, pub.media(chunk.Message{Type: typ, Timestamp: ms, Payload: body}))
	}
	say(chunk.TypeVideo, 0, testx.Cat(0x17, 0, 0, 0, 0, tracks[0].track.Config))
	say(chunk.TypeAudio, 0, testx.Cat(0xAF, 0, sound.Config))
	say(chunk.TypeAudio, 0, testx.Cat(0x95, 0x00, "mp4a", 1, sound.Config))
	for i := 1; i < 3; i++ {
		say(chunk.TypeVideo, 0, testx.Cat(0x96, 0x00, "avc1", i, tracks[i].track.Config))
	}
	say(chunk.TypeVideo, 0, testx.Cat(0x96, 0x00, "vvc1", 9, "conf"))
	n := 0
	for _, u := range source {
		if u.Kind == media.Audio {
			say(chunk.TypeAudio, milliseconds(u.DTS, sound.Timescale), testx.Cat(0xAF, 1, u.Data))
			continue
		}
		for i := range tracks {
			u := tracks[i].units[n]
			head, offset := byte(2), milliseconds(u.PTS, media.VideoTimescale)-milliseconds(u.DTS, media.VideoTimescale)
			if u.RandomAccess {
				head = 1
			}
			cts := []byte{byte(offset >> 16), byte(offset >> 8), byte(offset)}
			if i == 0 {
				say(chunk.TypeVideo, milliseconds(u.DTS, media.VideoTimescale), testx.Cat(int(head<<4|7), 1, cts, u.Data))
			} else {
				say(chunk.TypeVideo, milliseconds(u.DTS, media.VideoTimescale), testx.Cat(int(0x80|head<<4|6), 0x01, "avc1", i, cts, u.Data))
			}
		}
		n++
	}
	require.NoError(t, pub.finish(live.ReasonEndedByOwner))
	require.NoError(t, hub.Shutdown(t.Context()))
	g := <-done

	require.Len(t, g.source, len(tracks[0].units))
	byPTS := map[media.Ticks]bool{}
	for _, e := range g.source {
		byPTS[e.Unit.PTS] = true
		require.Len(t, e.Epoch.Layers, 2)
		require.Equal(t, 480, e.Epoch.Layers[0].Width)
		require.Equal(t, 180, e.Epoch.Layers[1].Height)
	}
	counts, early := [3]int{}, 0
	for _, e := range g.layers {
		u := e.Unit
		i := counts[u.Layer]
		if i == 0 {
			require.True(t, u.RandomAccess)
			early = len(tracks[u.Layer].units) - (len(g.layers) / 2)
		}
		require.True(t, bytes.Equal(tracks[u.Layer].units[i+early].Data, u.Data), "layer %d, picture %d", u.Layer, i)
		require.True(t, byPTS[u.PTS], "layer %d, picture %d is shown when the source's is", u.Layer, i)
		counts[u.Layer]++
	}
	require.Equal(t, [3]int{0, len(g.source), len(g.source)}, counts)
	require.Equal(t, [media.Kinds]bool{true, true}, pub.ignored)
}

func TestMoreTracksThanAreTaken(t *testing.T) {
	hub := ingesttest.NewHub("k")
	pub, err := hub.Admit(t.Context(), "k", live.Peer{})
	require.NoError(t, err)
	taker := &layerTaker{Publication: pub}
	p := newPublication(pub, taker, 1, "", time.Time{})
	config := mediatest.H264Track(640, 360, 30, 1).Config
	for i := range 256 {
		require.NoError(t, p.media(chunk.Message{Type: chunk.TypeVideo, Payload: testx.Cat(0x96, 0x00, "avc1", i, config)}))
	}
	require.Equal(t, uint8(ingest.MaxLayers), taker.most)
	require.Len(t, p.layers, ingest.MaxLayers)
	require.Len(t, pub.Tracks(media.Video), 1)
	require.True(t, p.ignored[media.Video])
	require.False(t, p.ignored[media.Audio])
}

// layerTaker is a feed that takes layers.
type layerTaker struct {
	*ingesttest.Publication
	most  uint8
	units []media.AccessUnit
}

func (l *layerTaker) Layer(n uint8, _ *media.Track) { l.most = max(l.most, n) }
func (l *layerTaker) WriteLayer(au media.AccessUnit) error {
	l.units = append(l.units, au)
	return nil
}

package playlist_test

import (
	"bytes"
	"testing"

	"github.com/Eyevinn/hls-m3u8/m3u8"
	"github.com/stretchr/testify/require"

	"mediad/media"
	"mediad/media/mediatest"
	"mediad/packager/playlist"
)

func TestRenderedMultivariants(t *testing.T) {
	video := func(name string, w, h, bandwidth int) playlist.Variant {
		return playlist.Variant{Name: name, Track: mediatest.H264Track(w, h, 30, 1), Bandwidth: bandwidth, Average: bandwidth * 9 / 10}
	}
	audio := &playlist.Variant{Name: "audio", Track: mediatest.AACTrack(48000, 2), Bandwidth: 130_000, Average: 128_000}
	source := video("source", 1280, 720, 2_800_000)
	for name, m := range map[string]playlist.Multivariant{
		"source_and_sound": {Video: []playlist.Variant{source}, Audio: audio},
		"picture_alone":    {Video: []playlist.Variant{source}},
		"sound_alone":      {Audio: audio},
		"over_dvr":         {Video: []playlist.Variant{source}, Audio: audio, DVR: true},
		"ladder": {
			Video: []playlist.Variant{
				video("source", 1920, 1080, 6_000_000), video("720p", 1280, 720, 2_800_000), video("480p", 854, 480, 1_400_000),
				video("240p", 426, 240, 400_000),
			},
			Audio: audio, Independent: true, Captions: true,
		},
		"tiny_picture": {
			Video: []playlist.Variant{{Name: "source", Track: mediatest.H264Track(320, 180, 0, 0), Bandwidth: 60_000, FrameRate: 29.97, VideoRange: "PQ"}},
			Audio: audio,
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := playlist.RenderMultivariant(m)
			require.NoError(t, err)
			golden(t, "multivariant_"+name+".m3u8", b)
			_, kind, err := m3u8.DecodeFrom(bytes.NewReader(b), true)
			require.NoError(t, err)
			require.Equal(t, m3u8.MASTER, kind)
		})
	}
}

func TestMultivariantNeedsSomethingToSay(t *testing.T) {
	_, err := playlist.RenderMultivariant(playlist.Multivariant{})
	require.Error(t, err)
	_, err = playlist.RenderMultivariant(playlist.Multivariant{Video: []playlist.Variant{{Name: "source", Track: &media.Track{}}}})
	require.Error(t, err)
}

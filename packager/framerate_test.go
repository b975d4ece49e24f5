package packager

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"mediad/media"
	"mediad/media/mediatest"
)

var frameRate = regexp.MustCompile(`,FRAME-RATE=([0-9.]+)`)

// What is said of the frame rate is true of the segments that are listed.
func TestFrameRateIsTrue(t *testing.T) {
	slow, mixed := []media.Ticks{6000}, []media.Ticks{3000, 3000, 6000}
	for _, tc := range []struct {
		name      string
		promised  media.Rational
		fps       media.Rational
		intervals []media.Ticks
		want      string
	}{
		{name: "as promised", promised: media.Rational{Num: 30000, Den: 1001}, fps: media.Rational{Num: 30000, Den: 1001}, want: "29.970"},
		{name: "nothing promised", fps: media.Rational{Num: 30, Den: 1}, want: "30.000"},
		{name: "half of what was promised", promised: media.Rational{Num: 30, Den: 1}, intervals: slow, want: "15.000"},
		{name: "twice what was promised", promised: media.Rational{Num: 30, Den: 1}, fps: media.Rational{Num: 60, Den: 1}, want: "60.000"},
		{name: "varies below what was promised", promised: media.Rational{Num: 30, Den: 1}, intervals: mixed, want: "30.000"},
		{name: "varies above what was promised", promised: media.Rational{Num: 15, Den: 1}, intervals: mixed, want: "24.000"},
		{name: "varies, nothing promised", intervals: mixed, want: "24.000"},
		{name: "varies a little", intervals: []media.Ticks{2700, 3300, 3100}, want: "30.000"},
		{name: "varies at no common rate", intervals: []media.Ticks{1900, 2200, 2600}, want: "41.000"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := newAir(t, Options{})
			tr := [media.Kinds]*media.Track{media.Video: mediatest.H264Track(1280, 720, tc.promised.Num, tc.promised.Den)}
			a.epoch(0, tr)
			if tc.fps.Num == 0 {
				tc.fps = media.Rational{Num: 30, Den: 1}
			}
			a.units(tr, broadcast(tr, 9, mediatest.VideoPattern{FPS: tc.fps, GOP: 30, Intervals: tc.intervals}), 0)
			doc, ok := a.stream.Multivariant(false)
			require.True(t, ok)
			said := ""
			if m := frameRate.FindStringSubmatch(string(doc.Plain)); m != nil {
				said = m[1]
			}
			require.Equal(t, tc.want, said, "%s", doc.Plain)
			a.end()
		})
	}
}

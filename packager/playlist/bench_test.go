package playlist_test

import (
	"testing"

	"mediad/packager/playlist"
)

func benchmarkRender(b *testing.B, skip playlist.Skip, packed bool) {
	spec := live()
	b.ReportAllocs()
	for b.Loop() {
		playlist.NewWindow(spec).Render(skip, packed)
	}
}

func BenchmarkRender(b *testing.B)      { benchmarkRender(b, playlist.SkipNo, false) }
func BenchmarkRenderDelta(b *testing.B) { benchmarkRender(b, playlist.SkipYes, false) }
func BenchmarkRenderGzip(b *testing.B)  { benchmarkRender(b, playlist.SkipNo, true) }

func BenchmarkRenderDVR(b *testing.B) {
	spec := live()
	for i := len(spec.Segments); i < 3600; i++ {
		spec.Segments = append(spec.Segments, segment(i, fullParts))
	}
	b.ReportAllocs()
	for b.Loop() {
		playlist.RenderDVR(spec)
	}
}

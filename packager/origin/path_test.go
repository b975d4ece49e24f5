package origin

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"mediad/packager/playlist"
)

func TestPaths(t *testing.T) {
	for path, want := range map[string]route{
		"/live/main/index.m3u8":                            {kind: Multivariant, stream: "main", file: "index.m3u8", part: -1},
		"/live/main/dvr.m3u8":                              {kind: Multivariant, stream: "main", file: "dvr.m3u8", part: -1},
		"/live/a.B_9-/source/index.m3u8":                   {kind: Playlist, stream: "a.B_9-", rendition: "source", file: "index.m3u8", part: -1},
		"/live/main/audio/dvr.m3u8":                        {kind: DVR, stream: "main", rendition: "audio", file: "dvr.m3u8", part: -1},
		"/live/main/source/init_17.mp4":                    {kind: Init, stream: "main", rendition: "source", file: "init_17.mp4", epoch: 17, part: -1},
		"/live/main/source/seg_17_0.m4s":                   {kind: Segment, stream: "main", rendition: "source", file: "seg_17_0.m4s", epoch: 17, part: -1},
		"/live/main/source/part_17_5_0.m4s":                {kind: Part, stream: "main", rendition: "source", file: "part_17_5_0.m4s", epoch: 17, msn: 5},
		"/live/main/720p/part_1_2_1000000.m4s":             {kind: Part, stream: "main", rendition: "720p", file: "part_1_2_1000000.m4s", epoch: 1, msn: 2, part: 1000000},
		"/vod/0198f2a0-1/index.m3u8":                       {kind: Multivariant, vod: true, stream: "0198f2a0-1", file: "index.m3u8", part: -1},
		"/vod/1/download.mp4":                              {kind: Download, vod: true, stream: "1", file: "download.mp4", part: -1},
		"/vod/1/thumb.jpg":                                 {kind: Thumbnail, vod: true, stream: "1", file: "thumb.jpg", part: -1},
		"/vod/1/storyboard.vtt":                            {kind: Storyboard, vod: true, stream: "1", file: "storyboard.vtt", part: -1},
		"/vod/1/storyboard_12.jpg":                         {kind: Storyboard, vod: true, stream: "1", file: "storyboard_12.jpg", part: -1},
		"/vod/1/720p/index.m3u8":                           {kind: Playlist, vod: true, stream: "1", rendition: "720p", file: "index.m3u8", part: -1},
		"/vod/1/audio/seg_17_9.m4s":                        {kind: Segment, vod: true, stream: "1", rendition: "audio", file: "seg_17_9.m4s", epoch: 17, msn: 9, part: -1},
		"/vod/1/audio/init_17.mp4":                         {kind: Init, vod: true, stream: "1", rendition: "audio", file: "init_17.mp4", epoch: 17, part: -1},
		"/live/" + strings.Repeat("x", 64) + "/index.m3u8": {kind: Multivariant, stream: strings.Repeat("x", 64), file: "index.m3u8", part: -1},
	} {
		got, ok := parsePath(path)
		require.True(t, ok, path)
		require.Equal(t, want, got, path)
	}
	for _, path := range []string{
		"", "/", "/live", "/live/", "/live/main", "/live/main/", "/live//index.m3u8", "/vod/main/dvr.m3u8", "/vod/main/source/part_1_2_3.m4s", "/vod/main/source/dvr.m3u8", "/vod/main/source/thumb.jpg", "/vod/main/storyboard.jpg", "/vod/main/storyboard_01.jpg",
		"/vod/main/storyboard_.jpg", "/vod/main/storyboard_1001.jpg", "/vod//download.mp4", "/live/main/download.mp4", "/live/main/storyboard.vtt", "live/main/index.m3u8",
		"/live/main/index.m3u8/", "/live/main//index.m3u8", "/live/main/source/", "/live/main/source/index.m3u8/", "/live/main/source/x/index.m3u8",
		"/live/./index.m3u8", "/live/../index.m3u8", "/live/main/../index.m3u8", "/live/ma in/index.m3u8", "/live/mäin/index.m3u8",
		"/live/main%00/index.m3u8", "/live/main/INDEX.M3U8", "/live/main/source/thumb.jpg", "/live/main/thumb.jpeg", "/live/" + strings.Repeat("x", 65) + "/index.m3u8",
		"/live/main/source/seg_17_5", "/live/main/source/seg_17_5.mp4", "/live/main/source/seg_17_5.m4s.", "/live/main/source/seg_17.m4s",
		"/live/main/source/seg_017_5.m4s", "/live/main/source/seg_17_05.m4s", "/live/main/source/seg_-1_5.m4s", "/live/main/source/seg_+1_5.m4s",
		"/live/main/source/seg_9223372036854775808_5.m4s", "/live/main/source/seg_1_9223372036854775808.m4s",
		"/live/main/source/seg_99999999999999999999999_5.m4s", "/live/main/source/seg__5.m4s", "/live/main/source/seg_5_.m4s",
		"/live/main/source/part_17_5.m4s", "/live/main/source/part_17_5_.m4s", "/live/main/source/part_17_5_-1.m4s",
		"/live/main/source/part_17_5_00.m4s", "/live/main/source/part_17_5_1000001.m4s", "/live/main/source/part_17_5_1_2.m4s",
		"/live/main/source/init_.mp4", "/live/main/source/init_1.m4s", "/live/main/source/init_1.mp4x", "/live/main/source/init_0x1.mp4",
	} {
		_, ok := parsePath(path)
		require.False(t, ok, path)
	}
}

// FuzzPath checks that a path that is understood has one spelling: written anew from what was understood, it is the same.
func FuzzPath(f *testing.F) {
	for _, s := range []string{
		"/live/main/index.m3u8", "/live/main/source/index.m3u8", "/live/m/s/init_17.mp4", "/live/m/s/seg_17_5.m4s", "/live/m/s/part_17_5_3.m4s",
		"/live/m/s/part_017_5_3.m4s", "/live/../s/dvr.m3u8", "/vod/m/s/seg_1_2.m4s", "/live/m/s/seg_9223372036854775807_9223372036854775807.m4s",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		r, ok := parsePath(path)
		if !ok {
			return
		}
		var file string
		switch r.kind {
		case Init:
			file = string(playlist.AppendInitName(nil, r.epoch))
		case Segment:
			file = string(playlist.AppendSegmentName(nil, r.epoch, r.msn))
		case Part:
			file = string(playlist.AppendPartName(nil, r.epoch, r.msn, r.part))
		default:
			file = r.file
		}
		root := prefix
		if r.vod {
			root = vodPrefix
		}
		again := root + r.stream + "/" + file
		if r.rendition != "" {
			again = root + r.stream + "/" + r.rendition + "/" + file
		}
		if again != path || file != r.file || !validName(r.stream) || strings.Count(path, "/") > 4 {
			t.Fatalf("%q was understood as %+v", path, r)
		}
	})
}

// FuzzDirectives checks that a query that is accepted means what its directives say, and that everything else in it
// means nothing.
func FuzzDirectives(f *testing.F) {
	for _, s := range []string{
		"", "_HLS_msn=5", "_HLS_msn=5&_HLS_part=0", "_HLS_part=1&_HLS_msn=7&_HLS_skip=YES", "_HLS_skip=v2", "token=%zz&_HLS_msn=5", "_HLS_msn=05",
		"_HLS_msn=18446744073709551616", "_HLS_part=1", "_HLS_msn=1&_HLS_msn=1", "&&=&_HLS_&_HLS_msn", "_HLS_msn=1;_HLS_part=2",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, query string) {
		d, reason := parseDirectives(query)
		if reason != "" {
			return
		}
		var own []string
		if d.hasMSN {
			own = append(own, fmt.Sprintf("_HLS_msn=%d", d.msn))
		}
		if d.part >= 0 {
			own = append(own, "_HLS_part="+strconv.Itoa(d.part))
		}
		own = append(own, "_HLS_skip="+[...]string{"NO", "YES", "v2"}[d.skip])
		again, reason := parseDirectives(strings.Join(own, "&"))
		if reason != "" || again != d {
			t.Fatalf("%q is %+v, and its own spelling %v is %+v %s", query, d, own, again, reason)
		}
		if d.part >= 0 && !d.hasMSN {
			t.Fatalf("%q: a part without a segment", query)
		}
	})
}

func TestRanges(t *testing.T) {
	for _, c := range []struct {
		header       string
		size         int64
		from, length int64
		kind         rangeKind
	}{
		{"bytes=0-9", 100, 0, 10, rangeOne},
		{"bytes=90-", 100, 90, 10, rangeOne},
		{"bytes=90-1000", 100, 90, 10, rangeOne},
		{"bytes=-10", 100, 90, 10, rangeOne},
		{"bytes=-1000", 100, 0, 100, rangeOne},
		{"bytes=99-99", 100, 99, 1, rangeOne},
		{"bytes=100-", 100, 0, 0, rangeOutside},
		{"bytes=100-200", 100, 0, 0, rangeOutside},
		{"bytes=-0", 100, 0, 0, rangeOutside},
		{"bytes=-5", 0, 0, 0, rangeOutside},
		{"bytes=0-", 0, 0, 0, rangeOutside},
		{"bytes=0-1,5-6", 100, 0, 0, rangeNone},
		{"bytes=9-0", 100, 0, 0, rangeNone},
		{"bytes=-", 100, 0, 0, rangeNone},
		{"bytes=a-b", 100, 0, 0, rangeNone},
		{"bytes=5", 100, 0, 0, rangeNone},
		{"bytes=+5-6", 100, 0, 0, rangeNone},
		{"bytes=0-99999999999999999999", 100, 0, 0, rangeNone},
		{"lines=0-9", 100, 0, 0, rangeNone},
	} {
		from, length, kind := parseRange(c.header, c.size)
		require.Equal(t, c.kind, kind, c.header)
		if kind == rangeOne {
			require.Equal(t, c.from, from, c.header)
			require.Equal(t, c.length, length, c.header)
		}
	}
}

// FuzzRange checks that a range never reaches outside.
func FuzzRange(f *testing.F) {
	f.Add("bytes=0-9", int64(100))
	f.Add("bytes=-9", int64(3))
	f.Add("bytes=999999999999999999-", int64(3))
	f.Fuzz(func(t *testing.T, header string, size int64) {
		size &= 1<<40 - 1
		from, length, kind := parseRange(header, size)
		if kind == rangeOne && (from < 0 || length < 1 || from+length > size) {
			t.Fatalf("%q of %d: %d bytes from %d", header, size, length, from)
		}
	})
}

// FuzzTokenPath checks that nothing is lost of a path when its token is taken off, and that a handler is given what it understands.
func FuzzTokenPath(f *testing.F) {
	for _, s := range []string{"/t/x/live/main/index.m3u8", "/t/x/vod/1/index.m3u8", "/t//live/main/index.m3u8", "/t/", "/t/x", "/live/main/index.m3u8", "/t/x/t/y/live/m/index.m3u8"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		token, rest, ok := splitToken(path)
		if !ok {
			require.False(t, Serves(path))
			return
		}
		if token != "" {
			require.NotContains(t, token, "/")
			require.Equal(t, path, tokenPrefix+token+rest)
		} else {
			require.Equal(t, path, rest)
		}
		if _, understood := parsePath(rest); understood {
			require.True(t, Serves(path))
		}
	})
}

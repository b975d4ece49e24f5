package hlslint

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the generated files")

// The base sessions are written by code, so that their many numbers agree, and kept as text, so that the cases
// can be read beside them.

const (
	liveFirst   = 100 // MSN
	partsInSeg  = 4
	audioFactor = 48000 / 2 // ticks a part
)

func liveDate(msn int) string {
	return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(msn-liveFirst) * 2 * time.Second).Format("2006-01-02T15:04:05.000Z")
}

// livePlaylist writes the playlist of a rendition whose first segment is first and which ends at msn, part.
func livePlaylist(name string, first, msn, part, skip int) string {
	var b strings.Builder
	w := func(f string, a ...any) { fmt.Fprintf(&b, f+"\n", a...) }
	version := 6
	if skip > 0 {
		version = 9
	}
	w("#EXTM3U\n#EXT-X-VERSION:%d\n#EXT-X-TARGETDURATION:2", version)
	w("#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=12.0,HOLD-BACK=6.0,PART-HOLD-BACK=1.5")
	w("#EXT-X-PART-INF:PART-TARGET=0.5\n#EXT-X-MEDIA-SEQUENCE:%d\n#EXT-X-DISCONTINUITY-SEQUENCE:3", first)
	if skip > 0 {
		w("#EXT-X-SKIP:SKIPPED-SEGMENTS=%d", skip)
	} else {
		w("#EXT-X-MAP:URI=\"init_1.mp4\"")
	}
	parts := func(m, n int) {
		for i := range n {
			independent := ""
			if i == 0 || name == "audio" {
				independent = ",INDEPENDENT=YES"
			}
			w("#EXT-X-PART:DURATION=0.50000,URI=\"part_%d_%d.m4s\"%s", m, i, independent)
		}
	}
	for m := first + skip; m < msn; m++ {
		w("#EXT-X-PROGRAM-DATE-TIME:%s", liveDate(m))
		if end := (msn-m-1)*4 + part; end <= 12 {
			parts(m, partsInSeg)
		}
		w("#EXTINF:2.00000,\nseg_%d.m4s", m)
	}
	if part > 0 {
		w("#EXT-X-PROGRAM-DATE-TIME:%s", liveDate(msn))
		parts(msn, part)
	}
	w("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"part_%d_%d.m4s\"", msn, part)
	lastMSN, lastPart := msn, part-1
	if part == 0 {
		lastMSN, lastPart = msn-1, partsInSeg-1
	}
	for _, o := range []string{"hi", "lo", "audio"} {
		if o != name {
			w("#EXT-X-RENDITION-REPORT:URI=\"../%s/index.m3u8\",LAST-MSN=%d,LAST-PART=%d", o, lastMSN, lastPart)
		}
	}
	return b.String()
}

func liveInit(name string) string {
	switch name {
	case "hi":
		return "init\ntrack id=1 kind=video format=avc1 size=1280x720 scale=90000 profile=64001f\n"
	case "lo":
		return "init\ntrack id=1 kind=video format=avc1 size=640x360 scale=90000 profile=64001e\n"
	}
	return "init\ntrack id=1 kind=audio format=mp4a scale=48000\n"
}

func livePart(name string, msn, part int) string {
	n := (msn-liveFirst)*partsInSeg + part
	switch name {
	case "audio":
		return fmt.Sprintf("frag track=1 tfdt=%d n=24 dur=1000 size=200 pictures=none\n", 1000000+n*audioFactor)
	default:
		size, picture := 1000, "inter"
		if name == "lo" {
			size = 500
		}
		if part == 0 {
			picture = "idr"
		}
		return fmt.Sprintf("frag track=1 tfdt=%d n=15 dur=3000 size=%d pictures=%s\n", 1875000+n*45000, size, picture)
	}
}

func liveSegment(name string, msn int) string {
	var b strings.Builder
	for i := range partsInSeg {
		b.WriteString(livePart(name, msn, i))
	}
	return b.String()
}

// baseLive is six seconds of a low-latency stream with two video renditions and an audio group.
func baseLive() string {
	var b strings.Builder
	add := func(head, body string) { fmt.Fprintf(&b, "-- %s\n%s", head, body) }
	add("multivariant index.m3u8 at=0", `#EXTM3U
#EXT-X-VERSION:6
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="aac",NAME="Sound",LANGUAGE="en",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",URI="audio/index.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=400000,AVERAGE-BANDWIDTH=350000,CODECS="avc1.64001f,mp4a.40.2",RESOLUTION=1280x720,FRAME-RATE=30.000,CLOSED-CAPTIONS=NONE,AUDIO="aac"
hi/index.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=250000,AVERAGE-BANDWIDTH=220000,CODECS="avc1.64001e,mp4a.40.2",RESOLUTION=640x360,FRAME-RATE=30.000,CLOSED-CAPTIONS=NONE,AUDIO="aac"
lo/index.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=95000,AVERAGE-BANDWIDTH=90000,CODECS="mp4a.40.2",CLOSED-CAPTIONS=NONE,AUDIO="aac"
audio/index.m3u8
`)
	names := []string{"hi", "lo", "audio"}
	for _, n := range names {
		add(fmt.Sprintf("playlist %s/index.m3u8 at=0.1", n), livePlaylist(n, 100, 108, 2, 0))
	}
	for _, n := range names {
		add(fmt.Sprintf("init %s/init_1.mp4 at=0.2", n), liveInit(n))
		for m := 105; m < 108; m++ {
			add(fmt.Sprintf("segment %s/seg_%d.m4s at=0.25", n, m), liveSegment(n, m))
		}
		for p := range partsInSeg {
			add(fmt.Sprintf("part %s/part_107_%d.m4s at=0.3", n, p), livePart(n, 107, p))
		}
		for p := range 2 {
			add(fmt.Sprintf("part %s/part_108_%d.m4s at=0.3", n, p), livePart(n, 108, p))
		}
	}
	add("hint hi/part_108_2.m4s at=0.15 took=0.45", livePart("hi", 108, 2))
	for _, n := range names {
		add(fmt.Sprintf("reload %s/index.m3u8?_HLS_msn=108&_HLS_part=2 at=0.2 took=0.4", n), livePlaylist(n, 100, 108, 3, 0))
		add(fmt.Sprintf("part %s/part_108_2.m4s at=0.62", n), livePart(n, 108, 2))
	}
	add("delta hi/index.m3u8?_HLS_msn=108&_HLS_part=3&_HLS_skip=YES at=0.65 took=0.45", livePlaylist("hi", 101, 109, 0, 2))
	for _, n := range names[1:] {
		add(fmt.Sprintf("reload %s/index.m3u8?_HLS_msn=108&_HLS_part=3 at=0.65 took=0.45", n), livePlaylist(n, 101, 109, 0, 0))
	}
	for _, n := range names {
		add(fmt.Sprintf("part %s/part_108_3.m4s at=1.15", n), livePart(n, 108, 3))
		add(fmt.Sprintf("segment %s/seg_108.m4s at=1.2", n), liveSegment(n, 108))
		add(fmt.Sprintf("reload %s/index.m3u8?_HLS_msn=109&_HLS_part=0 at=1.2 took=0.4", n), livePlaylist(n, 101, 109, 1, 0))
		add(fmt.Sprintf("part %s/part_109_0.m4s at=1.65", n), livePart(n, 109, 0))
	}
	add("probe-removed hi/seg_100.m4s at=1.3 status=206", "")
	add("probe-unknown-parameter hi/index.m3u8?hlslint=1 at=0.3", livePlaylist("hi", 100, 108, 2, 0))
	add("probe-head hi/index.m3u8 at=0.3 method=HEAD", "")
	add("probe-part-without-msn hi/index.m3u8?_HLS_part=0 at=0.3 status=400\n< Cache-Control: max-age=8", "bad request\n")
	add("probe-far-msn hi/index.m3u8?_HLS_msn=208 at=0.3 status=400", "bad request\n")
	add("probe-old-msn hi/index.m3u8?_HLS_msn=99 at=0.3", livePlaylist("hi", 100, 108, 2, 0))
	add("probe-missing hi/hlslint-never-existed.m4s at=0.3 status=404", "not found\n")
	add("probe-range hi/seg_107.m4s at=0.3 status=206\n> Range: bytes=0-10\n< Content-Range: bytes 0-10/60000", "0123456789\n")
	add("probe-conditional hi/seg_107.m4s at=0.3 status=304\n> If-None-Match: \"x\"", "")
	return b.String()
}

func vodPlaylist(name string, n int) string {
	var b strings.Builder
	w := func(f string, a ...any) { fmt.Fprintf(&b, f+"\n", a...) }
	w("#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:4\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-MAP:URI=\"%s_init.mp4\"", name)
	for i := range n {
		w("#EXTINF:4.00000,\n%s_%d.m4s", name, i)
	}
	w("#EXT-X-ENDLIST")
	return b.String()
}

// baseVOD is twelve seconds on demand.
func baseVOD() string {
	var b strings.Builder
	add := func(head, body string) { fmt.Fprintf(&b, "-- %s\n%s", head, body) }
	add("multivariant vod/index.m3u8 at=0", `#EXTM3U
#EXT-X-VERSION:6
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="aac",NAME="English",LANGUAGE="en",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",URI="audio.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=1200000,AVERAGE-BANDWIDTH=1100000,CODECS="avc1.64001f,mp4a.40.2",RESOLUTION=1280x720,FRAME-RATE=25.000,CLOSED-CAPTIONS=NONE,AUDIO="aac"
hi.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=180000,AVERAGE-BANDWIDTH=170000,CODECS="avc1.64001f,mp4a.40.2",RESOLUTION=1280x720,FRAME-RATE=25.000,CLOSED-CAPTIONS=NONE,AUDIO="aac"
lo.m3u8
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=100000,AVERAGE-BANDWIDTH=90000,CODECS="avc1.64001f",RESOLUTION=1280x720,URI="trick.m3u8"
`)
	trick := strings.Replace(vodPlaylist("hi", 3), "#EXT-X-PLAYLIST-TYPE", "#EXT-X-I-FRAMES-ONLY\n#EXT-X-PLAYLIST-TYPE", 1)
	for _, n := range []string{"hi", "lo", "audio"} {
		add(fmt.Sprintf("playlist vod/%s.m3u8 at=0.1", n), vodPlaylist(n, 3))
	}
	add("playlist vod/trick.m3u8 at=0.1", trick)
	for _, n := range []string{"hi", "lo", "audio"} {
		init, size := liveInit("hi"), 5000
		if n == "lo" {
			size = 300
		}
		if n == "audio" {
			init = liveInit("audio")
		}
		add(fmt.Sprintf("init vod/%s_init.mp4 at=0.2", n), init)
		for i := range 3 {
			frag := fmt.Sprintf("frag track=1 tfdt=%d n=100 dur=3600 size=%d pictures=idr\n", i*360000, size)
			if n == "audio" {
				frag = fmt.Sprintf("frag track=1 tfdt=%d n=192 dur=1000 size=150 pictures=none\n", i*192000)
			}
			add(fmt.Sprintf("segment vod/%s_%d.m4s at=0.3", n, i), frag)
		}
	}
	return b.String()
}

// baseClassic is a live MPEG-TS stream of one rendition, polled twice.
func baseClassic() string {
	playlist := func(first int) string {
		var b strings.Builder
		w := func(f string, a ...any) { fmt.Fprintf(&b, f+"\n", a...) }
		w("#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:%d\n#EXT-X-DISCONTINUITY-SEQUENCE:%d", first, min(first, 1))
		for m := first; m < first+7; m++ {
			if m == 0 || m == 3 {
				w("#EXT-X-DISCONTINUITY")
			}
			w("#EXT-X-PROGRAM-DATE-TIME:%s", time.Date(2026, 1, 1, 0, 0, 4*m, 0, time.UTC).Format("2006-01-02T15:04:05.000Z"))
			w("#EXTINF:4.000,\n%d.ts", m)
		}
		return b.String()
	}
	var b strings.Builder
	for i := range 4 {
		fmt.Fprintf(&b, "-- playlist ts/index.m3u8 at=%d\n%s", i*4, playlist(i))
	}
	for i := 4; i < 9; i++ {
		fmt.Fprintf(&b, "-- segment ts/%d.ts at=%.1f\nts\n", i, 8.5+float64(i)/10)
	}
	return b.String()
}

func TestBaseSessionsAreUpToDate(t *testing.T) {
	for name, text := range map[string]string{"live": baseLive(), "vod": baseVOD(), "classic": baseClassic()} {
		file := filepath.Join("testdata", "corpus", "base", name+".txt")
		if *update {
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		have, err := os.ReadFile(file)
		if err != nil || string(have) != text {
			t.Errorf("%s differs from what the code writes (%v): run with -update", file, err)
		}
	}
}

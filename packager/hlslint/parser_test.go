package hlslint

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

func TestSecondsAreExact(t *testing.T) {
	for _, c := range []struct {
		in   string
		sign bool
		want time.Duration
		ok   bool
	}{
		{"2", false, 2 * time.Second, true},
		{"2.002", false, 2002 * time.Millisecond, true},
		{"0.333333333333", false, 333333333, true},
		{"-1.5", true, -1500 * time.Millisecond, true},
		{"-1.5", false, 0, false},
		{"", false, 0, false}, {".5", false, 0, false}, {"1.", false, 0, false}, {"1e3", false, 0, false},
		{"99999999999999999999", false, 0, false}, {"9223372036", false, 0, false},
	} {
		if got, ok := parseSeconds(c.in, c.sign); got != c.want || ok != c.ok {
			t.Errorf("%q: %v %v", c.in, got, ok)
		}
	}
}

func TestSumOfPiecesIsSumOfWhole(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		b := make([]byte, r.IntN(2000))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		cut := r.IntN(len(b) + 1)
		if newSum(b[:cut]).join(newSum(b[cut:])) != newSum(b) {
			t.Fatalf("%d bytes cut at %d", len(b), cut)
		}
		if len(b) > 1 && b[0] != b[1] {
			c := append([]byte{b[1], b[0]}, b[2:]...)
			if newSum(c) == newSum(b) {
				t.Fatal("two bytes changed places and the sum is the same")
			}
		}
	}
}

func TestURIsAreResolvedAndRangesContinue(t *testing.T) {
	p := parsePlaylist("https://h.test/a/b.m3u8?token=1", []byte(strings.Join([]string{
		"#EXTM3U", "#EXT-X-VERSION:8", "#EXT-X-TARGETDURATION:2", `#EXT-X-DEFINE:NAME="dir",VALUE="x"`, `#EXT-X-DEFINE:QUERYPARAM="token"`,
		"#EXTINF:2,", "#EXT-X-BYTERANGE:100@50", "{$dir}/s.mp4", "#EXTINF:2,", "#EXT-X-BYTERANGE:10", "{$dir}/s.mp4", "#EXTINF:2,", "/{$token}.mp4"}, "\n")), nil)
	want := []string{"https://h.test/a/x/s.mp4#100@50", "https://h.test/a/x/s.mp4#10@150", "https://h.test/1.mp4"}
	if len(p.segments) != len(want) {
		t.Fatalf("%d segments, %v", len(p.segments), p.faults)
	}
	for i, w := range want {
		if p.segments[i].key() != w {
			t.Errorf("%d: %s", i, p.segments[i].key())
		}
	}
	if len(p.faults) != 1 || p.faults[0].rule != "version-too-low" {
		t.Errorf("%v", p.faults)
	}
}

func TestCodecsAreCompared(t *testing.T) {
	for _, c := range []struct {
		declared, actual string
		near, exact      bool
	}{
		{"avc1.64001F", "avc1.64001f", true, true},
		{"avc1.640028", "avc1.64001f", true, false},
		{"avc1.42e01f", "avc1.64001f", false, false},
		{"mp4a.40.2", "mp4a.40.2", true, true},
		{"mp4a.40.5", "mp4a.40.2", true, false},
		{"mp4a.40.2", "opus", false, false},
		{"hvc1.1.6.L93.B0", "hvc1.1.6.L93.90", true, false},
		{"hev1.1.6.L93.B0", "hvc1.1.6.L93.B0", false, false},
		{"av01.0.04M.08.0.110.01.01.01.0", "av01.0.04M.08", true, true},
	} {
		if near, exact := codecMatch(c.declared, c.actual); near != c.near || exact != c.exact {
			t.Errorf("%s against %s: %v %v", c.declared, c.actual, near, exact)
		}
	}
}

func TestPicturesAreLookedInto(t *testing.T) {
	avc, hevc := track{format: "avc1", lengthSz: 4}, track{format: "hvc1", lengthSz: 4}
	nal := func(b ...byte) []byte { return append([]byte{0, 0, 0, byte(len(b))}, b...) }
	for _, c := range []struct {
		name string
		t    track
		in   []byte
		want picture
	}{
		{"IDR behind parameter sets", avc, append(append(nal(0x67, 1, 2), nal(0x68, 1)...), nal(0x65, 0x88, 0)...), pictureIDR},
		{"P slice", avc, nal(0x41, 0xc0, 0), pictureInter},
		{"I slice", avc, nal(0x41, 0x88, 0), pictureIntra},
		{"I and P slice", avc, append(nal(0x41, 0x88, 0), nal(0x41, 0xc0, 0)...), pictureInter},
		{"only SEI", avc, nal(0x06, 1, 2), pictureUnknown},
		{"a length beyond the end", avc, []byte{0, 0, 9, 9, 0x65}, pictureUnknown},
		{"HEVC IDR", hevc, nal(0x26, 1, 0xaf), pictureIDR},
		{"HEVC CRA", hevc, nal(0x2a, 1, 0xaf), pictureIntra},
		{"HEVC trailing", hevc, nal(0x02, 1, 0xaf), pictureInter},
		{"encrypted", track{format: "avc1", lengthSz: 4, encrypted: true}, nal(0x41, 0xc0, 0), pictureUnknown},
	} {
		if got := c.t.inspect(c.in); got != c.want {
			t.Errorf("%s: %d", c.name, got)
		}
	}
}

package hlslint

import (
	"os"
	"testing"
	"time"
)

// FuzzPlaylist: no playlist makes the parser or the rules fail, and what it says stays within the bounds.
func FuzzPlaylist(f *testing.F) {
	for _, dir := range []string{"base"} {
		for _, file := range corpusFiles(f, dir) {
			raw, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			for i, s := range splitSections(string(raw)) {
				if x := s.exchange(); i < 8 && len(x.Body) > 0 {
					f.Add(x.Body, x.Body)
				}
			}
		}
	}
	f.Add([]byte("#EXTM3U\n#EXT-X-DEFINE:NAME=\"a\",VALUE=\"{$a}{$a}\"\n{$a}\n"), []byte("#EXTM3U\n#EXT-X-PART:DURATION=1,URI=\"a\",BYTERANGE=\"9@18446744073709551615\"\n"))
	f.Add([]byte("#EXTM3U\n#EXT-X-SKIP:SKIPPED-SEGMENTS=18446744073709551615\n"), []byte("#EXT-X-MEDIA-SEQUENCE:18446744073709551615\n#EXTINF:1,\na\n"))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		at := time.Unix(1700000000, 0)
		for _, p := range []*playlist{parsePlaylist("https://h.test/a?x=1", a, nil), parsePlaylist(":", b, map[string]string{"a": "b"})} {
			if len(p.faults) > maxFaults+4 {
				t.Fatalf("%d faults", len(p.faults))
			}
		}
		s := Session{URL: "https://h.test/m.m3u8"}
		for i, body := range [][]byte{a, b, a} {
			for k, purpose := range []Purpose{PurposeMultivariant, PurposePlaylist, PurposeDelta} {
				url := "https://h.test/v.m3u8"
				if purpose == PurposeDelta {
					url += "?_HLS_msn=3&_HLS_skip=YES"
				}
				when := at.Add(time.Duration(i*3+k) * time.Second)
				s.Exchanges = append(s.Exchanges, Exchange{Purpose: purpose, URL: url, Status: 200, Body: body, Sent: when, Done: when})
			}
		}
		for _, x := range JudgeSession(s, JudgeOptions{Authoring: true}).Findings {
			if x.Section == "" || x.Count < 1 || len(x.More) >= maxExamples {
				t.Fatalf("%+v", x)
			}
		}
	})
}

// FuzzMP4: no file makes the readers fail, whatever its boxes claim.
func FuzzMP4(f *testing.F) {
	for _, text := range []string{
		liveInit("hi"), liveInit("audio"), livePart("hi", 105, 0), livePart("audio", 105, 0),
		"init\ntrack id=1 kind=video format=vp09 size=2x2 scale=90000\nfrag track=1 n=2 size=6\n",
		"init\ntrack id=1 kind=video format=avc1 size=2x2 scale=90000\nfrag track=1 n=3 size=9 pictures=idr\nfrag track=1 tfdt=9000 n=1 size=9\n",
	} {
		f.Add(buildMP4(text), []byte{})
		f.Add([]byte(nil), buildMP4(text))
	}
	in := readInit(buildMP4(liveInit("hi")))
	f.Fuzz(func(t *testing.T, init, media []byte) {
		s := readInit(init)
		if len(s.tracks) > maxTracks {
			t.Fatalf("%d tracks", len(s.tracks))
		}
		for _, i := range []*initSection{s, in, nil} {
			m := readMedia(media, i)
			for _, x := range m.tracks {
				x.duration()
				x.presentation()
				if x.samples > maxSamples {
					t.Fatalf("%d samples", x.samples)
				}
			}
		}
	})
}

// FuzzPicture: no sample makes the inspection fail.
func FuzzPicture(f *testing.F) {
	f.Add([]byte{0, 0, 0, 2, 0x65, 0x88}, uint8(0))
	f.Add([]byte{0, 0, 0, 3, 0x26, 1, 0xaf}, uint8(1))
	f.Add([]byte{0x0a, 1, 0, 0x32, 1, 0x10}, uint8(2))
	f.Add([]byte{0x82, 0x49, 0x83, 0x42, 0}, uint8(3))
	f.Fuzz(func(t *testing.T, b []byte, n uint8) {
		formats := []string{"avc1", "hvc1", "av01", "vp09"}
		tr := track{format: formats[int(n)%len(formats)], lengthSz: 4}
		if p := tr.inspect(b); p > pictureIDR {
			t.Fatal(p)
		}
	})
}

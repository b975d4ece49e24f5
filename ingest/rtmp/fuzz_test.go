package rtmp

import (
	"io"
	"net"
	"testing"
	"time"

	"mediad/ingest"
	"mediad/ingest/ingesttest"
	"mediad/internal/testx"
	"mediad/live"
	"mediad/media"
	"mediad/media/amf0"
	"mediad/media/chunk"
	"mediad/media/mediatest"
)

func FuzzConnect(f *testing.F) {
	f.Add(amf0.Append(nil, amf0.Object{{"app", "live"}, {"tcUrl", "rtmp://h/live?a=b"}, {"flashVer", "x"}, {"fourCcList", []any{"hvc1"}}, {"capsEx", 3}}))
	f.Add(testx.Cat(8, 0, 0, 0, 1, 0, 3, "app", 2, 0, 4, "live", 0, 0, 9))
	f.Add(testx.Cat(10, 0xFF, 0xFF, 0xFF, 0xFF))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := parseConnect(1, amf0.NewReader(b))
		if err != nil {
			return
		}
		if len(c.FlashVer) > maxEncoderName || len(c.FourCCs) > maxFourCCs || c.CapsEx < 0 {
			t.Fatalf("%+v", c)
		}
		if target, err := parseTarget(c.App, "name"); err == nil && target.Key == "" {
			t.Fatal("no key, and no error")
		}
		r := amf0.NewReader(c.result())
		for r.More() {
			if _, err := r.Value(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func FuzzMetadata(f *testing.F) {
	f.Add(amf0.Append(nil, "@setDataFrame", "onMetaData", amf0.Object{{"framerate", 29.97}, {"encoder", "x"}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		md, ok, err := parseData(b)
		if err == nil && ok && !md.Video && !md.Audio {
			t.Fatal("neither picture nor sound")
		}
	})
}

// FuzzTags feeds any messages to a publication: nothing but the end of it may come of it, and no access unit without
// bytes.
func FuzzTags(f *testing.F) {
	track := mediatest.H264Track(640, 360, 30, 1)
	f.Add(true, testx.Cat(0x17, 0, 0, 0, 0, track.Config), testx.Cat(0x17, 1, 0, 0, 0, nals(4, idrNAL)))
	f.Add(false, testx.Cat(0xAF, 0, mediatest.AACTrack(48000, 2).Config), testx.Cat(0xAF, 1, "sound"))
	f.Add(true, testx.Cat(0x90, "vp09", 0, 10, 0x82, 1, 1, 1, 0, 0), testx.Cat(0x97, 2, 0, 0, 9, 0x01, "vp09", 0x82, 0x49, 0x83, 0x42, 0, 0x13, 0xF0))
	f.Add(true, testx.Cat(0x96, 0x10, "avc1", 0, 0, 0, len(track.Config), track.Config, 1, 0, 0, len(track.Config), track.Config), testx.Cat(0xA6, 0x01, "avc1", 1, 0, 0, 0, nals(4, idrNAL)))
	f.Add(true, testx.Cat(0x96, 0x20, "vvc1", 0, 0, 0, 1, "x", "avc1", 1, 0, 0, 1, "x"), testx.Cat(0x97, 2, 0, 0, 9, 0x06, 0x03, "av01", 3, "data"))
	f.Add(false, testx.Cat(0x95, 0x10, "Opus", 0, 0, 0, 1, "a", 1, 0, 0, 1, "b"), testx.Cat(0x95, 0x01, "mp4a", 1, "data"))
	f.Add(false, testx.Cat(0x90, "Opus", "OpusHead", 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0), testx.Cat(0x91, "Opus", 0xFC))
	f.Fuzz(func(t *testing.T, isVideo bool, config, frame []byte) {
		hub := ingesttest.NewHub("k")
		pub, err := hub.Admit(t.Context(), "k", live.Peer{})
		if err != nil {
			t.Fatal(err)
		}
		taker := &layerTaker{Publication: pub}
		p := newPublication(pub, taker, 1, "", time.Time{})
		typ := uint8(chunk.TypeAudio)
		if isVideo {
			typ = chunk.TypeVideo
		}
		for _, b := range [][]byte{frame, config, frame} {
			if err := p.media(chunk.Message{Type: typ, Timestamp: 40, Payload: b}); err != nil && live.ReasonOf(err) != live.ReasonCodecUnsupported {
				t.Fatal(err)
			}
		}
		for _, au := range taker.units {
			if len(au.Data) == 0 || au.Layer == 0 || au.Layer > ingest.MaxLayers || au.Kind != media.Video {
				t.Fatalf("a unit of layer %d with %d bytes", au.Layer, len(au.Data))
			}
		}
		for _, kind := range []media.Kind{media.Video, media.Audio} {
			for _, au := range pub.Units(kind) {
				if len(au.Data) == 0 {
					t.Fatal("an access unit without bytes")
				}
			}
		}
	})
}

// FuzzConversation lets a peer say anything after a proper handshake. The server must come to an end with it.
func FuzzConversation(f *testing.F) {
	c := newClient(f)
	open := testx.Cat(
		c.Encode(0, 3, 0, chunk.TypeCommandAMF0, 0, amf0.Append(nil, "connect", 1, amf0.Object{{"app", "live"}})),
		c.Encode(0, 3, 0, chunk.TypeCommandAMF0, 0, amf0.Append(nil, "createStream", 2, nil)),
	)
	publish := c.Encode(0, 3, 0, chunk.TypeCommandAMF0, 1, amf0.Append(nil, "publish", 3, nil, "k", "live"))
	f.Add(testx.Cat(open, publish, c.Encode(0, 6, 0, chunk.TypeVideo, 1, testx.Cat(0x17, 0, 0, 0, 0, c.track.Config))))
	f.Add(testx.Cat(open, publish, c.Encode(0, 3, 0, chunk.TypeCommandAMF0, 0, amf0.Append(nil, "deleteStream", 4, nil, 1)), publish))
	f.Add(testx.Cat(open, c.Encode(0, 3, 0, chunk.TypeAggregate, 1, testx.Cat(8, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0xAF, 0, 0, 0, 12))))
	f.Fuzz(func(t *testing.T, b []byte) {
		hub := ingesttest.NewHub("k")
		o := Options{ReadTimeout: time.Second, HandshakeTimeout: time.Second, Admit: admit(hub)}.withDefaults()
		ours, theirs := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			newConn(&o, ours).run(t.Context())
		}()
		go func() { _, _ = io.Copy(io.Discard, theirs) }()
		_ = theirs.SetWriteDeadline(time.Now().Add(5 * time.Second))
		if _, err := theirs.Write(append([]byte{3}, make([]byte, 3072)...)); err == nil {
			_, _ = theirs.Write(b)
		}
		_ = theirs.Close()
		<-done
	})
}

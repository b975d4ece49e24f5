package rtmp

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"mediad/ingest/ingesttest"
	"mediad/live"
	"mediad/media"
	"mediad/media/mediatest"
)

// FuzzChunkStream feeds any bytes as a chunk stream: it must end in an error, keep its bounds, and give every message
// that it gives in one form only, however the bytes arrive.
func FuzzChunkStream(f *testing.F) {
	a := fill(300, 1)
	var s script
	f.Add(s.chunks(0, 4, 1000, 8, a).chunks(1, 4, 23, 8, a).chunks(2, 4, 21, 8, a).chunks(3, 4, 0, 8, a).b)
	s = script{}
	f.Add(s.chunks(0, 6, 0xFFFFFF, 9, a).chunks(1, 6, 0xFFFFFF, 9, a).chunks(3, 6, 0, 9, nil).b)
	s = script{}
	f.Add(s.control(typeSetChunkSize, be32(1)).control(typeAbort, be32(6)).b)
	f.Fuzz(func(t *testing.T, b []byte) {
		const limit, pending = 4096, 8192
		run := func(r io.Reader) (out []message) {
			c := newChunkReader(bufio.NewReaderSize(r, 16), func(uint8) uint32 { return limit }, pending)
			for {
				m, err := c.next()
				if err != nil {
					return out
				}
				if len(m.Payload) == 0 || len(m.Payload) > limit || len(c.streams) > maxChunkStreams || c.pending < 0 || c.pending > pending {
					t.Fatalf("message of %d bytes, %d chunk streams, %d pending", len(m.Payload), len(c.streams), c.pending)
				}
				out = append(out, m)
			}
		}
		one, two := run(bytes.NewReader(b)), run(&dribble{b})
		if len(one) != len(two) {
			t.Fatalf("%d messages at once, %d in pieces", len(one), len(two))
		}
		for i, m := range one {
			if m.Type != two[i].Type || m.Timestamp != two[i].Timestamp || !bytes.Equal(m.Payload, two[i].Payload) {
				t.Fatalf("message %d differs", i)
			}
			// What we write of it reads back.
			if m.Type == typeSetChunkSize || m.Type == typeAbort {
				continue
			}
			back, err := reader(appendMessage(nil, 3, m, defaultChunkSize)).next()
			if err != nil || !bytes.Equal(back.Payload, m.Payload) || back.Timestamp != m.Timestamp {
				t.Fatalf("message %d does not read back: %v", i, err)
			}
		}
	})
}

// dribble gives its bytes in pieces of 1, 2, 3 …
type dribble struct{ b []byte }

func (d *dribble) Read(p []byte) (int, error) {
	if len(d.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), 1+len(d.b)%5)], d.b)
	d.b = d.b[n:]
	return n, nil
}

func FuzzConnect(f *testing.F) {
	f.Add(appendAMF(nil, amfFields{{"app", "live"}, {"tcUrl", "rtmp://h/live?a=b"}, {"flashVer", "x"}, {"fourCcList", []any{"hvc1"}}, {"capsEx", 3}}))
	f.Add(cat(8, 0, 0, 0, 1, 0, 3, "app", 2, 0, 4, "live", 0, 0, 9))
	f.Add(cat(10, 0xFF, 0xFF, 0xFF, 0xFF))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := parseConnect(1, newAMFReader(b))
		if err != nil {
			return
		}
		if len(c.FlashVer) > maxEncoderName || len(c.FourCCs) > maxFourCCs || c.CapsEx < 0 {
			t.Fatalf("%+v", c)
		}
		if target, err := parseTarget(c.App, "name"); err == nil && target.Key == "" {
			t.Fatal("no key, and no error")
		}
		r := newAMFReader(c.result())
		for r.more() {
			if _, err := r.value(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func FuzzMetadata(f *testing.F) {
	f.Add(appendAMF(nil, "@setDataFrame", "onMetaData", amfFields{{"framerate", 29.97}, {"encoder", "x"}}))
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
	f.Add(true, cat(0x17, 0, 0, 0, 0, track.Config), cat(0x17, 1, 0, 0, 0, nals(4, idrNAL)))
	f.Add(false, cat(0xAF, 0, mediatest.AACTrack(48000, 2).Config), cat(0xAF, 1, "sound"))
	f.Add(true, cat(0x90, "vp09", 0, 10, 0x82, 1, 1, 1, 0, 0), cat(0x97, 2, 0, 0, 9, 0x01, "vp09", 0x82, 0x49, 0x83, 0x42, 0, 0x13, 0xF0))
	f.Add(false, cat(0x90, "Opus", "OpusHead", 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0), cat(0x91, "Opus", 0xFC))
	f.Fuzz(func(t *testing.T, isVideo bool, config, frame []byte) {
		hub := ingesttest.NewHub("k")
		pub, err := hub.Admit(t.Context(), "k", live.Peer{})
		if err != nil {
			t.Fatal(err)
		}
		p := newPublication(pub, pub, 1, "", time.Time{})
		typ := uint8(typeAudio)
		if isVideo {
			typ = typeVideo
		}
		for _, b := range [][]byte{frame, config, frame} {
			if err := p.media(message{Type: typ, Timestamp: 40, Payload: b}); err != nil && live.ReasonOf(err) != live.ReasonCodecUnsupported {
				t.Fatal(err)
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
	open := cat(
		c.encode(0, 3, 0, typeCommandAMF0, 0, appendAMF(nil, "connect", 1, amfFields{{"app", "live"}})),
		c.encode(0, 3, 0, typeCommandAMF0, 0, appendAMF(nil, "createStream", 2, nil)),
	)
	publish := c.encode(0, 3, 0, typeCommandAMF0, 1, appendAMF(nil, "publish", 3, nil, "k", "live"))
	f.Add(cat(open, publish, c.encode(0, 6, 0, typeVideo, 1, cat(0x17, 0, 0, 0, 0, c.track.Config))))
	f.Add(cat(open, publish, c.encode(0, 3, 0, typeCommandAMF0, 0, appendAMF(nil, "deleteStream", 4, nil, 1)), publish))
	f.Add(cat(open, c.encode(0, 3, 0, typeAggregate, 1, cat(8, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0xAF, 0, 0, 0, 12))))
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

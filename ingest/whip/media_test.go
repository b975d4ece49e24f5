package whip

import (
	"encoding/binary"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/stretchr/testify/require"

	"mediad/live"
	"mediad/media"
)

// keeper is a Feed that keeps what it is given.
type keeper struct {
	tracks [media.Kinds][]*media.Track
	none   [media.Kinds]bool
	units  [media.Kinds][]media.AccessUnit
}

func (k *keeper) Track(kind media.Kind, t *media.Track) error {
	k.tracks[kind] = append(k.tracks[kind], t)
	return nil
}
func (k *keeper) NoTrack(kind media.Kind) { k.none[kind] = true }
func (k *keeper) Write(au media.AccessUnit) error {
	k.units[au.Kind] = append(k.units[au.Kind], au)
	return nil
}
func (*keeper) Flush() {}

// bench is a publication under a clock that is set by hand.
type bench struct {
	t    testing.TB
	keep keeper
	at   time.Time
	pub  *publication
}

func newBench(t testing.TB) *bench {
	b := &bench{t: t, at: time.Unix(1000, 0)}
	o := Options{Now: func() time.Time { return b.at }}.withDefaults()
	b.pub = newPublication(&o, nil, &b.keep, offered{video: true, audio: true}, slog.New(slog.DiscardHandler))
	b.at = b.at.Add(time.Second)
	return b
}

func (b *bench) h264(rid string) *videoTrack { return b.pub.addVideo("video/H264", rid, rand.Uint32()) }

func (b *bench) send(v *videoTrack, packets ...*rtp.Packet) {
	b.t.Helper()
	for _, p := range packets {
		require.NoError(b.t, b.pub.packet(v, p, false))
	}
}

// pass lets time pass, with the ticks that a session has.
func (b *bench) pass(d time.Duration) (asked int) {
	b.t.Helper()
	for end := b.at.Add(d); b.at.Before(end); {
		b.at = b.at.Add(tickEvery)
		ssrcs, err := b.pub.tick()
		require.NoError(b.t, err)
		asked += len(ssrcs)
	}
	return asked
}

func newPackets(t testing.TB, f *film) *packets {
	f.load(t)
	return &packets{film: f, start: rand.Uint32(), seq: uint16(rand.Uint32())}
}

// report is a sender report: at wall, the RTP clock said rtp.
func report(wall time.Duration, timestamp uint32) *rtcp.SenderReport {
	const since1900 = 3_900_000_000
	return &rtcp.SenderReport{
		NTPTime: uint64(since1900)<<32 + uint64(wall.Seconds()*(1<<32)), RTPTime: timestamp,
	}
}

// TestSoundAndPictureStayTogether: both clocks begin anywhere, the sound's runs too fast, its packets come earlier than the
// pictures by a time that changes, and sender reports tell the truth each second.
func TestSoundAndPictureStayTogether(t *testing.T) {
	for _, c := range []struct {
		name  string
		ppm   float64       // how much faster the clock of the sound runs
		delay time.Duration // how much later pictures arrive
		wrap  bool
	}{
		{"as they come", 0, 0, false},
		{"pictures are late", 0, 180 * time.Millisecond, false},
		{"sound drifts", 400, 60 * time.Millisecond, false},
		{"sound drifts back, clocks wrap", -400, 120 * time.Millisecond, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			v := b.h264("")
			require.NotNil(t, b.pub.addAudio())
			p := newPackets(t, films[0])
			audioStart := rand.Uint32()
			if c.wrap {
				p.start, audioStart = ^uint32(0)-90000, ^uint32(0)-48000*3
			}
			began := b.at
			rate := 48000 * (1 + c.ppm/1e6)
			type sent struct{ capture, pts time.Duration }
			var newest [media.Kinds]sent
			frames, seconds := 0, 0
			synced := time.Duration(0)
			for b.at.Sub(began) < 120*time.Second {
				now := b.at.Sub(began)
				if s := int(now.Seconds()); s > seconds { // reports, of the time of capture
					seconds = s
					require.NoError(t, b.pub.report(v, report(now, p.start+uint32(now.Seconds()*90000))))
					require.NoError(t, b.pub.report(nil, report(now, audioStart+uint32(int64(now.Seconds()*rate)))))
					synced = now
				}
				for capture := time.Duration(p.n) * time.Second / 30; capture+c.delay <= now; capture = time.Duration(p.n) * time.Second / 30 {
					b.send(v, p.next()...)
					if u := b.keep.units[media.Video]; len(u) > 0 {
						newest[media.Video] = sent{capture, media.VideoTimescale.Duration(u[len(u)-1].PTS)}
					}
				}
				for capture := time.Duration(frames) * 20 * time.Millisecond; capture <= now; capture = time.Duration(frames) * 20 * time.Millisecond {
					a := sound(0, uint16(frames), audioStart+uint32(int64(capture.Seconds()*rate)))
					b.send(nil, a)
					frames++
					u := b.keep.units[media.Audio]
					newest[media.Audio] = sent{capture, media.Timescale(48000).Duration(u[len(u)-1].PTS)}
				}
				// A correction waits for the report that confirms it.
				if synced > 3*time.Second {
					vo, ao := newest[media.Video].pts-newest[media.Video].capture, newest[media.Audio].pts-newest[media.Audio].capture
					if off := vo - ao; off > 40*time.Millisecond || off < -40*time.Millisecond {
						t.Fatalf("after %v picture and sound are %v apart", now, off)
					}
				}
				b.at = b.at.Add(10 * time.Millisecond)
			}
			require.Greater(t, len(b.keep.units[media.Video]), 3500)
			require.Len(t, b.keep.tracks[media.Video], 1)
			require.Len(t, b.keep.tracks[media.Audio], 1)
		})
	}
}

func TestPacketsOutOfOrderMakeTheSamePictures(t *testing.T) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 7))
		b := newBench(t)
		v := b.h264("")
		p := newPackets(t, films[0])
		var all []*rtp.Packet
		for range 45 {
			all = append(all, p.next()...)
		}
		for i := 1; i+1 < len(all); i++ { // the first comes first: nobody knows that it is not
			if j := i + r.IntN(8); j < len(all) {
				all[i], all[j] = all[j], all[i]
			}
		}
		for _, pkt := range all {
			b.send(v, pkt)
			if r.IntN(20) == 0 {
				b.send(v, pkt) // and again
			}
		}
		require.Len(t, b.keep.units[media.Video], 45, "seed %d", seed)
		for i, au := range b.keep.units[media.Video] {
			require.Equal(t, i%15 == 0, au.RandomAccess)
			if i > 0 {
				require.Equal(t, media.Ticks(3000), au.DTS-b.keep.units[media.Video][i-1].DTS)
			}
		}
	}
}

func TestALostPacketCostsAtMostToTheNextKeyFrame(t *testing.T) {
	for lost := range 20 {
		b := newBench(t)
		v := b.h264("")
		p := newPackets(t, films[0])
		var all []*rtp.Packet
		owner := map[uint16]int{}
		for i := range 45 {
			for _, pkt := range p.next() {
				owner[pkt.SequenceNumber] = i
				all = append(all, pkt)
			}
		}
		head := 0 // the first picture arrives: nothing can be said about those of a stream that is not known yet
		for owner[all[head].SequenceNumber] == 0 {
			head++
		}
		at := head + lost*(len(all)-head-1)/20
		frame := owner[all[at].SequenceNumber]
		b.send(v, all[:at]...)
		b.send(v, all[at+1:]...)
		if asked := b.pass(2 * maxVideoWait); frame > 30 && at+1 < len(all) {
			require.Positive(t, asked, "nobody asked for a key frame")
		}
		next := (frame/15 + 1) * 15
		kept := map[media.Ticks]bool{}
		for _, au := range b.keep.units[media.Video] {
			kept[(au.DTS-b.keep.units[media.Video][0].DTS)/3000] = true
		}
		for i := range 45 {
			require.Equal(t, i < frame || i >= next, kept[media.Ticks(i)], "lost of picture %d: picture %d", frame, i)
		}
	}
}

func TestALostPacketThatComesLateCostsNothing(t *testing.T) {
	b := newBench(t)
	v := b.h264("")
	p := newPackets(t, films[0])
	first := p.seq
	var late *rtp.Packet
	for i := range 30 {
		packets := p.next()
		if i == 10 {
			late, packets = packets[0], packets[1:]
		}
		b.send(v, packets...)
		b.pass(tickEvery)
		if i == 13 {
			require.Len(t, b.keep.units[media.Video], 10)
			b.send(v, late)
		}
	}
	require.Len(t, b.keep.units[media.Video], 30)
	require.EqualValues(t, p.seq-first, v.jit.count.packets)
	require.EqualValues(t, 1, v.jit.count.lost, "it was not there when the next came")
	require.Zero(t, v.jit.count.missing)
}

func TestKeyFramesAreAskedForWhenDue(t *testing.T) {
	b := newBench(t)
	v := b.h264("")
	p := newPackets(t, films[0])
	b.send(v, p.next()...)
	require.Zero(t, b.pass(time.Second))
	b.pub.wantKeyFrame()
	require.Equal(t, 1, b.pass(tickEvery), "it was wanted")
	b.pub.wantKeyFrame()
	require.Zero(t, b.pass(keyFramePause-2*tickEvery), "too soon")
	require.Equal(t, 1, b.pass(2*tickEvery))
	for i := 1; i < 15; i++ {
		b.send(v, p.next()...)
		b.pass(150 * time.Millisecond)
	}
	require.Positive(t, b.pass(keyFramePause), "no key frame for over two seconds")
}

func TestTheLargestLayerIsFollowed(t *testing.T) {
	b := newBench(t)
	small, large := b.h264("l"), b.h264("h")
	ps, pl := newPackets(t, films[0]), newPackets(t, films[1])
	step := func(withLarge bool) {
		b.send(small, ps.next()...)
		if withLarge {
			b.send(large, pl.next()...)
		}
		b.at = b.at.Add(time.Second / 30)
	}
	for range 20 {
		step(false)
	}
	require.Equal(t, 320, b.pub.source.track.Width)
	for range 100 {
		step(true)
	}
	require.Equal(t, 320, b.pub.source.track.Width, "it may be gone again at once")
	for range 80 {
		step(true)
	}
	require.Equal(t, 640, b.pub.source.track.Width)
	for range 80 {
		step(false)
	}
	require.Equal(t, 320, b.pub.source.track.Width, "the large one is gone")
	require.Len(t, b.keep.tracks[media.Video], 3)
	units := b.keep.units[media.Video]
	for i, au := range units[1:] {
		require.GreaterOrEqual(t, au.DTS, units[i].DTS) // equal where a layer takes over
	}
}

func TestPicturesOutOfOrderAreDropped(t *testing.T) {
	b := newBench(t)
	v := b.h264("")
	p := newPackets(t, films[0])
	for i := range 10 {
		packets := p.next()
		if i == 5 {
			for _, pkt := range packets {
				pkt.Timestamp -= 3 * 3000
			}
		}
		b.send(v, packets...)
	}
	require.Len(t, b.keep.units[media.Video], 9)
}

// TestSoundBearsPacketsThatOvertakeEachOther: each takes up to 200 ms.
func TestSoundBearsPacketsThatOvertakeEachOther(t *testing.T) {
	b := newBench(t)
	b.pub.addAudio()
	r := rand.New(rand.NewPCG(1, 2))
	arrivals := map[int][]int{} // by millisecond
	const n = 3000
	for i := range n {
		at := i*20 + r.IntN(200)
		arrivals[at] = append(arrivals[at], i)
	}
	for ms := range n*20 + 1000 {
		for _, i := range arrivals[ms] {
			b.send(nil, sound(i, uint16(i), 5))
		}
		b.at = b.at.Add(time.Millisecond)
		if ms%50 == 0 {
			_, err := b.pub.tick()
			require.NoError(t, err)
		}
	}
	units := b.keep.units[media.Audio]
	require.Greater(t, len(units), n*98/100)
	for i, au := range units[1:] {
		require.Greater(t, au.PTS, units[i].PTS)
	}
}

// TestVP8Frames: in one partition or several, with all that a descriptor may have; a lost packet costs up to the next key frame.
func TestVP8Frames(t *testing.T) {
	b := newBench(t)
	v := b.pub.addVideo("video/VP8", "", 1)
	seq := uint16(65533)
	send := func(ts uint32, marker bool, payload ...byte) {
		b.send(v, &rtp.Packet{Header: rtp.Header{SequenceNumber: seq, Timestamp: ts, Marker: marker}, Payload: payload})
		seq++
	}
	key := []byte{0x10, 0x02, 0x00, 0x9D, 0x01, 0x2A, 0x80, 0x02, 0x68, 0x01}
	send(0, true, 0x10, 0x11, 0x02, 0x00)                                             // refers to what came before us
	send(3000, false, append([]byte{0x90, 0xF0, 0x81, 0x23, 5, 0x47}, key[:6]...)...) // a picture ID of 15 bits, TL0PICIDX, TID and KEYIDX
	send(3000, false, append([]byte{0x80, 0x80, 0x05}, key[6:]...)...)
	send(3000, false, 0x11, 0xA1, 0xA2) // the second partition begins
	send(3000, true, 0x01, 0xA3)
	send(6000, true, 0x30, 0x11, 0x02, 0x00, 0xB1) // to which none refers
	units := b.keep.units[media.Video]
	require.Len(t, units, 2)
	require.Equal(t, append(append([]byte{}, key...), 0xA1, 0xA2, 0xA3), units[0].Data)
	require.True(t, units[0].RandomAccess)
	require.Equal(t, []byte{0x11, 0x02, 0x00, 0xB1}, units[1].Data)
	require.False(t, units[1].RandomAccess)
	require.Equal(t, media.Ticks(3000), units[1].PTS-units[0].PTS)
	require.Len(t, b.keep.tracks[media.Video], 1)
	track := b.keep.tracks[media.Video][0]
	require.Equal(t, []any{media.VP8, 640, 360}, []any{track.Codec, track.Width, track.Height})

	send(9000, false, 0x10, 0x11, 0x02, 0x00)
	seq++ // lost
	send(9000, true, 0x00, 0xC1)
	b.pass(time.Second)
	send(12000, true, 0x10, 0x11, 0x02, 0x00)
	require.Len(t, b.keep.units[media.Video], 2)
	key[6] = 0x40
	key[7] = 0x01
	send(15000, true, append([]byte{0x10}, key...)...)
	require.Len(t, b.keep.units[media.Video], 3)
	require.Equal(t, 320, b.keep.tracks[media.Video][1].Width)
}

func TestPaddingIsNoMedia(t *testing.T) {
	b := newBench(t)
	v := b.h264("")
	p := newPackets(t, films[0])
	for range 20 {
		b.send(v, p.next()...)
		b.send(v, p.wrap([][]byte{nil}, p.start+uint32(p.n)*3000)...)
	}
	require.Len(t, b.keep.units[media.Video], 20)
}

func TestASequenceMayBeginAnew(t *testing.T) {
	b := newBench(t)
	v := b.h264("")
	p := newPackets(t, films[0])
	for range 15 {
		b.send(v, p.next()...)
	}
	p.seq -= 20000
	for range 60 {
		b.send(v, p.next()...)
	}
	require.Greater(t, len(b.keep.units[media.Video]), 15+20)
}

func TestRubbishEndsAPublicationWithTime(t *testing.T) {
	b := newBench(t)
	v := b.h264("")
	var err error
	for i := range 2 * maxBadInRow {
		if err = b.pub.packet(v, &rtp.Packet{Header: rtp.Header{SequenceNumber: uint16(i), Timestamp: uint32(i)}, Payload: []byte{0x78, 0xFF, 0xFF, 1, 2}}, false); err != nil {
			break
		}
		if i == 0 {
			b.pass(time.Second)
		}
	}
	require.Equal(t, live.ReasonMediaInvalid, live.ReasonOf(err))
}

func FuzzDepacketize(f *testing.F) {
	p := newPackets(f, films[0])
	var seed []byte
	for i, pkt := range p.next() {
		if i < 4 {
			payload := pkt.Payload[:min(len(pkt.Payload), 60)]
			seed = append(append(seed, byte(i), byte(i/3), byte(len(payload)), 0), payload...)
		}
	}
	for codec := range byte(5) {
		f.Add(codec, seed)
	}
	f.Add(byte(0), []byte{1, 1, 5, 0, 0x78, 0, 2, 0x67, 0x42})
	f.Add(byte(1), []byte{1, 1, 6, 0, 0x18, 0x0A, 0x0B, 0, 0, 0})
	f.Add(byte(2), []byte{1, 1, 6, 0, 0x8C, 0x80, 0x01, 0x82, 0x49, 0x83})
	f.Add(byte(3), []byte{
		1, 0, 13, 0, 0x90, 0x80, 0x05, 0x10, 0x02, 0, 0x9D, 0x01, 0x2A, 0x80, 2, 0x68, 1,
		2, 1, 3, 0, 0x11, 0xAA, 0xBB,
		3, 3, 4, 0, 0x10, 0x11, 2, 0,
	})
	f.Fuzz(func(t *testing.T, codec byte, data []byte) {
		b := &bench{t: t, at: time.Unix(1000, 0)}
		o := Options{Now: func() time.Time { return b.at }, MaxFrame: 1 << 16}.withDefaults()
		b.pub = newPublication(&o, nil, &b.keep, offered{video: true, audio: true}, slog.New(slog.DiscardHandler))
		b.pub.addAudio()
		var v *videoTrack
		if codec %= 5; codec < 4 {
			v = b.pub.addVideo([]string{"video/H264", "video/AV1", "video/VP9", "video/VP8"}[codec], "", 1)
		}
		// Each packet: sequence number, flags and timestamp, length, payload.
		for len(data) >= 4 {
			n := min(int(binary.LittleEndian.Uint16(data[2:])), len(data)-4)
			pkt := &rtp.Packet{Header: rtp.Header{SequenceNumber: uint16(data[0]), Marker: data[1]&1 != 0, Timestamp: uint32(data[1]>>1) * 3000}, Payload: data[4 : 4+n]}
			data = data[4+n:]
			if err := b.pub.packet(v, pkt, false); err != nil {
				if live.ReasonOf(err) == live.ReasonIngestError {
					t.Fatal(err)
				}
				return
			}
		}
		b.at = b.at.Add(time.Second)
		if _, err := b.pub.tick(); live.ReasonOf(err) == live.ReasonIngestError {
			t.Fatal(err)
		}
		for _, au := range b.keep.units[media.Video] {
			if len(au.Data) > 1<<16 {
				t.Fatalf("a picture of %d bytes", len(au.Data))
			}
		}
	})
}

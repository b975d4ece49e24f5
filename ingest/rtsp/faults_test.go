package rtsp

import (
	"bufio"
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/pion/rtp"
	"github.com/stretchr/testify/require"

	"mediad/live"
	"mediad/media"
	"mediad/media/mediatest"
)

func itoa(n int) string { return strconv.Itoa(n) }

// nobody may play.
type nobody struct{}

func (nobody) Open(context.Context, *gortsplib.Server, PlayRequest) (Play, error) {
	return nil, live.Refuse(live.ReasonNotLive, nil)
}

// fakeTranscoder gives each packet of sound out as a frame of AAC.
type fakeTranscoder struct {
	err  error
	mu   sync.Mutex
	got  []PCM
	done int
}

type fakeSound struct {
	of  *fakeTranscoder
	in  chan media.Ticks
	out sync.WaitGroup
}

func (f *fakeTranscoder) Transcode(p PCM, out func(*media.Track, media.AccessUnit)) (Sound, error) {
	if f.err != nil {
		return nil, f.err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.got = append(f.got, p)
	s := &fakeSound{of: f, in: make(chan media.Ticks, 100)}
	track := mediatest.AACTrack(48000, 1)
	s.out.Go(func() {
		for pts := range s.in {
			at := media.Rescale(pts, media.Timescale(p.Rate), track.Timescale)
			out(track, media.AccessUnit{Kind: media.Audio, DTS: at, PTS: at, RandomAccess: true, Data: []byte{1, 2, 3}})
		}
	})
	return s, nil
}

func (s *fakeSound) Write(pts media.Ticks, _ []byte) error {
	select {
	case s.in <- pts:
	default:
	}
	return nil
}

func (s *fakeSound) Close() {
	close(s.in)
	s.out.Wait()
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	s.of.done++
}

// exchange sends a request as it stands and returns the response's status line.
func (r *rig) exchange(t *testing.T, request []byte) string {
	t.Helper()
	nc, err := net.Dial("tcp", r.addr)
	require.NoError(t, err)
	defer nc.Close()
	require.NoError(t, nc.SetDeadline(time.Now().Add(10*time.Second)))
	_, err = nc.Write(request)
	require.NoError(t, err)
	line, err := bufio.NewReader(nc).ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSpace(line)
}

func TestWhatIsRefusedIsToldWhy(t *testing.T) {
	r := newRig(t, Options{MaxSDP: 2000})
	require.Contains(t, r.exchange(t, announce("k/e/y", sdps[0], 0)), "404")
	require.Contains(t, r.exchange(t, announce("key", sdps[5], 0)), "415 "+live.ReasonCodecUnsupported.Text())
	require.Contains(t, r.exchange(t, announce("key", sdps[0]+strings.Repeat("a=x:y\r\n", 500), 0)), "400", "longer than MaxSDP")
	require.Contains(t, r.exchange(t, announce("key", sdps[4]+strings.Repeat("m=audio 0 RTP/AVP 0\r\n", maxMedias), 0)), "400", "too many tracks")
	require.Contains(t, r.exchange(t, []byte("DESCRIBE rtsp://x/live/key RTSP/1.0\r\nCSeq: 1\r\n\r\n")), "404", "nobody plays here")
	require.Contains(t, r.exchange(t, []byte("TEARDOWN rtsp://x/live/key RTSP/1.0\r\nCSeq: 1\r\nSession: abc\r\n\r\n")), "454", "no such session")
	c := &client{t: t, addr: r.addr}
	defer c.Close()
	require.ErrorContains(t, c.by(gortsplib.TransportTCP).Publish(t.Context(), "wrong-key"), "401 ("+live.ReasonStreamKeyInvalid.Text())
	require.NotContains(t, r.log.String(), "wrong-key", "keys are not logged")
	// Without UDP a client is told, and can take TCP.
	c = &client{t: t, addr: r.addr}
	defer c.Close()
	require.ErrorContains(t, c.by(gortsplib.TransportUDP).Publish(t.Context(), "good-key"), "461")
}

func TestConnectionsHaveLimits(t *testing.T) {
	r := newRig(t, Options{MaxConns: 2, IdleTimeout: 300 * time.Millisecond})
	var all []net.Conn
	for range 3 {
		nc, err := net.Dial("tcp", r.addr)
		require.NoError(t, err)
		defer nc.Close()
		require.NoError(t, nc.SetDeadline(time.Now().Add(10*time.Second)))
		all = append(all, nc)
	}
	for _, nc := range []net.Conn{all[2], all[0], all[1]} { // over the limit; idle
		_, err := nc.Read(make([]byte, 1))
		require.Error(t, err)
		var timeout net.Error
		require.False(t, errors.As(err, &timeout) && timeout.Timeout(), "the server did not close it")
	}
	require.Contains(t, r.log.String(), "connections refused")
	c := &client{t: t, addr: r.addr}
	defer c.Close()
	require.NoError(t, c.by(gortsplib.TransportTCP).Publish(t.Context(), "good-key"))
	require.NoError(t, c.Send(t.Context()))
	r.hub.Next(t, 0).AwaitUnits(t, media.Video, 5)
}

func TestG711IsTranscodedOrLeftOut(t *testing.T) {
	for name, tc := range map[string]*fakeTranscoder{"transcoded": {}, "fails": {err: errors.New("no encoder")}, "none": nil} {
		t.Run(name, func(t *testing.T) {
			o := Options{}
			if tc != nil {
				o.Transcoder = tc
			}
			r := newRig(t, o)
			s := newRTPSource(t, smallClip(t))
			g := &format.G711{PayloadTyp: 8, SampleRate: 8000, ChannelCount: 1}
			s.medi[media.Audio] = &description.Media{Type: description.MediaTypeAudio, Formats: []format.Format{g}}
			tcp := gortsplib.TransportTCP
			c := &gortsplib.Client{Transport: &tcp}
			require.NoError(t, c.StartRecording("rtsp://"+r.addr+"/live/good-key", s.desc()))
			defer c.Close()
			seq := uint16(0)
			for range 60 {
				kind, pkts, pts := s.next()
				if kind == media.Audio {
					seq++
					pkts = []*rtp.Packet{{Header: rtp.Header{Version: 2, PayloadType: 8, SequenceNumber: seq, SSRC: 1,
						Timestamp: uint32(media.Timescale(8000).Ticks(pts))}, Payload: make([]byte, 160)}}
				}
				for _, p := range pkts {
					require.NoError(t, c.WritePacketRTP(s.medi[kind], p))
				}
			}
			pub := r.hub.Next(t, 0)
			pub.AwaitUnits(t, media.Video, 10)
			if name == "transcoded" {
				pub.AwaitUnits(t, media.Audio, 10)
				require.Equal(t, []PCM{{Rate: 8000, Channels: 1}}, tc.got)
				require.Equal(t, media.AAC, pub.Tracks(media.Audio)[0].Codec)
			} else {
				require.True(t, pub.Without(media.Audio))
				r.log.Await(t, "the sound is left out")
			}
			c.Close()
			require.Equal(t, live.ReasonPublisherStopped, pub.AwaitClosed(t))
			if name == "transcoded" {
				require.Equal(t, 1, tc.done)
			}
		})
	}
}

func TestLATM(t *testing.T) {
	asc := &mpeg4audio.AudioSpecificConfig{Type: 2, SampleRate: 48000, ChannelConfig: 2}
	config := &mpeg4audio.StreamMuxConfig{Programs: []*mpeg4audio.StreamMuxConfigProgram{{
		Layers: []*mpeg4audio.StreamMuxConfigLayer{{AudioSpecificConfig: asc, LatmBufferFullness: 255}}}}}
	for _, inBand := range []bool{false, true} {
		f := &format.MPEG4AudioLATM{PayloadTyp: 96, CPresent: inBand}
		if !inBand {
			f.StreamMuxConfig = config
		}
		a, err := newAudioTrack(f)
		require.NoError(t, err)
		require.Equal(t, inBand, a.track == nil)
		frame := []byte{1, 2, 3, 4}
		e := mpeg4audio.AudioMuxElement{MuxConfigPresent: inBand, StreamMuxConfig: config, Payloads: [][][][]byte{{{frame}}}}
		data, err := e.Marshal()
		require.NoError(t, err)
		frames, track, err := a.decode(&rtp.Packet{Header: rtp.Header{Marker: true}, Payload: data})
		require.NoError(t, err)
		require.Equal(t, [][]byte{frame}, frames)
		if inBand {
			require.NotNil(t, track)
			require.EqualValues(t, 90000, a.rate)
		} else {
			track = a.track
		}
		require.Equal(t, 48000, track.SampleRate)
	}
}

func TestPictureThatLostAPacketIsLeftOut(t *testing.T) {
	s := newRTPSource(t, smallClip(t))
	v, err := newVideoTrack(s.medi[media.Video].Formats[0])
	require.NoError(t, err)
	whole, damaged, dropped := 0, 0, false
	for i := 0; i < 60; i++ {
		kind, pkts, _ := s.next()
		if kind != media.Video {
			continue
		}
		if len(pkts) > 1 && whole > 0 && !dropped {
			pkts, dropped = append(pkts[:0:0], pkts[1:]...), true
		}
		for _, p := range pkts {
			switch pic, err := v.push(p); {
			case err != nil:
			case pic.damaged:
				damaged++
			default:
				whole++
			}
		}
	}
	require.True(t, dropped)
	require.LessOrEqual(t, damaged, 1)
	require.Greater(t, whole, 15)
}

func TestMarkersMayBeMissing(t *testing.T) {
	s := newRTPSource(t, smallClip(t))
	v, err := newVideoTrack(s.medi[media.Video].Formats[0])
	require.NoError(t, err)
	var want, got []uint32
	for len(want) < 20 {
		kind, pkts, _ := s.next()
		if kind != media.Video {
			continue
		}
		want = append(want, pkts[0].Timestamp)
		for _, p := range pkts {
			p.Marker = false
			if pic, err := v.push(p); err == nil {
				require.False(t, pic.damaged)
				got = append(got, pic.timestamp)
			}
		}
	}
	require.Equal(t, want[:len(want)-1], got)
}

package whep

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"
	"github.com/stretchr/testify/require"

	"mediad/live"
)

// TestResendingIsBounded: who asks for everything again and again gets what a burst loses and then a share.
func TestResendingIsBounded(t *testing.T) {
	v, w := lone(t, Options{})
	for n := range history {
		require.NoError(t, v.video.write(make([]byte, 100), uint32(n), true, false))
	}
	first := w.headers[0].SequenceNumber
	var all rtcp.TransportLayerNack
	for n := 0; n < history; n += 17 {
		all.Nacks = append(all.Nacks, rtcp.NackPair{PacketID: first + uint16(n), LostPackets: 0xffff})
	}
	for range 100 {
		v.video.resend(&all, time.Second)
	}
	require.Len(t, w.headers, history+maxResend)
	for ms := range 1000 {
		v.video.resend(&all, time.Second+time.Duration(ms)*time.Millisecond)
	}
	require.InDelta(t, history+maxResend+resendRate, len(w.headers), 10)
	require.EqualValues(t, len(w.headers)-history, v.video.resent)
}

// TestKeyFramesSayAtOnce: peers that know the extension are told with each key frame to show pictures as they come.
func TestKeyFramesSayAtOnce(t *testing.T) {
	v, w := lone(t, Options{})
	id := uint8(5)
	require.Less(t, int(id), 15, "the one-byte form")
	knows := knowing{bound{w}, []webrtc.RTPHeaderExtensionParameter{{URI: playoutDelay, ID: int(id)}}}
	_, err := v.video.Bind(knows)
	require.NoError(t, err)
	require.NoError(t, v.video.write([]byte{1}, 0, true, true))
	require.NoError(t, v.video.write([]byte{1}, 1, true, false))
	v.video.resend(&rtcp.TransportLayerNack{Nacks: []rtcp.NackPair{{PacketID: w.headers[0].SequenceNumber}}}, 0)
	require.Equal(t, atOnce, w.headers[0].GetExtension(id))
	require.False(t, w.headers[1].Extension)
	require.Equal(t, atOnce, w.headers[2].GetExtension(id))
	_, err = v.video.Bind(bound{w})
	require.NoError(t, err)
	require.NoError(t, v.video.write([]byte{1}, 2, true, true))
	require.False(t, w.headers[3].Extension, "a peer that does not know it")
}

// knowing is bound to a peer that knows header extensions.
type knowing struct {
	bound
	extensions []webrtc.RTPHeaderExtensionParameter
}

func (k knowing) HeaderExtensions() []webrtc.RTPHeaderExtensionParameter { return k.extensions }

// script is what a peer reports.
type script struct{ reads []func([]byte) (int, error) }

func (s *script) Read(b []byte) (int, interceptor.Attributes, error) {
	if len(s.reads) == 0 {
		return 0, nil, io.EOF
	}
	read := s.reads[0]
	s.reads = s.reads[1:]
	n, err := read(b)
	return n, nil, err
}

// TestReportsThatCannotBeRead take nothing from those that follow, unless there is nothing else.
func TestReportsThatCannotBeRead(t *testing.T) {
	bad := func([]byte) (int, error) { return 0, errors.New("a report of nonsense") }
	short := func(b []byte) (int, error) { return copy(b, "no"), nil }
	loss := func(b []byte) (int, error) {
		pli, err := (&rtcp.PictureLossIndication{MediaSSRC: 7}).Marshal()
		return copy(b, pli), err
	}
	v, _ := lone(t, Options{})
	v.readReports(&script{[]func([]byte) (int, error){bad, short, loss, bad, loss}}, v.video)
	require.EqualValues(t, 2, v.losses.Load())

	var nonsense script
	for range maxBadReports + 1 {
		nonsense.reads = append(nonsense.reads, bad)
	}
	nonsense.reads = append(nonsense.reads, loss)
	v.readReports(&nonsense, v.video)
	require.EqualValues(t, 2, v.losses.Load())
	<-v.ending
	require.Equal(t, live.ReasonProtocolError, live.ReasonOf(v.cause))
}

//go:build bench

package bench

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"
	"github.com/pion/webrtc/v4/pkg/media"
	"github.com/pion/webrtc/v4/pkg/media/h264reader"
	"github.com/pion/webrtc/v4/pkg/media/oggreader"
	"github.com/stretchr/testify/require"
)

// TestPublisherMinuteByProtocol: what a server takes for the reference stream by each protocol while it makes Low-Latency HLS of it, and
// nobody watches. By WHIP sound is Opus, of which mediad's FFmpeg makes AAC for HLS: that child counts, and is left out in a row of its own.
func TestPublisherMinuteByProtocol(t *testing.T) {
	const window = 30 * time.Second
	ours := map[string]float64{}
	for _, name := range []string{"mediad all", "mediamtx all"} {
		for _, protocol := range []string{"RTMP", "RTSP", "SRT", "WHIP"} {
			t.Run(name+" "+protocol, func(t *testing.T) {
				for _, p := range peers(t, name) {
					p.Name = strings.TrimSuffix(name, " all")
					publishBy(t, p, protocol)
					waitPlaylist(t, p, "bench")
					pass(5 * time.Second)
					all, own := p.CPU(), p.OwnCPU()
					pass(window)
					show := func(what string, used time.Duration) {
						minute := used.Seconds() * float64(time.Minute/window)
						if p.Name == "mediad" {
							ours[what] = minute
						}
						row(what, p, minute, "s", ours[what])
					}
					show("CPU a minute published by "+protocol, p.CPU()-all)
					if protocol == "WHIP" {
						show("the same without children", p.OwnCPU()-own)
					}
				}
			})
		}
	}
}

// publishBy sends the sample in a loop at its own pace until the test ends.
func publishBy(t *testing.T, p *Peer, protocol string) {
	t.Helper()
	if protocol == "WHIP" {
		publishWHIP(t, p.WebRTC("whip", "bench"))
		return
	}
	file, err := sample()
	require.NoError(t, err)
	to := map[string][]string{
		"RTMP": {"-f", "flv", p.RTMP + "bench"},
		"RTSP": {"-f", "rtsp", "-rtsp_transport", "tcp", p.RTSP + "bench"},
		"SRT":  {"-f", "mpegts", p.SRT},
	}[protocol]
	c, err := Start("ffmpeg", nil, "ffmpeg", append([]string{"-hide_banner", "-loglevel", "error", "-re", "-stream_loop", "-1", "-i", file, "-c", "copy"}, to...)...)
	require.NoError(t, err)
	t.Cleanup(c.Stop)
}

// clip is the sample as WebRTC has it: pictures with their parameter sets, and Opus.
var clip = sync.OnceValues(func() (c struct{ video, audio [][]byte }, err error) {
	file, err := sample()
	if err != nil {
		return c, err
	}
	h264, ogg := filepath.Join(filepath.Dir(file), "sample.h264"), filepath.Join(filepath.Dir(file), "sample.ogg")
	out, err := exec.Command("ffmpeg", "-y", "-v", "error", "-i", file, "-an", "-c:v", "copy", "-bsf:v", "h264_mp4toannexb", h264, "-vn", "-c:a", "libopus", "-b:a", "128k",
		"-frame_duration", "20", "-page_duration", "20000", ogg).CombinedOutput()
	if err != nil {
		return c, fmt.Errorf("ffmpeg: %w: %s", err, out)
	}
	if c.video, err = pictures(h264); err != nil {
		return c, err
	}
	c.audio, err = packets(ogg)
	return c, err
})

func pictures(file string) (all [][]byte, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := h264reader.NewReader(f)
	if err != nil {
		return nil, err
	}
	var now []byte
	for {
		nal, err := r.NextNAL()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		now = append(append(now, 0, 0, 0, 1), nal.Data...)
		if nal.UnitType == h264reader.NalUnitTypeCodedSliceIdr || nal.UnitType == h264reader.NalUnitTypeCodedSliceNonIdr {
			all, now = append(all, now), nil // one slice a picture
		}
	}
}

func packets(file string) (all [][]byte, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, _, err := oggreader.NewWith(f)
	if err != nil {
		return nil, err
	}
	for {
		page, _, err := r.ParseNextPage()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		if !strings.HasPrefix(string(page), "OpusTags") {
			all = append(all, page)
		}
	}
}

// publishWHIP sends the sample from this process until the test ends.
func publishWHIP(t *testing.T, url string) {
	t.Helper()
	c, err := clip()
	require.NoError(t, err)
	pc, err := webrtc.NewPeerConnection(webrtc.Configuration{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = pc.Close() })
	add := func(mime, id string) *webrtc.TrackLocalStaticSample {
		track, err := webrtc.NewTrackLocalStaticSample(webrtc.RTPCodecCapability{MimeType: mime}, id, "bench")
		require.NoError(t, err)
		sender, err := pc.AddTrack(track)
		require.NoError(t, err)
		go func() { // answers what is asked for, until the connection is closed
			b := make([]byte, 1500)
			for {
				if _, _, err := sender.Read(b); err != nil {
					return
				}
			}
		}()
		return track
	}
	video, audio := add(webrtc.MimeTypeH264, "video"), add(webrtc.MimeTypeOpus, "audio")
	connected := make(chan struct{})
	pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		if s == webrtc.PeerConnectionStateConnected {
			close(connected)
		}
	})
	offer, err := pc.CreateOffer(nil)
	require.NoError(t, err)
	gathered := webrtc.GatheringCompletePromise(pc)
	require.NoError(t, pc.SetLocalDescription(offer))
	<-gathered
	r, err := http.Post(url, "application/sdp", strings.NewReader(pc.LocalDescription().SDP))
	require.NoError(t, err)
	defer r.Body.Close()
	answer, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, r.StatusCode, string(answer))
	require.NoError(t, pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: string(answer)}))
	select {
	case <-connected:
	case <-time.After(20 * time.Second):
		t.Fatal("not connected")
	}
	end := make(chan struct{})
	var sending sync.WaitGroup
	send := func(track *webrtc.TrackLocalStaticSample, all [][]byte, each time.Duration) {
		sending.Go(func() {
			tick := time.NewTicker(each)
			defer tick.Stop()
			for n := 0; ; n++ {
				if err := track.WriteSample(media.Sample{Data: all[n%len(all)], Duration: each}); err != nil {
					return
				}
				select {
				case <-tick.C:
				case <-end:
					return
				}
			}
		})
	}
	send(video, c.video, time.Second/30)
	send(audio, c.audio, 20*time.Millisecond)
	t.Cleanup(func() { close(end); sending.Wait() })
}

package live

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestEncodersAreKnownByWhatTheySay(t *testing.T) {
	for _, c := range []struct {
		protocol, name string
		want           encoders
	}{
		{"rtmp", "obs-output module (libobs version 29.0.2)", obsStudio},
		{"whip", "Mozilla/5.0 (OBS-Studio/30.2.3; Linux x86_64; en-US)", obsStudio},
		{"rtmp", "FMLE/3.0 (compatible; Lavf60.3.100)", ffmpegTool},
		{"rtsp", "Lavf60.3.100", ffmpegTool},
		{"rtmp", "FMLE/3.0 (compatible; FMSc/1.0)", anyEncoder},
		{"whip", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36", browser},
		{"whip", "curl/8.5.0", anyEncoder},
		{"rtsp", "camera", camera},
		{"rtsps", "", camera},
		{"rtsp", "GStreamer/1.22.0", anyEncoder},
		{"srt", "", fieldEncoder},
		{"", "", anyEncoder},
	} {
		require.Equal(t, c.want, encoderOf(c.protocol, c.name), "%v", c)
	}
}

// TestEveryAdviceIsForWhoeverPublishes: nobody is sent to the settings of a program that he does not use.
func TestEveryAdviceIsForWhoeverPublishes(t *testing.T) {
	for _, a := range []*advice{
		&adviceGOP, &adviceOpen, &adviceTwo, &adviceAudio, &adviceVideo, &adviceUneven, &adviceBFrames, &adviceLow, &adviceRate, &adviceFPS,
		&adviceDrift, &adviceRepair, &adviceLoss, &adviceLossy, &adviceShed, &adviceLadder, &adviceNoHLS, &adviceNoPicture,
	} {
		for kind := range kindsOfEncoders {
			text := a.to(kind)
			require.True(t, strings.HasPrefix(text, a.is+" ") && strings.HasSuffix(text, "."), "%q", text)
			require.Greater(t, len(text), len(a.is)+10, "%q says what to do", text)
			for _, program := range []struct {
				kind encoders
				name string
			}{{obsStudio, "In OBS:"}, {obsStudio, "in OBS:"}, {ffmpegTool, "In FFmpeg:"}, {ffmpegTool, "-force_key_frames"}, {camera, "camera's settings"}} {
				if kind != anyEncoder && kind != program.kind {
					require.NotContains(t, text, program.name, "for %d", kind)
				}
			}
		}
	}
}

func TestAdviceFollowsThePublisher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := running(t, Options{})
		for _, c := range []struct {
			peer Peer
			want string
		}{
			{Peer{Protocol: "whip", Remote: "192.0.2.1:1", Encoder: "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"}, "reload the page"},
			{Peer{Protocol: "rtsp", Remote: "192.0.2.2:554", Encoder: "camera"}, "I-frame interval"},
			{Peer{Protocol: "srt", Remote: "192.0.2.3:1"}, "In the encoder's settings"},
			{ffmpeg, "-g with"},
			{obs, "Settings → Output → Advanced"},
		} {
			e := connect(t, h, "a", c.peer).start(videoOnly())
			e.mux(3*time.Second, 1000, true, false)
			alerts := statusOf(h).Alerts
			require.Equal(t, []AlertCode{AlertGOPTooLong}, codes(statusOf(h)))
			require.Contains(t, alerts[0].Advice, c.want)
			e.p.SetEncoder("obs-output module (libobs version 29.0.2)")
			require.Contains(t, statusOf(h).Alerts[0].Advice, "In OBS", "what it says of itself later counts")
			require.NoError(t, h.End("a", ReasonEndedByOwner))
		}
	})
}

package rtc

import (
	"fmt"

	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/report"
	"github.com/pion/interceptor/pkg/twcc"
	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"
)

// H264 and Opus as every browser and encoder speaks them; with packetization mode 1 a picture may be cut into packets. The
// peer's profile may be any: what pion finds no exact match for it takes by name.
const (
	h264Format = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id="
	opusFormat = "minptime=10;useinbandfec=1"
)

// Payload types of pictures, the first of them for H.264. The next one to each is that of its packets when they are sent again.
const (
	h264Type = 96
	av1Type  = 112
	vp9Type  = 114
	vp8Type  = 116
)

// h264Profiles are those that peers name, constrained baseline first, which is what browsers encode.
var h264Profiles = []string{"42e01f", "42001f", "4d001f", "64001f", "640c1f"}

// videoFeedback is what a sender of pictures may be told (RFC 4585, RFC 5104).
func videoFeedback() []webrtc.RTCPFeedback {
	return []webrtc.RTCPFeedback{{Type: webrtc.TypeRTCPFBCCM, Parameter: "fir"}}
}

// H264Capability is H.264 of constrained baseline profile, for a track that is sent.
func H264Capability() webrtc.RTPCodecCapability {
	return webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeH264, ClockRate: 90000, SDPFmtpLine: h264Format + h264Profiles[0]}
}

// OpusCapability is Opus, for a track that is sent.
func OpusCapability() webrtc.RTPCodecCapability {
	return webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2, SDPFmtpLine: opusFormat}
}

// RegisterH264Opus registers H.264 in all its profiles, and Opus.
func RegisterH264Opus(m *webrtc.MediaEngine) error {
	for i, profile := range h264Profiles {
		c := webrtc.RTPCodecCapability{
			MimeType: webrtc.MimeTypeH264, ClockRate: 90000, SDPFmtpLine: h264Format + profile, RTCPFeedback: videoFeedback(),
		}
		if err := register(m, c, h264Type+webrtc.PayloadType(2*i), webrtc.RTPCodecTypeVideo); err != nil {
			return err
		}
	}
	return RegisterOpus(m)
}

// RegisterOpus registers Opus.
func RegisterOpus(m *webrtc.MediaEngine) error {
	return register(m, OpusCapability(), 111, webrtc.RTPCodecTypeAudio)
}

// RegisterAV1VP9 registers the other video codecs that mediad carries.
func RegisterAV1VP9(m *webrtc.MediaEngine) error {
	av1 := webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeAV1, ClockRate: 90000, RTCPFeedback: videoFeedback()}
	if err := register(m, av1, av1Type, webrtc.RTPCodecTypeVideo); err != nil {
		return err
	}
	vp9 := webrtc.RTPCodecCapability{
		MimeType: webrtc.MimeTypeVP9, ClockRate: 90000, SDPFmtpLine: "profile-id=0", RTCPFeedback: videoFeedback(),
	}
	return register(m, vp9, vp9Type, webrtc.RTPCodecTypeVideo)
}

// RegisterVP8 registers VP8, which only what is encoded again can be made of.
func RegisterVP8(m *webrtc.MediaEngine) error {
	vp8 := webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8, ClockRate: 90000, RTCPFeedback: videoFeedback()}
	return register(m, vp8, vp8Type, webrtc.RTPCodecTypeVideo)
}

func register(m *webrtc.MediaEngine, c webrtc.RTPCodecCapability, pt webrtc.PayloadType, kind webrtc.RTPCodecType) error {
	if err := m.RegisterCodec(webrtc.RTPCodecParameters{RTPCodecCapability: c, PayloadType: pt}, kind); err != nil {
		return fmt.Errorf("rtc: %s: %w", c.MimeType, err)
	}
	return nil
}

// registerRepair registers a stream of its own for what is sent again (RFC 4588), for each codec of pictures that there may be. Without it browsers
// pad the pictures' own stream when they find out what the network bears, and what is lost of that they cannot send again.
func registerRepair(m *webrtc.MediaEngine) error {
	of := []webrtc.PayloadType{av1Type, vp9Type, vp8Type}
	for i := range h264Profiles {
		of = append(of, h264Type+webrtc.PayloadType(2*i))
	}
	for _, pt := range of {
		c := webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeRTX, ClockRate: 90000, SDPFmtpLine: fmt.Sprintf("apt=%d", pt)}
		if err := register(m, c, pt+1, webrtc.RTPCodecTypeVideo); err != nil {
			return err
		}
	}
	return nil
}

// RegisterReceiver registers what receiving media needs: receiver reports, a stream for what is sent again, the feedback that a sender's
// congestion control lives on, and the header extensions of simulcast. Codecs are registered before it.
func (s *Server) RegisterReceiver(m *webrtc.MediaEngine, r *interceptor.Registry) error {
	if err := registerRepair(m); err != nil {
		return err
	}
	m.RegisterFeedback(webrtc.RTCPFeedback{Type: webrtc.TypeRTCPFBNACK}, webrtc.RTPCodecTypeVideo)
	m.RegisterFeedback(webrtc.RTCPFeedback{Type: webrtc.TypeRTCPFBNACK, Parameter: "pli"}, webrtc.RTPCodecTypeVideo)
	reports, err := report.NewReceiverInterceptor(report.WithReceiverLoggerFactory(s.settings.LoggerFactory))
	if err != nil {
		return fmt.Errorf("rtc: %w", err)
	}
	r.Add(reports)
	if err := webrtc.ConfigureSimulcastExtensionHeaders(m); err != nil {
		return fmt.Errorf("rtc: %w", err)
	}
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeVideo, webrtc.RTPCodecTypeAudio} {
		m.RegisterFeedback(webrtc.RTCPFeedback{Type: webrtc.TypeRTCPFBTransportCC}, kind)
		if err := m.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: sdp.TransportCCURI}, kind); err != nil {
			return fmt.Errorf("rtc: %w", err)
		}
	}
	feedback, err := twcc.NewSenderInterceptor(twcc.WithLoggerFactory(s.settings.LoggerFactory))
	if err != nil {
		return fmt.Errorf("rtc: %w", err)
	}
	r.Add(feedback)
	return nil
}

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
		if err := register(m, c, webrtc.PayloadType(96+2*i), webrtc.RTPCodecTypeVideo); err != nil {
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
	if err := register(m, av1, 112, webrtc.RTPCodecTypeVideo); err != nil {
		return err
	}
	vp9 := webrtc.RTPCodecCapability{
		MimeType: webrtc.MimeTypeVP9, ClockRate: 90000, SDPFmtpLine: "profile-id=0", RTCPFeedback: videoFeedback(),
	}
	return register(m, vp9, 114, webrtc.RTPCodecTypeVideo)
}

// RegisterVP8 registers VP8, which only what is encoded again can be made of.
func RegisterVP8(m *webrtc.MediaEngine) error {
	vp8 := webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8, ClockRate: 90000, RTCPFeedback: videoFeedback()}
	return register(m, vp8, 116, webrtc.RTPCodecTypeVideo)
}

func register(m *webrtc.MediaEngine, c webrtc.RTPCodecCapability, pt webrtc.PayloadType, kind webrtc.RTPCodecType) error {
	if err := m.RegisterCodec(webrtc.RTPCodecParameters{RTPCodecCapability: c, PayloadType: pt}, kind); err != nil {
		return fmt.Errorf("rtc: %s: %w", c.MimeType, err)
	}
	return nil
}

// RegisterReceiver registers what receiving media needs: receiver reports, the feedback that a sender's
// congestion control lives on, and the header extensions of simulcast. Codecs are registered before it.
func (s *Server) RegisterReceiver(m *webrtc.MediaEngine, r *interceptor.Registry) error {
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

package rtc

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"
)

const (
	// MaxSDP bounds an offer in bytes: those of browsers have 3 to 10 KB.
	MaxSDP = 64 << 10

	// maxSections bounds the media of an offer, maxAttributes the attributes of each: a browser's has about 150 for video.
	maxSections   = 8
	maxAttributes = 1024

	// maxCandidates bounds the candidates of an offer or a fragment.
	maxCandidates = 64
)

// ErrOffer is what every refused offer or fragment is.
var ErrOffer = errors.New("rtc: SDP refused")

func refused(format string, a ...any) error {
	return fmt.Errorf("%w: %s", ErrOffer, fmt.Sprintf(format, a...))
}

// CheckOffer judges an offer before pion is given it, and returns it parsed. An error is ErrOffer.
func CheckOffer(offer []byte) (*sdp.SessionDescription, error) {
	if len(offer) > MaxSDP {
		return nil, refused("%d bytes, over %d", len(offer), MaxSDP)
	}
	var d sdp.SessionDescription
	if err := d.Unmarshal(offer); err != nil {
		return nil, refused("%v", err)
	}
	if n := len(d.MediaDescriptions); n == 0 || n > maxSections {
		return nil, refused("%d media sections, want 1 to %d", n, maxSections)
	}
	if _, ok := d.Attribute(sdp.AttrKeyICELite); ok {
		return nil, refused("ice-lite at both ends: nobody would begin")
	}
	candidates := 0
	for i, m := range d.MediaDescriptions {
		if kind := m.MediaName.Media; kind != "audio" && kind != "video" {
			return nil, refused("media section %d is %.20q, want audio or video", i, kind)
		}
		if len(m.Attributes) > maxAttributes || len(m.MediaName.Formats) > maxAttributes {
			return nil, refused("media section %d has over %d attributes", i, maxAttributes)
		}
		if err := credentials(&d, m); err != nil {
			return nil, refused("media section %d: %v", i, err)
		}
		for _, a := range m.Attributes {
			if a.Key == sdp.AttrKeyCandidate {
				candidates++
			}
		}
	}
	if candidates > maxCandidates {
		return nil, refused("%d candidates, over %d", candidates, maxCandidates)
	}
	return &d, nil
}

// credentials wants what ICE and DTLS cannot do without, in the section or above it.
func credentials(d *sdp.SessionDescription, m *sdp.MediaDescription) error {
	for _, key := range []string{"ice-ufrag", "ice-pwd", "fingerprint"} {
		v, ok := m.Attribute(key)
		if !ok {
			v, ok = d.Attribute(key)
		}
		if !ok || v == "" || len(v) > 512 {
			return fmt.Errorf("no %s", key)
		}
	}
	return nil
}

// Answer gives pc an offer and returns the answer with all candidates in it. Gathering is instant: the sockets are there
// already.
func Answer(ctx context.Context, pc *webrtc.PeerConnection, offer string) (string, error) {
	if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}); err != nil {
		return "", fmt.Errorf("%w: %w", ErrOffer, err)
	}
	answer, err := pc.CreateAnswer(nil)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrOffer, err)
	}
	gathered := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(answer); err != nil {
		return "", fmt.Errorf("%w: %w", ErrOffer, err)
	}
	select {
	case <-gathered:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	d := pc.LocalDescription()
	if d == nil || !strings.Contains(d.SDP, "a=candidate:") {
		return "", errors.New("rtc: no address of ours to tell the peer")
	}
	return d.SDP, nil
}

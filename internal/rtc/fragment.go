package rtc

import (
	"context"
	"strings"

	"github.com/pion/webrtc/v4"
)

// FragmentType is the media type of an SDP fragment (RFC 8840).
const FragmentType = "application/trickle-ice-sdpfrag"

// Fragment is what a PATCH of WHIP or WHEP carries (RFC 8840 9): more candidates, or the credentials of an ICE restart. Candidates
// are counted and not kept: a lite agent checks nothing (RFC 8445 2.5), it answers checks, which come from wherever the peer is.
// Kept, each would cost memory as long as the peer is there, and there is no end to PATCHes.
type Fragment struct {
	Ufrag, Pwd string // empty: those that hold
	Candidates int
}

// ParseFragment reads an SDP fragment. An error is ErrOffer.
func ParseFragment(body []byte) (Fragment, error) {
	var f Fragment
	if len(body) > MaxSDP {
		return f, refused("a fragment of %d bytes, over %d", len(body), MaxSDP)
	}
	sections := 0
	for line := range strings.Lines(string(body)) {
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			continue
		}
		if len(line) < 2 || line[1] != '=' {
			return f, refused("a line of a fragment is %.40q", line)
		}
		key, value, _ := strings.Cut(line[2:], ":")
		switch {
		case line[0] == 'm':
			if sections++; sections > maxSections {
				return f, refused("over %d sections in a fragment", maxSections)
			}
		case line[0] != 'a':
		case key == "ice-ufrag":
			f.Ufrag = value
		case key == "ice-pwd":
			f.Pwd = value
		case key == "candidate":
			if f.Candidates++; f.Candidates > maxCandidates {
				return f, refused("over %d candidates", maxCandidates)
			}
		}
	}
	// RFC 8839 5.4 gives the lengths.
	if (f.Ufrag == "") != (f.Pwd == "") || f.Ufrag != "" && (!iceChars(f.Ufrag, 4) || !iceChars(f.Pwd, 22)) {
		return f, refused("ice-ufrag and ice-pwd do not fit")
	}
	return f, nil
}

// iceChars reports whether s is made of ice-chars, at least n of them and at most 256.
func iceChars(s string, n int) bool {
	if len(s) < n || len(s) > 256 {
		return false
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') && c != '+' && c != '/' {
			return false
		}
	}
	return true
}

// Restarts reports whether f asks for an ICE restart of a session whose peer made offer.
func (f Fragment) Restarts(offer string) bool {
	if f.Ufrag == "" {
		return false
	}
	for line := range strings.Lines(offer) {
		if strings.TrimRight(line, "\r\n") == "a=ice-ufrag:"+f.Ufrag {
			return false
		}
	}
	return true
}

// Restart begins a new ICE session of pc with f's credentials, and returns the fragment that tells ours. Media goes on over the
// old pair of addresses until the new one is found.
func (f Fragment) Restart(ctx context.Context, pc *webrtc.PeerConnection) (string, error) {
	remote := pc.RemoteDescription()
	if remote == nil {
		return "", refused("no offer to restart")
	}
	var offer strings.Builder
	for line := range strings.Lines(remote.SDP) {
		switch {
		case strings.HasPrefix(line, "a=ice-ufrag:"):
			line = "a=ice-ufrag:" + f.Ufrag + "\r\n"
		case strings.HasPrefix(line, "a=ice-pwd:"):
			line = "a=ice-pwd:" + f.Pwd + "\r\n"
		case strings.HasPrefix(line, "a=candidate:"), strings.HasPrefix(line, "a=end-of-candidates"):
			continue
		}
		offer.WriteString(line)
	}
	answer, err := Answer(ctx, pc, offer.String())
	if err != nil {
		return "", err
	}
	return fragmentOf(answer), nil
}

// fragmentOf keeps of an answer what RFC 9725 4.3.3 sends back: credentials and candidates of the first section, which all are
// bundled into.
func fragmentOf(answer string) string {
	var head, body strings.Builder
	seen := map[string]bool{}
	inside := false
	for line := range strings.Lines(answer) {
		line = strings.TrimRight(line, "\r\n")
		key, _, _ := strings.Cut(line, ":")
		switch {
		case strings.HasPrefix(line, "m="):
			if inside {
				return head.String() + body.String()
			}
			inside = true
			body.WriteString(line + "\r\n")
		case key == "a=ice-lite", key == "a=ice-options", key == "a=ice-ufrag", key == "a=ice-pwd":
			if !seen[key] {
				seen[key] = true
				head.WriteString(line + "\r\n")
			}
		case key == "a=mid", key == "a=candidate", key == "a=end-of-candidates":
			body.WriteString(line + "\r\n")
		}
	}
	return head.String() + body.String()
}

package obs

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// FramerateBody is pictures a second, as OBS spells it.
type FramerateBody struct {
	Numerator   uint32 `json:"numerator" example:"60"`
	Denominator uint32 `json:"denominator" example:"1"`
}

func (f FramerateBody) float() float64 {
	if f.Denominator == 0 {
		return 0
	}
	return float64(f.Numerator) / float64(f.Denominator)
}

const (
	// mostTracks is how many encodings a publisher may send: the source and the six layers that ingest takes.
	mostTracks = 7
	// usualTracks is how many are asked for where the streamer has not said: four suit most lines and encoders.
	usualTracks = 4
	// audioBitrate in kbit/s.
	audioBitrate = 160
	// leastSource is below which bitrate, in kbit/s, a source is not worth sending.
	leastSource = 500
	// smallest and largest sides of a canvas, in pixels.
	smallest, largest = 128, 4096
)

// rates are kbit/s at up to 30 pictures a second, by height. Above that it is half as much again.
var rates = []struct{ height, bitrate uint32 }{{2160, 16000}, {1440, 9000}, {1080, 6000}, {720, 3000}, {480, 1200}, {360, 700}, {240, 400}}

func rateOf(height uint32, fps float64) uint32 {
	rate := rates[len(rates)-1].bitrate
	for _, r := range rates {
		if height >= r.height {
			rate = r.bitrate
			break
		}
	}
	if fps > 31 {
		rate += rate / 2
	}
	return rate
}

// rung is one encoding.
type rung struct{ width, height, bitrate uint32 }

// ladderOf chooses what a canvas is encoded in, the source first. tracks and total, in kbit/s, bound it; 0: they do not. nil: nothing fits.
func ladderOf(width, height uint32, fps float64, tracks, total uint32) []rung {
	out := []rung{{width, height, rateOf(min(width, height), fps)}}
	for _, r := range rates {
		if short := min(width, height); r.height < short {
			// The short side is the rung's name, so that an upright picture has the same ladder. Both sides are even.
			scale := func(side uint32) uint32 { return (side*r.height + short) / (2 * short) * 2 }
			out = append(out, rung{scale(width), scale(height), rateOf(r.height, fps)})
		}
	}
	limit := usualTracks
	if tracks > 0 {
		limit = int(min(tracks, mostTracks))
	}
	for len(out) > limit { // the second smallest: the smallest is for those who have next to nothing
		if len(out) == 2 {
			out = out[:1]
			break
		}
		out = slices.Delete(out, len(out)-2, len(out)-1)
	}
	if total == 0 {
		return out
	}
	sum := func() (n uint32) {
		for _, r := range out {
			n += r.bitrate
		}
		return n + audioBitrate
	}
	for len(out) > 1 && sum() > total { // the dearest first: each gives room to all below it
		out = slices.Delete(out, 1, 2)
	}
	if over := sum(); over > total {
		if total < leastSource+audioBitrate {
			return nil
		}
		out[0].bitrate -= over - total
	}
	return out
}

// encoder is one of OBS's, with the settings that are its own words.
type encoder struct {
	id string
	// vendor is the PCI vendor of the GPU that it needs; 0: none.
	vendor   uint32
	settings map[string]any
}

// PCI vendors.
const (
	nvidia = 0x10DE
	amd    = 0x1002
	intel  = 0x8086
)

// encoders are what H.264 is made with, the best first. x264 is the last resort, for few sizes.
var encoders = []encoder{
	{"obs_nvenc_h264_tex", nvidia, map[string]any{"preset": "p4", "tune": "ll", "multipass": "disabled", "lookahead": false, "bf": 0}},
	{"jim_nvenc", nvidia, map[string]any{"preset2": "p4", "tune": "ll", "multipass": "disabled", "lookahead": false, "bf": 0}},
	{"h264_texture_amf", amd, map[string]any{"preset": "balanced", "bf": 0}},
	{"obs_qsv11_v2", intel, map[string]any{"target_usage": "TU4", "latency": "low", "bframes": 0}},
	{"com.apple.videotoolbox.videoencoder.ave.avc", 0, map[string]any{"bframes": false}},
	{x264, 0, map[string]any{"preset": "veryfast", "tune": "zerolatency", "x264opts": "scenecut=0", "bf": 0}},
}

const x264 = "obs_x264"

// choose finds the encoder for a machine. It reports how many encodings of it the machine bears at most.
func choose(p *post) (e encoder, most uint32) {
	for _, e := range encoders {
		if e.id == x264 {
			// A core and a half for a large size; what is left runs what is streamed.
			return e, max(min(uint32(max(p.Capabilities.CPU.PhysicalCores, 0))/3, 3), 1)
		}
		if p.has(e) {
			return e, mostTracks
		}
	}
	return encoder{}, 0
}

// has reports whether the machine has an encoder: it says so since schema 2025-01-25; before it is told by the GPU and the version of OBS.
func (p *post) has(e encoder) bool {
	gpu := e.vendor == 0
	for _, g := range p.Capabilities.GPU {
		gpu = gpu || g.VendorID == e.vendor
	}
	if !gpu {
		return false
	}
	if len(p.Client.SupportedEncoders) > 0 {
		for _, id := range p.Client.SupportedEncoders {
			if id == e.id {
				return true
			}
		}
		return false
	}
	major, _, _ := strings.Cut(p.Client.Version, ".")
	version, _ := strconv.Atoi(major)
	switch e.id {
	case "obs_nvenc_h264_tex":
		return version >= 31
	case "com.apple.videotoolbox.videoencoder.ave.avc":
		return strings.Contains(strings.ToLower(p.Capabilities.System.Name), "mac")
	default:
		return true
	}
}

// canvas is what is composed: the size that is put out, and its rate.
func (p *post) canvas() (width, height uint32, rate FramerateBody, err error) {
	c := p.Preferences.canvas
	if len(p.Preferences.Canvases) > 0 {
		c = p.Preferences.Canvases[0]
	}
	return c.Width, c.Height, c.Framerate, streamable(c.Width, c.Height, c.Framerate)
}

// streamable says what speaks against a size and a rate.
func streamable(width, height uint32, rate FramerateBody) error {
	if fps := rate.float(); min(width, height) < smallest || max(width, height) > largest || fps < 1 || fps > 240 {
		return fmt.Errorf("an output of %dx%d at %.4g pictures a second cannot be streamed: choose another in Settings → Video", width, height, fps)
	}
	return nil
}

package obs

import (
	"fmt"
	"strings"

	"github.com/google/uuid"
)

// Override is what the file for OBS's "Config Override (JSON)" is made of: what Register answers, for a machine that is not there to tell of
// itself.
type Override struct {
	// Width, Height and Framerate are of OBS's output.
	Width, Height uint32
	Framerate     FramerateBody
	// Encoder is the name of what it encodes with, one of Encoders.
	Encoder string
	// Tracks and Bitrate bound what is sent: encodings of the picture, and kbit/s of them and the sound. 0: four, with x264, which has no GPU
	// to help it, two; and what they need.
	Tracks, Bitrate uint32
	// Host is where to send; the ports are those of its listeners, 0: turned off.
	Host                string
	RTMPPort, RTMPSPort int
	// Key is the stream key; empty: the one that is typed into OBS.
	Key string
}

const x264Tracks = 2

// names are what people call the encoders, which OBS has longer words for.
var names = map[string]string{
	"nvenc": "obs_nvenc_h264_tex", "nvenc-obs30": "jim_nvenc", "amf": "h264_texture_amf", "qsv": "obs_qsv11_v2",
	"videotoolbox": "com.apple.videotoolbox.videoencoder.ave.avc", "x264": x264,
}

// Encoders are the names that Override.Encoder may have, the best first. nvenc is that of OBS 31 and later.
func Encoders() []string {
	return []string{"nvenc", "nvenc-obs30", "amf", "qsv", "videotoolbox", "x264"}
}

// Config is the file's content. An error says which of o's fields is wrong, in words for the streamer.
func (o Override) Config() (ConfigBody, error) {
	body := newConfig()
	if err := streamable(o.Width, o.Height, o.Framerate); err != nil {
		return body, err
	}
	for _, e := range encoders {
		if e.id != names[o.Encoder] {
			continue
		}
		tracks := o.Tracks
		if tracks == 0 {
			tracks = usualTracks
			if e.id == x264 {
				tracks = x264Tracks
			}
		}
		rungs := ladderOf(o.Width, o.Height, o.Framerate.float(), tracks, o.Bitrate)
		if rungs == nil {
			return body, errBitrate
		}
		body.IngestEndpoints = endpoints(o.Host, o.RTMPPort, o.RTMPSPort, o.Key)
		if len(body.IngestEndpoints) == 0 {
			return body, errNoRTMP
		}
		body.encode(e, rungs, o.Framerate)
		return body, nil
	}
	return body, fmt.Errorf("there is no encoder %.20q: choose one of %s", o.Encoder, strings.Join(Encoders(), ", "))
}

func newConfig() ConfigBody {
	return ConfigBody{
		Meta:            MetaBody{Service: "IVS", SchemaVersion: newest, ConfigID: uuid.Must(uuid.NewV7()).String()},
		IngestEndpoints: []EndpointBody{}, EncoderConfigurations: []VideoBody{},
		AudioConfigurations: AudioSetBody{Live: []AudioBody{}, VOD: []AudioBody{}},
	}
}

// encode fills in what is to be encoded, and with what.
func (b *ConfigBody) encode(e encoder, rungs []rung, rate FramerateBody) {
	for _, r := range rungs {
		settings := map[string]any{"bitrate": r.bitrate, "keyint_sec": 2, "rate_control": "CBR", "profile": "high"}
		for k, v := range e.settings {
			settings[k] = v
		}
		b.EncoderConfigurations = append(b.EncoderConfigurations, VideoBody{
			Type: e.id, Width: r.width, Height: r.height, Framerate: rate, GPUScaleType: "OBS_SCALE_BICUBIC", Settings: settings,
		})
	}
	b.AudioConfigurations.Live = []AudioBody{{Codec: "aac", Channels: 2, Settings: map[string]any{"bitrate": audioBitrate}}}
}

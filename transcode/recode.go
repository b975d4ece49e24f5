package transcode

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	"mediad/media"
)

// ErrNoEncoder says that pictures of a codec, or of its kind, are not made anew.
var ErrNoEncoder = errors.New("transcode: these pictures cannot be encoded")

// recoder makes what an encoder has made fit for standing beside the source's own pictures.
type recoder interface {
	// args choose the encoder, with a bound in bits a second.
	args(bits int64) []string
	// picture is one as MP4 has it. extra is the encoder's configuration.
	picture(extra, data []byte, key bool) ([]byte, error)
	// track is how pictures are decoded, its own and the source's, once there was a picture.
	track() *media.Track
}

// newRecoder returns that of a source's codec.
func newRecoder(source *media.Track) (recoder, error) {
	switch source.Codec {
	case media.H264:
		id, ok := freeSetID(source)
		if !ok {
			return nil, fmt.Errorf("%w: the source's parameter sets cannot be read", ErrStretch)
		}
		return &h264Recoder{source: source, id: id}, nil
	case media.H265:
		return newH265Recoder(source)
	case media.AV1:
		return &av1Recoder{source: source}, nil
	case media.VP9:
		// vpcC: version and flags, profile, level, depth in four bits. Profiles 1 and 3 have other colours than 4:2:0.
		if len(source.Config) < 7 || source.Config[4]&1 != 0 {
			return nil, fmt.Errorf("%w: VP9 in this profile", ErrNoEncoder)
		}
		return &vp9Recoder{source: source}, nil
	default:
		return nil, fmt.Errorf("%w: %v", ErrNoEncoder, source.Codec)
	}
}

// rated are the bounds of an encoder that aims at a quality.
func rated(quality int, bits int64) []string {
	return []string{"-crf", strconv.Itoa(quality), "-maxrate", strconv.FormatInt(bits, 10), "-bufsize", strconv.FormatInt(2*bits, 10)}
}

// depth is the form of pictures of a source with more than eight bits, or not.
func depth(deep bool) string {
	if deep {
		return "yuv420p10le"
	}
	return "yuv420p"
}

type h264Recoder struct {
	source, own, both *media.Track
	id                uint32
}

func (r *h264Recoder) args(bits int64) []string {
	args := append([]string{"-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", depth(false), "-bf", "0", "-g", "600"}, rated(18, bits)...)
	args = append(args, "-x264-params", fmt.Sprintf("sps-id=%d", r.id))
	if profile := x264Profile(r.source); profile != "" {
		args = append(args, "-profile:v", profile)
	}
	if rate := r.source.FrameRate; rate.Num > 0 {
		args = append(args, "-bsf:v", fmt.Sprintf("h264_metadata=tick_rate=%d/%d", 2*rate.Num, rate.Den))
	}
	return args
}

func (r *h264Recoder) picture(extra, data []byte, key bool) ([]byte, error) {
	if r.both == nil {
		own, err := rungTrack(extra, r.source.FrameRate)
		if err != nil {
			return nil, err
		}
		sps, pps := r.source.H264ParameterSets()
		if r.both, err = withSets(own, sps, pps); err != nil {
			return nil, err
		}
		r.own = own
	}
	data, err := lengthPrefixed(data)
	if err == nil && key {
		data = inBand(r.own, data)
	}
	return data, err
}

func (r *h264Recoder) track() *media.Track { return r.both }

// x264Profile is the profile of an H.264 source, where libx264 makes it of eight bits: what can play the one can play the other.
func x264Profile(t *media.Track) string {
	if len(t.Config) < 2 {
		return ""
	}
	switch t.Config[1] {
	case 66:
		return "baseline"
	case 77:
		return "main"
	default:
		return "high"
	}
}

// av1Recoder and vp9Recoder need nothing beside the source's pictures: each key frame says all that its decoder must know.
type av1Recoder struct{ source, own *media.Track }

func (r *av1Recoder) args(bits int64) []string {
	deep := len(r.source.Config) > 2 && r.source.Config[2]&0x40 != 0 // av1C: high_bitdepth
	// The quality goes with a rate that is not gone beyond. Delimiters are not for MP4.
	return []string{
		"-c:v", "libaom-av1", "-usage", "realtime", "-cpu-used", "8", "-row-mt", "1", "-lag-in-frames", "0", "-pix_fmt", depth(deep),
		"-g", "600", "-crf", "20", "-b:v", strconv.FormatInt(bits, 10), "-bsf:v", "av1_metadata=td=remove",
	}
}

func (r *av1Recoder) picture(_, data []byte, key bool) ([]byte, error) {
	if r.own == nil {
		own, err := media.AV1TrackOf(data)
		if err != nil {
			return nil, err
		}
		if own == nil || !key {
			return nil, fmt.Errorf("%w: no sequence header", ErrStretch)
		}
		own.FrameRate = r.source.FrameRate
		r.own = own
	}
	return data, nil
}

func (r *av1Recoder) track() *media.Track { return r.own }

type vp9Recoder struct{ source, own *media.Track }

func (r *vp9Recoder) args(bits int64) []string {
	return []string{
		"-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "5", "-row-mt", "1", "-lag-in-frames", "0", "-auto-alt-ref", "0",
		"-pix_fmt", depth(r.source.Config[4] == 2), "-g", "600", "-crf", "20", "-b:v", strconv.FormatInt(bits, 10),
	}
}

func (r *vp9Recoder) picture(_, data []byte, key bool) ([]byte, error) {
	if r.own == nil {
		w, h, ok := media.VP9Size(data)
		if !ok || !key {
			return nil, fmt.Errorf("%w: no key frame to begin with", ErrStretch)
		}
		r.own = r.source.WithSize(w, h)
	}
	return data, nil
}

func (r *vp9Recoder) track() *media.Track { return r.own }

// appendNAL appends a NAL unit with its length in front.
func appendNAL(b, nal []byte) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(nal))), nal...)
}

package playlist

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"github.com/Eyevinn/hls-m3u8/m3u8"

	"mediad/media"
)

// Variant is one rendition as the multivariant playlist names it. The bit rates are those of this rendition alone, in bits
// a second: Bandwidth the highest of any segment (players take a live peak of 125 % of it for a lie), Average the mean, 0 while it is not known.
type Variant struct {
	Name               string // of the rendition: {Name}/index.m3u8
	Track              *media.Track
	Bandwidth, Average int
	// FrameRate is in frames a second; 0 takes what the track promises, and where that is nothing, or below 0, nothing is said.
	FrameRate float64
	// VideoRange is SDR (the default), HLG or PQ.
	VideoRange string
}

// Multivariant is what the multivariant playlist of a stream says.
type Multivariant struct {
	Video []Variant
	// Audio is the one audio rendition; nil if the stream has no sound.
	Audio *Variant
	// Independent says that every segment of every rendition begins with a random access unit that is ours to place.
	Independent bool
	// Captions says that the video carries CEA-608 captions.
	Captions bool
	// DVR refers to the playlists over the DVR range instead of the live ones.
	DVR bool
}

const (
	audioGroup   = "audio"
	captionGroup = "captions"

	// firstVariantBandwidth is the bit rate that the first variant should be near: players begin with it.
	firstVariantBandwidth = 2_000_000
	// audioOnlyBandwidth is the most that a variant for very slow lines may need, video included.
	audioOnlyBandwidth = 192_000

	// multivariantVersion is EXT-X-VERSION: 4 has the audio group; 6 is what players that read CMAF expect.
	multivariantVersion = 6
)

// RenderMultivariant renders the multivariant playlist. Audio, where there is video, is a group of one that every variant
// refers to; its bit rate is in every variant's. Such a stream also has one variant of sound alone, for
// lines too slow for the picture, unless a video variant is as small. Without video the sound is the only variant and there
// is no group: some players load a rendition twice that is named both ways.
func RenderMultivariant(m Multivariant) ([]byte, error) {
	if len(m.Video) == 0 && m.Audio == nil {
		return nil, fmt.Errorf("multivariant: no rendition")
	}
	p := m3u8.NewMasterPlaylist()
	p.SetIndependentSegments(m.Independent)
	p.SetWritePrecision(3)

	file := MediaPlaylist
	if m.DVR {
		file = DVRPlaylist
	}
	alternatives := m.alternatives(file)
	smallest := 0
	for i, v := range orderVariants(m.Video) {
		params, err := m.videoParams(v)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			params.Alternatives = alternatives
		}
		if b := int(params.Bandwidth); i == 0 || b < smallest {
			smallest = b
		}
		p.Append(v.Name+"/"+file, nil, params)
	}
	if a := m.Audio; a != nil && (len(m.Video) == 0 || smallest > audioOnlyBandwidth) {
		params := m3u8.VariantParams{
			Bandwidth: bits(a.Bandwidth), AverageBandwidth: uint32(max(a.Average, 0)),
			Codecs: a.Track.RFC6381(),
		}
		if len(m.Video) > 0 {
			params.Audio = audioGroup
			if !m.Captions {
				params.Captions = "NONE" // all variants say NONE or none does (rfc8216bis 4.4.6.2)
			}
		}
		p.Append(a.Name+"/"+file, nil, params)
	}
	p.SetVersion(multivariantVersion) // after Append, which raises it by its own rules
	return slices.Clone(p.Encode().Bytes()), nil
}

// orderVariants puts the variant whose bit rate is nearest to the first that players should try in front, the
// others behind it from high to low.
func orderVariants(in []Variant) []Variant {
	out := slices.Clone(in)
	slices.SortStableFunc(out, func(a, b Variant) int { return cmp.Compare(b.Bandwidth, a.Bandwidth) })
	if len(out) == 0 {
		return out
	}
	best := 0
	for i := range out {
		if distance(out[i]) < distance(out[best]) {
			best = i
		}
	}
	first := out[best]
	copy(out[1:], out[:best])
	out[0] = first
	return out
}

func distance(v Variant) int {
	d := v.Bandwidth - firstVariantBandwidth
	return max(d, -d)
}

func (m *Multivariant) alternatives(file string) []*m3u8.Alternative {
	var out []*m3u8.Alternative
	if a := m.Audio; a != nil {
		out = append(out, &m3u8.Alternative{
			Type: "AUDIO", GroupId: audioGroup, Name: "Audio",
			Default: true, Autoselect: true, URI: a.Name + "/" + file,
			SampleRate: uint32(a.Track.SampleRate),
			Channels:   &m3u8.Channels{Amount: a.Track.Channels},
		})
	}
	if m.Captions {
		out = append(out, &m3u8.Alternative{
			Type: "CLOSED-CAPTIONS", GroupId: captionGroup, Name: "Captions",
			Default: false, Autoselect: true, InstreamId: "CC1",
		})
	}
	return out
}

func (m *Multivariant) videoParams(v Variant) (m3u8.VariantParams, error) {
	t := v.Track
	if t == nil || t.RFC6381() == "" {
		return m3u8.VariantParams{}, fmt.Errorf("multivariant: %s: no codec", v.Name)
	}
	p := m3u8.VariantParams{
		Bandwidth:  bits(v.Bandwidth),
		Codecs:     t.RFC6381(),
		FrameRate:  v.FrameRate,
		VideoRange: cmp.Or(v.VideoRange, "SDR"),
		Captions:   "NONE",
	}
	if p.FrameRate == 0 {
		p.FrameRate = t.FrameRate.Float()
	}
	p.FrameRate = max(p.FrameRate, 0)
	if t.Width > 0 && t.Height > 0 {
		p.Resolution = strconv.Itoa(t.Width) + "x" + strconv.Itoa(t.Height)
	}
	if m.Captions {
		p.Captions = captionGroup
	}
	if a := m.Audio; a != nil {
		p.Bandwidth = bits(v.Bandwidth + a.Bandwidth)
		p.Codecs += "," + a.Track.RFC6381()
		p.Audio = audioGroup
	}
	p.AverageBandwidth = m.average(v)
	return p, nil
}

// average is AVERAGE-BANDWIDTH with the sound, 0 (which is not written) while one of the two is not known yet.
func (m *Multivariant) average(v Variant) uint32 {
	switch a := m.Audio; {
	case v.Average <= 0:
		return 0
	case a == nil:
		return bits(v.Average)
	case a.Average <= 0:
		return 0
	default:
		return bits(v.Average + a.Average)
	}
}

// bits is a bit rate as the library takes it; BANDWIDTH must not be 0.
func bits(n int) uint32 {
	return uint32(min(max(n, 1), 1<<32-1))
}

package cmaf

import "mediad/media"

// visualEntry appends a VisualSampleEntry (14496-12, 12.1.3) with its configuration box, pixel shape and colours.
func (b *box) visualEntry(name, configName string, config []byte, v visual) {
	at := b.begin(name)
	b.zeros(6)
	b.u16(1) // data reference 1
	b.zeros(16)
	b.u16(uint16(v.width))
	b.u16(uint16(v.height))
	b.words(0x480000, 0x480000) // 72 dpi
	b.u32(0)
	b.u16(1)    // frames a sample
	b.zeros(32) // compressor name
	b.u16(0x18) // colour without alpha
	b.u16(0xffff)

	c := b.begin(configName)
	b.bytes(config)
	b.end(c)

	if v.sarWidth != v.sarHeight {
		pasp := b.begin("pasp")
		b.words(uint32(v.sarWidth), uint32(v.sarHeight))
		b.end(pasp)
	}
	if v.colours != nil {
		colr := b.begin("colr")
		b.text("nclx")
		b.u16(uint16(v.colours.primaries))
		b.u16(uint16(v.colours.transfer))
		b.u16(uint16(v.colours.matrix))
		if v.colours.fullRange {
			b.u8(0x80)
		} else {
			b.u8(0)
		}
		b.end(colr)
	}
	b.end(at)
}

// audioEntry opens an AudioSampleEntry (14496-12, 12.2.3). A rate that its 16 bits cannot say is 0: readers take it from
// the decoder configuration.
func (b *box) audioEntry(name string, t *media.Track) int {
	at := b.begin(name)
	b.zeros(6)
	b.u16(1) // data reference 1
	b.zeros(8)
	b.u16(uint16(t.Channels))
	b.u16(16) // bits a sample: the customary value for compressed audio
	b.u32(0)
	rate := uint32(t.SampleRate)
	if rate > 0xffff {
		rate = 0
	}
	b.u32(rate << 16)
	return at
}

// Descriptors of 14496-1, 7.2.6 inside esds, and what they say of AAC.
const (
	tagES            = 3
	tagDecoderConfig = 4
	tagDecoderInfo   = 5
	tagSyncLayer     = 6

	objectAAC   = 0x40
	streamAudio = 5<<2 | 1
	slMP4       = 2 // predefined sync layer of MP4 files
)

// aacEntry appends an mp4a entry with its esds (14496-14, 5.6).
func (b *box) aacEntry(t *media.Track) {
	at := b.audioEntry("mp4a", t)
	esds := b.beginFull("esds", 0, 0)

	info := len(t.Config)
	config := 13 + descriptorSize(info)
	b.descriptor(tagES, 3+descriptorSize(config)+descriptorSize(1))
	b.u16(trackID)
	b.u8(0)
	b.descriptor(tagDecoderConfig, config)
	b.u8(objectAAC)
	b.u8(streamAudio)
	b.zeros(3)    // buffer size: not known
	b.words(0, 0) // maximum and average bit rate: not known
	b.descriptor(tagDecoderInfo, info)
	b.bytes(t.Config)
	b.descriptor(tagSyncLayer, 1)
	b.u8(slMP4)

	b.end(esds)
	b.end(at)
}

// descriptor opens a descriptor with a length of n bytes, told in four bytes of seven bits as most writers do.
func (b *box) descriptor(tag uint8, n int) {
	b.u8(tag)
	b.u8(0x80 | uint8(n>>21))
	b.u8(0x80 | uint8(n>>14))
	b.u8(0x80 | uint8(n>>7))
	b.u8(uint8(n) & 0x7f)
}

// descriptorSize is how long a descriptor with a body of n bytes is.
func descriptorSize(n int) int { return 5 + n }

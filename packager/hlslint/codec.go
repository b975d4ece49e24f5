package hlslint

import (
	"fmt"
	"math/bits"
	"strings"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/av1"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
)

// readConfig reads the configuration box behind a sample entry into codec, transfer and lengthSz.
func (t *track) readConfig(inner []byte) {
	switch t.format {
	case "avc1", "avc3":
		if b, ok := child(inner, "avcC"); ok {
			t.readAVC(b)
		}
	case "hvc1", "hev1", "dvh1", "dvhe":
		if b, ok := child(inner, "hvcC"); ok {
			t.readHEVC(b)
		}
	case "av01":
		if b, ok := child(inner, "av1C"); ok {
			t.readAV1(b)
		}
	case "vp09":
		if b, ok := child(inner, "vpcC"); ok && len(b) >= 12 {
			t.codec = fmt.Sprintf("vp09.%02d.%02d.%02d", b[4], b[5], b[6]>>4)
			t.transfer = int(b[8])
		}
	case "mp4a":
		if b, ok := child(inner, "esds"); ok {
			t.codec = audioCodec(b)
		}
	case "Opus":
		t.codec = "opus"
	case "fLaC":
		t.codec = "fLaC"
	case "ac-3", "ec-3", "alac":
		t.codec = t.format
	}
}

func (t *track) readAVC(b []byte) {
	if len(b) < 7 {
		return
	}
	t.codec = fmt.Sprintf("%s.%02x%02x%02x", t.format, b[1], b[2], b[3])
	t.lengthSz = int(b[4]&3) + 1
	c := cursor{b: b[6:]}
	if b[5]&31 == 0 {
		return
	}
	nal := c.take(int(c.u16()))
	var sps h264.SPS
	if c.short || sps.Unmarshal(nal) != nil {
		return
	}
	t.width, t.height = sps.Width(), sps.Height()
	if sps.VUI != nil && sps.VUI.ColourDescriptionPresentFlag {
		t.transfer = int(sps.VUI.TransferCharacteristics)
	}
}

func (t *track) readHEVC(b []byte) {
	if len(b) < 23 {
		return
	}
	space := []string{"", "A", "B", "C"}[b[1]>>6]
	tier := "L"
	if b[1]&0x20 != 0 {
		tier = "H"
	}
	compat := uint32(b[2])<<24 | uint32(b[3])<<16 | uint32(b[4])<<8 | uint32(b[5])
	t.codec = fmt.Sprintf("%s.%s%d.%X.%s%d", t.format, space, b[1]&31, bits.Reverse32(compat), tier, b[12])
	constraints := b[6:12]
	for len(constraints) > 0 && constraints[len(constraints)-1] == 0 {
		constraints = constraints[:len(constraints)-1]
	}
	for _, x := range constraints {
		t.codec += fmt.Sprintf(".%X", x)
	}
	t.lengthSz = int(b[21]&3) + 1
	c := cursor{b: b[23:]}
	for n := b[22]; n > 0 && !c.short; n-- {
		kind := c.u8() & 63
		for k := c.u16(); k > 0 && !c.short; k-- {
			nal := c.take(int(c.u16()))
			var sps h265.SPS
			if kind != uint8(h265.NALUType_SPS_NUT) || c.short || sps.Unmarshal(nal) != nil {
				continue
			}
			t.width, t.height = sps.Width(), sps.Height()
			if sps.VUI != nil && sps.VUI.ColourDescriptionPresentFlag {
				t.transfer = int(sps.VUI.TransferCharacteristics)
			}
		}
	}
}

func (t *track) readAV1(b []byte) {
	if len(b) < 4 {
		return
	}
	tier, depth := "M", 8
	if b[2]&0x80 != 0 {
		tier = "H"
	}
	switch {
	case b[2]&0x60 == 0x60:
		depth = 12
	case b[2]&0x40 != 0:
		depth = 10
	}
	t.codec = fmt.Sprintf("av01.%d.%02d%s.%02d", b[1]>>5, b[1]&31, tier, depth)
	var units av1.Bitstream
	if units.Unmarshal(b[4:]) != nil {
		return
	}
	for _, u := range units {
		var h av1.SequenceHeader
		if len(u) > 0 && av1.OBUType(u[0]>>3&15) == av1.OBUTypeSequenceHeader && h.Unmarshal(u) == nil {
			t.width, t.height = h.Width(), h.Height()
			if h.ColorConfig.ColorDescriptionPresentFlag {
				t.transfer = int(h.ColorConfig.TransferCharacteristics)
			}
		}
	}
}

// audioCodec reads the object type out of an esds box (ISO/IEC 14496-1 7.2.6).
func audioCodec(b []byte) string {
	if len(b) < 4 {
		return ""
	}
	c := cursor{b: b[4:]}
	tag, _ := descriptor(&c)
	if tag != 3 {
		return ""
	}
	c.u16()
	flags := c.u8()
	if flags&0x80 != 0 {
		c.u16()
	}
	if flags&0x40 != 0 {
		c.skip(int(c.u8()))
	}
	if flags&0x20 != 0 {
		c.u16()
	}
	if tag, _ = descriptor(&c); tag != 4 {
		return ""
	}
	object := c.u8()
	c.skip(12)
	if c.short {
		return ""
	}
	if object != 0x40 {
		return fmt.Sprintf("mp4a.%02x", object)
	}
	tag, size := descriptor(&c)
	if tag != 5 {
		return ""
	}
	config := c.take(min(size, len(c.b)))
	var asc mpeg4audio.AudioSpecificConfig
	if asc.Unmarshal(config) == nil && asc.ExtensionType != 0 {
		return fmt.Sprintf("mp4a.40.%d", asc.ExtensionType)
	}
	if len(config) < 2 {
		return ""
	}
	kind := int(config[0] >> 3)
	if kind == 31 {
		kind = 32 + int(config[0]&7)<<3 | int(config[1]>>5)
	}
	return fmt.Sprintf("mp4a.40.%d", kind)
}

func descriptor(c *cursor) (tag uint8, size int) {
	tag = c.u8()
	for i := 0; i < 4; i++ {
		b := c.u8()
		size = size<<7 | int(b&0x7f)
		if b&0x80 == 0 {
			break
		}
	}
	return tag, size
}

// codecMatch compares an entry of CODECS with a track's codec: exact, near (same format and profile) or not.
func codecMatch(declared, actual string) (near, exact bool) {
	d, a := strings.ToLower(declared), strings.ToLower(actual)
	if d == a {
		return true, true
	}
	df, dp, _ := strings.Cut(d, ".")
	af, ap, _ := strings.Cut(a, ".")
	if df != af {
		return false, false
	}
	switch af {
	case "avc1", "avc3":
		return len(dp) >= 2 && len(ap) >= 2 && dp[:2] == ap[:2], false
	case "hvc1", "hev1", "av01", "vp09", "dvh1", "dvhe":
		dp, _, _ = strings.Cut(dp, ".")
		ap, _, _ = strings.Cut(ap, ".")
		return dp == ap, af == "av01" && strings.HasPrefix(d, a) || af == "vp09" && strings.HasPrefix(d, a)
	case "mp4a":
		// HE-AAC may be declared as the AAC-LC that it extends and the other way about.
		return strings.HasPrefix(dp, "40.") && strings.HasPrefix(ap, "40."), false
	}
	return true, true
}

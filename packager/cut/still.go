package cut

import (
	"encoding/binary"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"

	"mediad/media"
)

// stiller makes pictures that show the last one again: H.264 P slices in which every macroblock is skipped, so that each
// is a copy of the newest reference picture. No other picture refers to them, so what comes after decodes as if they
// were not there.
type stiller struct {
	sps map[uint32]*h264.SPS
	pps map[uint32]*pictureSet
}

// pictureSet is what a slice header needs of a picture parameter set (H.264, 7.3.2.2).
type pictureSet struct {
	sps              uint32
	cabac            bool
	bottomFieldOrder bool
	weighted         bool
	initQP           int32
	deblocking       bool
}

// newStiller returns nil for tracks whose pictures cannot be made here.
func newStiller(t *media.Track) *stiller {
	if t == nil || t.Codec != media.H264 {
		return nil
	}
	sps, pps := t.H264ParameterSets()
	s := &stiller{sps: make(map[uint32]*h264.SPS), pps: make(map[uint32]*pictureSet)}
	for _, b := range sps {
		var p h264.SPS
		if p.Unmarshal(b) != nil {
			return nil
		}
		s.sps[p.ID] = &p
	}
	for _, b := range pps {
		if id, p, ok := parsePPS(b); ok {
			s.pps[id] = p
		}
	}
	if len(s.pps) == 0 {
		return nil
	}
	return s
}

// parsePPS reads a picture parameter set; ok is false for what no slice is written for here: slice groups and redundant
// pictures.
func parsePPS(nal []byte) (id uint32, p *pictureSet, ok bool) {
	if len(nal) < 2 {
		return 0, nil, false
	}
	r := bitReader{buf: unescape(nal[1:])}
	p = &pictureSet{}
	id, p.sps = r.ue(), r.ue()
	p.cabac = r.flag()
	p.bottomFieldOrder = r.flag()
	if r.ue() != 0 { // num_slice_groups_minus1
		return 0, nil, false
	}
	r.ue() // num_ref_idx_l0_default_active_minus1
	r.ue() // num_ref_idx_l1_default_active_minus1
	p.weighted = r.flag()
	r.get(2) // weighted_bipred_idc
	p.initQP = 26 + r.se()
	r.se() // pic_init_qs_minus26
	r.se() // chroma_qp_index_offset
	p.deblocking = r.flag()
	r.get(1) // constrained_intra_pred_flag
	redundant := r.flag()
	return id, p, !r.over && !redundant
}

// unescape takes the emulation prevention bytes out.
func unescape(b []byte) []byte {
	out := make([]byte, 0, len(b))
	zeros := 0
	for _, c := range b {
		if zeros >= 2 && c == 3 {
			zeros = 0
			continue
		}
		out = append(out, c)
		zeros++
		if c != 0 {
			zeros = 0
		}
	}
	return out
}

// escape puts them in.
func escape(b []byte) []byte {
	out := make([]byte, 0, len(b)+len(b)/64+1)
	zeros := 0
	for _, c := range b {
		if zeros >= 2 && c <= 3 {
			out, zeros = append(out, 3), 0
		}
		out = append(out, c)
		zeros++
		if c != 0 {
			zeros = 0
		}
	}
	return out
}

// sliceHead is the beginning of a slice header (7.3.3), as far as the next picture depends on it.
type sliceHead struct {
	reference bool
	pps       uint32
	frame     uint32
	order     uint32
}

// maxHead bounds how many bytes of a slice are looked at.
const maxHead = 64

func (s *stiller) head(nal []byte) (h sliceHead, ok bool) {
	kind := nal[0] & 0x1f
	if kind != 1 && kind != 5 {
		return h, false
	}
	h.reference = nal[0]&0x60 != 0
	r := bitReader{buf: unescape(nal[1:min(len(nal), maxHead)])}
	r.ue() // first_mb_in_slice
	r.ue() // slice_type
	h.pps = r.ue()
	p := s.pps[h.pps]
	if p == nil || s.sps[p.sps] == nil {
		return h, false
	}
	sps := s.sps[p.sps]
	h.frame = r.get(int(sps.Log2MaxFrameNumMinus4) + 4)
	if kind == 5 {
		r.ue() // idr_pic_id
	}
	if sps.PicOrderCntType == 0 {
		h.order = r.get(int(sps.Log2MaxPicOrderCntLsbMinus4) + 4)
	}
	return h, !r.over
}

// maxSide is the longest side of a picture in macroblocks, 16384 pixels. The track's own size was checked, but a configuration
// may hold further parameter sets, whose size is whatever their writer put there.
const maxSide = 16384 / 16

// picture is an access unit that shows again what the access unit last, the newest in decode order, left in
// the decoder. nil if none can be made.
func (s *stiller) picture(last []byte) []byte {
	h, ok := s.newestSlice(last)
	if !ok {
		return nil
	}
	p := s.pps[h.pps]
	sps := s.sps[p.sps]
	if !sps.FrameMbsOnlyFlag || sps.SeparateColourPlaneFlag || sps.PicOrderCntType == 1 ||
		sps.Log2MaxFrameNumMinus4 > 12 || sps.Log2MaxPicOrderCntLsbMinus4 > 12 ||
		sps.PicWidthInMbsMinus1 >= maxSide || sps.PicHeightInMapUnitsMinus1 >= maxSide {
		return nil
	}
	if h.reference {
		h.frame++ // a picture nobody refers to counts as the next reference picture will (7.4.3)
	}
	var w bitWriter
	w.ue(0) // first_mb_in_slice
	w.ue(5) // slice_type: P, all slices of the picture
	w.ue(h.pps)
	frameBits := int(sps.Log2MaxFrameNumMinus4) + 4
	w.put(h.frame&(1<<frameBits-1), frameBits)
	if sps.PicOrderCntType == 0 {
		// Encoders count pictures by twos: this lies between the last and the next.
		orderBits := int(sps.Log2MaxPicOrderCntLsbMinus4) + 4
		w.put((h.order+1)&(1<<orderBits-1), orderBits)
		if p.bottomFieldOrder {
			w.se(0)
		}
	}
	w.put(1, 1) // num_ref_idx_active_override_flag
	w.ue(0)     // to one reference picture
	w.put(0, 1) // ref_pic_list_modification_flag_l0
	if p.weighted {
		w.ue(0) // luma_log2_weight_denom
		if sps.ChromaFormatIdc != 0 {
			w.ue(0)
		}
		w.put(0, 1) // luma_weight_l0_flag
		if sps.ChromaFormatIdc != 0 {
			w.put(0, 1)
		}
	}
	if p.cabac {
		w.ue(0) // cabac_init_idc
	}
	w.se(skipQP - p.initQP)
	if p.deblocking {
		w.ue(1) // disable_deblocking_filter_idc
	}
	macroblocks := (sps.PicWidthInMbsMinus1 + 1) * (sps.PicHeightInMapUnitsMinus1 + 1)
	if p.cabac {
		w.align(1)
		w.buf = appendSkipped(w.buf, macroblocks)
	} else {
		w.ue(macroblocks) // mb_skip_run
		w.put(1, 1)
		w.align(0)
	}
	nal := append([]byte{0x01}, escape(w.buf)...) // nal_ref_idc 0, a slice of a picture that is not IDR
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(nal))), nal...)
}

// newestSlice is the head of the access unit's last slice.
func (s *stiller) newestSlice(au []byte) (h sliceHead, found bool) {
	for len(au) > 4 {
		n := binary.BigEndian.Uint32(au)
		if n == 0 || uint64(n) > uint64(len(au)-4) {
			return h, false
		}
		if x, ok := s.head(au[4 : 4+n]); ok {
			h, found = x, true
		}
		au = au[4+n:]
	}
	return h, found
}

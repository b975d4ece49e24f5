package mediatest

import (
	"encoding/binary"

	"mediad/media"
)

// H264Track is a High profile track of w x h with fpsNum/fpsDen in its VUI; fpsNum 0 leaves the VUI out.
func H264Track(w, h int, fpsNum, fpsDen uint32) *media.Track {
	avcC, err := media.AVCC(h264SPS(w, h, fpsNum, fpsDen), []byte{0x68, 0xee, 0x3c, 0x80})
	return must(avcC, err, media.NewH264)
}

// AACTrack is an AAC-LC track.
func AACTrack(rate, channels int) *media.Track {
	index := uint32(15)
	for i, r := range []int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350} {
		if r == rate {
			index = uint32(i)
		}
	}
	var w bits
	w.put(2, 5)
	w.put(index, 4)
	if index == 15 {
		w.put(uint32(rate), 24)
	}
	w.put(uint32(channels), 4)
	w.put(0, 3)
	return must(w.buf, nil, media.NewAAC)
}

// OpusTrack is a stereo Opus track with frames of 20 ms.
func OpusTrack() *media.Track {
	dOps := []byte{0, 2, 1, 56, 0, 0, 0xbb, 0x80, 0, 0, 0}
	return must(dOps, nil, media.NewOpus)
}

// must ends the test run where a record made here is wrong: that is a fault of this package.
func must(record []byte, err error, f func([]byte) (*media.Track, error)) *media.Track {
	if err != nil {
		panic(err)
	}
	t, err := f(record)
	if err != nil {
		panic(err)
	}
	return t
}

// h264SPS writes a sequence parameter set (H.264 7.3.2.1.1): High profile, level 3.1, 4:2:0, one reference
// frame plus what B-frames need, progressive.
func h264SPS(w, h int, fpsNum, fpsDen uint32) []byte {
	var b bits
	b.put(0x67, 8)
	b.put(100, 8)
	b.put(0, 8)
	b.put(31, 8)
	b.ue(0) // seq_parameter_set_id
	b.ue(1) // chroma_format_idc
	b.ue(0)
	b.ue(0)
	b.put(0, 2)
	b.ue(0) // log2_max_frame_num_minus4
	b.ue(0) // pic_order_cnt_type
	b.ue(4) // log2_max_pic_order_cnt_lsb_minus4
	b.ue(4) // max_num_ref_frames
	b.put(0, 1)
	mbW, mbH := (w+15)/16, (h+15)/16
	b.ue(uint32(mbW - 1))
	b.ue(uint32(mbH - 1))
	b.put(1, 1) // frame_mbs_only_flag
	b.put(1, 1) // direct_8x8_inference_flag
	cropX, cropY := (mbW*16-w)/2, (mbH*16-h)/2
	if cropX|cropY != 0 {
		b.put(1, 1)
		b.ue(0)
		b.ue(uint32(cropX))
		b.ue(0)
		b.ue(uint32(cropY))
	} else {
		b.put(0, 1)
	}
	if fpsNum == 0 {
		b.put(0, 1)
	} else {
		b.put(1, 1) // vui_parameters_present_flag
		b.put(0, 4) // aspect ratio, overscan, video signal, chroma location
		b.put(1, 1) // timing_info_present_flag
		b.put(fpsDen, 32)
		b.put(2*fpsNum, 32)
		b.put(1, 1) // fixed_frame_rate_flag
		b.put(0, 4) // HRD parameters, pic_struct, bitstream restriction
	}
	b.put(1, 1) // stop bit
	return escape(b.buf)
}

// escape puts emulation prevention bytes in.
func escape(nal []byte) []byte {
	var out []byte
	zeros := 0
	for _, c := range nal {
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

// bits writes bits, most significant first.
type bits struct {
	buf []byte
	n   int
}

func (w *bits) put(v uint32, n int) {
	for i := n - 1; i >= 0; i-- {
		if w.n%8 == 0 {
			w.buf = append(w.buf, 0)
		}
		w.buf[w.n/8] |= byte(v>>i&1) << (7 - w.n%8)
		w.n++
	}
}

func (w *bits) ue(v uint32) {
	n := 0
	for (v+1)>>(n+1) != 0 {
		n++
	}
	w.put(0, n)
	w.put(v+1, n+1)
}

// slice is one picture as one H.264 NAL unit behind its length; number varies the bytes, size counts all of them.
func slice(kind pictureKind, number, size int) []byte {
	switch kind {
	case idr:
		return sliceOf(0x65, 7, number, size) // I
	case openI:
		sei := []byte{0, 0, 0, 5, 0x06, 6, 1, 0xc4, 0x80} // recovery point: recovery_frame_cnt 0, exact match
		return append(sei, sliceOf(0x61, 7, number, size-len(sei))...)
	case disposable:
		return sliceOf(0x01, 6, number, size) // B
	default:
		return sliceOf(0x41, 5, number, size) // P
	}
}

func sliceOf(header byte, sliceType uint32, number, size int) []byte {
	var b bits
	b.put(uint32(header), 8)
	b.ue(0) // first_mb_in_slice
	b.ue(sliceType)
	return pad(b.buf, number, size)
}

// pad fills a NAL unit up to size bytes with its length in front; the filling holds no zero, so nothing needs escaping.
func pad(nal []byte, number, size int) []byte {
	size = max(size, 4+len(nal)+4)
	out := make([]byte, 4, size)
	binary.BigEndian.PutUint32(out, uint32(size-4))
	out = append(out, nal...)
	for i := 0; len(out) < size; i++ {
		out = append(out, byte(number>>(8*(i%4)))|0x11)
	}
	return out
}

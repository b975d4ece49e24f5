package nut

import "encoding/binary"

// maxDistance is the largest that a file may declare; with the pipe flag nothing depends on it.
const maxDistance = 65536

// AppendHeader appends what a file of one stream begins with.
func AppendHeader(b []byte, s Stream) []byte {
	b = append(b, fileID...)

	var p []byte
	p = appendV(p, 4) // version
	p = appendV(p, 0) // minor version
	p = appendV(p, 1) // streams
	p = appendV(p, maxDistance)
	p = appendV(p, 1) // time bases
	p = appendV(p, uint64(s.TimeBase.Num))
	p = appendV(p, uint64(s.TimeBase.Den))
	// One entry serves all frame codes: everything is said in the frame.
	p = appendV(p, flagCoded)
	p = appendV(p, 6)   // fields that follow
	p = appendV(p, 0)   // pts delta
	p = appendV(p, 1)   // multiplier of sizes
	p = appendV(p, 0)   // stream
	p = appendV(p, 0)   // size
	p = appendV(p, 0)   // reserved
	p = appendV(p, 255) // codes: all but N
	p = appendV(p, 0)   // headers that frames leave out
	p = appendV(p, mainPipe)
	b = appendPacket(b, mainCode, p)

	p = appendV(p[:0], 0) // stream
	p = appendV(p, uint64(s.Class))
	p = appendBytes(p, []byte(s.FourCC))
	p = appendV(p, 0) // time base
	p = appendV(p, 0) // bits of a short timestamp: none is short
	p = appendV(p, 1) // a jump by more than this needs a checksum, which all have
	p = appendV(p, uint64(s.DecodeDelay))
	p = appendV(p, 0) // flags
	p = appendBytes(p, s.Extra)
	switch s.Class {
	case Video:
		p = appendV(p, uint64(s.Width))
		p = appendV(p, uint64(s.Height))
		p = appendV(p, 0) // shape of a pixel: the bitstream knows
		p = appendV(p, 0)
		p = appendV(p, 0) // colours: the bitstream knows
	case Audio:
		p = appendV(p, uint64(s.SampleRate))
		p = appendV(p, 1)
		p = appendV(p, uint64(s.Channels))
	case Other:
	}
	b = appendPacket(b, streamCode, p)
	// FFmpeg takes the first syncpoint for the end of the headers, pipe or not.
	return appendPacket(b, syncpointCode, []byte{0, 0})
}

// AppendFrameHeader appends what stands before a frame's data. pts is not negative: NUT has no such times.
func AppendFrameHeader(b []byte, pts int64, key bool, size int) []byte {
	at := len(b)
	b = append(b, 0) // frame code
	flags := uint64(flagCodedPTS | flagSizeMSB | flagChecksum)
	if key {
		flags |= flagKey
	}
	b = appendV(b, flags)
	b = appendV(b, uint64(pts)+1) // one more than the longest short timestamp
	b = appendV(b, uint64(size))
	return binary.BigEndian.AppendUint32(b, crc(0, b[at:]))
}

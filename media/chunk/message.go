package chunk

import "encoding/binary"

// Message types of RTMP 1.0 that we tell apart (sections 5.4 and 7.1).
const (
	TypeSetChunkSize     = 1
	TypeAbort            = 2
	TypeAck              = 3
	TypeUserControl      = 4
	TypeWindowAckSize    = 5
	TypeSetPeerBandwidth = 6
	TypeAudio            = 8
	TypeVideo            = 9
	TypeDataAMF3         = 15
	TypeCommandAMF3      = 17
	TypeDataAMF0         = 18
	TypeCommandAMF0      = 20
	TypeAggregate        = 22
)

// Message is one whole RTMP message. Payload belongs to whoever receives it.
type Message struct {
	Type      uint8
	Stream    uint32 // message stream id
	Timestamp uint32 // absolute, milliseconds, wraps after 49.7 days
	Payload   []byte
}

// Append appends m as chunks of at most size payload bytes: a type-0 chunk and, where needed, type-3 chunks,
// with the extended timestamp repeated in each as 5.3.1.3 asks. id is 2 to 63.
func Append(dst []byte, id uint8, m Message, size int) []byte {
	var ext []byte
	ts := m.Timestamp
	if ts >= extended {
		ext = binary.BigEndian.AppendUint32(nil, ts)
		ts = extended
	}
	n := len(m.Payload)
	dst = append(dst, id, byte(ts>>16), byte(ts>>8), byte(ts), byte(n>>16), byte(n>>8), byte(n), m.Type)
	dst = binary.LittleEndian.AppendUint32(dst, m.Stream)
	dst = append(dst, ext...)
	for p := m.Payload; ; {
		c := min(len(p), size)
		dst = append(dst, p[:c]...)
		if p = p[c:]; len(p) == 0 {
			return dst
		}
		dst = append(dst, 3<<6|id)
		dst = append(dst, ext...)
	}
}

func uint24(b []byte) uint32 { return uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2]) }

package rtc

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// canSegment says that the kernel may cut what it is given into datagrams, which it tells by trying.
const canSegment = true

// writeSegments has the kernel cut all into datagrams of size bytes. False says that it cannot and nothing was sent; any other
// error is a loss.
func (c *packetConn) writeSegments(all []byte, size int, to netip.AddrPort) bool {
	var control [32]byte
	h := unix.CmsgLen(2)
	oob := control[:unix.CmsgSpace(2)]
	switch unix.SizeofPtr {
	case 8:
		binary.NativeEndian.PutUint64(oob, uint64(h))
	default:
		binary.NativeEndian.PutUint32(oob, uint32(h))
	}
	at := unix.CmsgLen(0)
	binary.NativeEndian.PutUint32(oob[at-8:], unix.IPPROTO_UDP)
	binary.NativeEndian.PutUint32(oob[at-4:], unix.UDP_SEGMENT)
	binary.NativeEndian.PutUint16(oob[at:], uint16(size))
	_, _, err := c.WriteMsgUDPAddrPort(all, oob, to)
	// A kernel before 4.18, a device that has no checksums for it, or a path that packets of this size do not fit.
	for _, cannot := range []syscall.Errno{unix.EINVAL, unix.EIO, unix.EOPNOTSUPP, unix.ENOPROTOOPT, unix.EMSGSIZE} {
		if errors.Is(err, cannot) {
			return false
		}
	}
	return true
}

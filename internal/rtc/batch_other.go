//go:build !linux

package rtc

import "net/netip"

const canSegment = false

func (*packetConn) writeSegments([]byte, int, netip.AddrPort) bool { return false }

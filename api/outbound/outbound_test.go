package outbound

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestOnlyPublicAddressesAreCalled(t *testing.T) {
	for text, want := range map[string]bool{
		"1.1.1.1": true, "8.8.8.8": true, "93.184.216.34": true, "2606:4700::1111": true, "2a00:1450:4001::1": true, "::ffff:8.8.8.8": true,
		"0.0.0.0": false, "0.1.2.3": false, "10.0.0.1": false, "100.64.0.1": false, "100.100.100.200": false, "127.0.0.1": false, "127.1.2.3": false,
		"169.254.0.1": false, "169.254.169.254": false, "172.16.0.1": false, "172.31.255.255": false, "172.32.0.1": true, "192.0.0.192": false,
		"192.0.2.1": false, "192.168.1.1": false, "198.18.0.1": false, "198.51.100.1": false, "203.0.113.1": false, "224.0.0.1": false,
		"239.255.255.250": false, "240.0.0.1": false, "255.255.255.255": false, "168.63.129.16": false,
		"::": false, "::1": false, "::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "::ffff:169.254.169.254": false, "::ffff:0.0.0.0": false,
		"::127.0.0.1": false, "64:ff9b::7f00:1": false, "64:ff9b::a9fe:a9fe": false, "64:ff9b:1::1": false, "64:ff9b::808:808": false, "100::1": false,
		"2001::1": false, "2001:db8::1": false, "2002:7f00:1::1": false, "2002:a9fe:a9fe::1": false, "3fff::1": false,
		"fc00::1": false, "fd00:ec2::254": false, "fe80::1": false, "fe80::1%eth0": false, "fec0::1": false, "ff02::1": false, "4000::1": false,
	} {
		addr := netip.MustParseAddr(text)
		assert.Equal(t, want, Guard{}.Allowed(addr), text)
		assert.Equal(t, want || addr.Unmap().IsLoopback(), Guard{Loopback: true}.Allowed(addr), "%s where one develops", text)
	}
	assert.False(t, Guard{Loopback: true}.Allowed(netip.Addr{}))
	barred := Guard{Loopback: true, Barred: []uint16{9090}}
	assert.ErrorIs(t, barred.Check(netip.MustParseAddrPort("[::ffff:127.0.0.1]:9090")), ErrAddress)
	assert.NoError(t, barred.Check(netip.MustParseAddrPort("127.0.0.1:1935")))
	assert.ErrorIs(t, barred.Control(t.Context(), "tcp", "localhost:1935", nil), ErrAddress, "a name is no address yet")
}

package main

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"mediad/configs"
)

// TestNothingIsForwardedToTheSiteItself by one of its names, whatever addresses its machine has.
func TestNothingIsForwardedToTheSiteItself(t *testing.T) {
	t.Parallel()
	c := &configs.Config{}
	c.Site.IngestHost, c.Site.PublicURL = "127.0.0.7", "https://[2606:4700::1]:8443/"
	c.Ingest.Open = true // and so loopback may be called
	allowed := forwarding{outboundGuard(c)}.allowedBut(newOwnPlaces(c, []int{1935, 1936}))
	require.ErrorIs(t, allowed(netip.MustParseAddrPort("127.0.0.7:1935")), errOwnPlace)
	require.ErrorIs(t, allowed(netip.MustParseAddrPort("[2606:4700::1]:1936")), errOwnPlace)
	require.NoError(t, allowed(netip.MustParseAddrPort("127.0.0.7:1940")))
	require.NoError(t, allowed(netip.MustParseAddrPort("127.0.0.8:1935")))
}

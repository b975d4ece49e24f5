// Package rtc is what WHIP and WHEP share: the sockets that all WebRTC sessions go over, and the words that are exchanged
// about them.
//
//	peer ──UDP──┐                           ┌── PeerConnection of a publisher (ingest/whip)
//	            ├─ Server: one port, told ──┤
//	peer ──TCP──┘  apart by ICE user name   └── PeerConnection of a viewer (egress/whep)
//
// The server is an ICE lite agent: it is where it says it is, waits for the peer's checks and sends none, so that an offer with
// foreign addresses makes no traffic to them. What a peer may offer is judged by CheckOffer before pion sees it.
//
// Goroutines: pion reads the UDP socket in one, accepts on the TCP listener in another and has one for each TCP connection.
// Those of a PeerConnection end with its GracefulClose, which whoever made it calls before Server.Close.
package rtc

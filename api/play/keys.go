package play

import (
	"encoding/base64"
	"net/netip"
	"time"

	"mediad/api/caller"
	"mediad/api/limit"
	"mediad/store/seal"
)

// Keys names viewers and where they are by keyed hashes, so that addresses are stored nowhere. All nodes of a site make the same ones.
type Keys struct{ Secrets *seal.Ring }

// keyBytes is what is kept of a hash: two of them are never equal by chance.
const keyBytes = 16

func (k Keys) hash(purpose, value string) string {
	return base64.RawURLEncoding.EncodeToString(k.Secrets.Derive(purpose, value)[0][:keyBytes])
}

// Place is where somebody watches from: address (of IPv6 the /64, which is one household) and agent.
func (k Keys) Place(ip, agent string) string {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		addr = netip.Addr{}
	}
	return k.hash("play place", limit.Caller(addr)+"\n"+agent)
}

// network is the address alone.
func (k Keys) network(p caller.Peer) string { return k.hash("play network", limit.Caller(p.Addr)) }

// viewer is who watches: the user, else who keeps the id, else whoever has the address and agent on that day.
func (k Keys) viewer(userID, viewerID string, p caller.Peer, at time.Time) string {
	switch {
	case userID != "":
		return k.hash("play viewer", "user "+userID)
	case viewerID != "":
		return k.hash("play viewer", "id "+viewerID)
	}
	return k.hash("play viewer", at.UTC().Format(time.DateOnly)+" "+limit.Caller(p.Addr)+"\n"+p.Agent)
}

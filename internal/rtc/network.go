package rtc

import (
	"sync"
	"time"

	"github.com/pion/transport/v5"
	"github.com/pion/transport/v5/stdnet"
)

// interfacesFor is how long the list of this machine's addresses is good for. pion would keep the first for ever, and a laptop
// changes networks.
const interfacesFor = time.Second

// network is the machine's network as pion asks for it.
type network struct {
	stdnet.Net

	mu    sync.Mutex // guards the following
	known []*transport.Interface
	at    time.Time
}

// Interfaces lists the machine's interfaces as they are now, or were a moment ago: each offer asks twice.
func (n *network) Interfaces() ([]*transport.Interface, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if now := time.Now(); n.known == nil || now.Sub(n.at) >= interfacesFor {
		fresh, err := stdnet.NewNet()
		if err != nil {
			return nil, err
		}
		if n.known, err = fresh.Interfaces(); err != nil {
			return nil, err
		}
		n.at = now
	}
	return n.known, nil
}

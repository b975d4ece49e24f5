package live

import "context"

// Judge says whether Publish would take the key, for a peer whose media cannot be taken: nil, or what Publish says. Nobody is let in.
func (h *Hub) Judge(ctx context.Context, key string, peer Peer) error {
	grant, err := h.authorize(ctx, key, peer)
	if err != nil {
		h.refused(grant, peer, ReasonOf(err))
	}
	return err
}

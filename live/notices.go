package live

import (
	"log/slog"
	"strings"
	"sync"
)

// notices carries what happened to the Observer: in order, and outside the locks under which it happened. Whoever finds
// nobody delivering delivers.
type notices struct {
	mu         sync.Mutex // guards what follows
	queue      []Notice
	delivering bool
}

// queueNotice may be called under any lock; deliver follows when it is released.
func (h *Hub) queueNotice(n Notice) {
	h.notices.mu.Lock()
	h.notices.queue = append(h.notices.queue, n)
	h.notices.mu.Unlock()
}

// deliver hands everything queued to the Observer; no lock is held by the caller.
func (h *Hub) deliver() {
	ns := &h.notices
	ns.mu.Lock()
	if ns.delivering {
		ns.mu.Unlock()
		return
	}
	ns.delivering = true
	for len(ns.queue) > 0 {
		batch := ns.queue
		ns.queue = nil
		ns.mu.Unlock()
		for _, n := range batch {
			h.logNotice(n)
			h.o.Observer.Notice(n)
		}
		ns.mu.Lock()
	}
	ns.delivering = false
	ns.mu.Unlock()
}

// logNotice logs the life of sessions; connections are logged by those who own them.
func (h *Hub) logNotice(n Notice) {
	var what string
	switch n.Kind {
	case SessionStarted, SessionAway, SessionResumed, SessionEnded:
		what = strings.ReplaceAll(string(n.Kind), "_", " ")
	default:
		return
	}
	attrs := []any{slog.String("stream", n.Stream), slog.String("session", n.Session)}
	if n.Reason != "" {
		attrs = append(attrs, slog.String("reason", string(n.Reason)))
	}
	if n.Peer.Protocol != "" {
		attrs = append(attrs, slog.String("protocol", n.Peer.Protocol), slog.String("encoder", n.Peer.Encoder))
	}
	h.o.Log.Info(what, attrs...)
}

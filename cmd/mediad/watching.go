package main

import (
	"net/http"

	"mediad/api/play"
	"mediad/packager/origin"
)

// watching is who watches now, and what players tell of themselves.
type watching struct {
	audience *play.Audience
	plays    *play.Service
}

// newWatching joins what pages tell with those who ask for playlists and those who play by WHEP.
func (n *node) newWatching(media *origin.Handler, doors *fronts) watching {
	audience := play.NewAudience(play.AudienceOptions{
		OnAir: n.onAir, Connections: doors.eachViewer, Playlists: media.Viewers, Shared: n.site.shared.people, Now: n.now, Log: n.log,
	})
	return watching{audience, play.New(play.Options{
		DB: n.site.db, Streams: n.site.streams, Videos: n.site.videos, Relations: n.site.relations, Keys: n.places(), Audience: audience,
		Session: n.sessionOf, Now: n.now, Log: n.log,
	})}
}

// viewers is how many watch a stream.
func (w watching) viewers(stream string) int { return w.audience.Counts(stream).Total() }

// places names from where people watch.
func (n *node) places() play.Keys { return play.Keys{Secrets: n.site.secrets} }

// placeOf is from where somebody asks.
func (n *node) placeOf(r *http.Request) string { return n.places().Place(n.clientIP(r), r.UserAgent()) }

func (n *node) onAir() []play.OnAir {
	statuses := n.hub.Live()
	here := make(map[string]bool, len(statuses))
	out := make([]play.OnAir, 0, len(statuses))
	for i := range statuses {
		if s := &statuses[i]; s.SessionID != "" {
			out = append(out, play.OnAir{Stream: s.Stream, Session: s.SessionID})
			here[s.Stream] = true
		}
	}
	for slug, other := range n.others.all() { // who watches tells any node
		if !here[slug] {
			out = append(out, play.OnAir{Stream: slug, Session: other.row.ID})
		}
	}
	return out
}

func (n *node) sessionOf(slug string) (string, bool) {
	if s, ok := n.hub.Lookup(slug); ok && s.SessionID != "" {
		return s.SessionID, true
	}
	other, ok := n.others.session(slug)
	return other.row.ID, ok
}

package ingest

import (
	"mediad/live"
	"mediad/media"
)

// MaxLayers is how many layers of a publisher's picture are taken beside the source.
const MaxLayers = 6

// layerPublisher is a Publisher that takes layers; *live.Publisher is one.
type layerPublisher interface{ SetLayers(layers []*media.Track) }

var _ layerPublisher = (*live.Publisher)(nil)

// layers are further encodings of the source's picture. They do not pass the firewall: their pictures are the source's, so what it made of a
// picture of the source it makes of the same picture of a layer.
type layers struct {
	tracks [MaxLayers]*media.Track
	count  int
	stale  [MaxLayers]bool // the epoch that goes on began without this configuration
	moves  [64]move
	next   int
	newest int // of those that are known
	some   bool
}

// move is what the firewall made of one picture of the source.
type move struct {
	data             *byte // whose picture; nil once it has left the firewall
	fromDTS, fromPTS media.Ticks
	toDTS, toPTS     media.Ticks
	known            bool
}

// came notes a picture of the source that goes into the firewall.
func (l *layers) came(au *media.AccessUnit) {
	if l.count == 0 || au.Kind != media.Video || len(au.Data) == 0 {
		return
	}
	l.moves[l.next] = move{data: &au.Data[0], fromDTS: au.DTS, fromPTS: au.PTS}
	l.next = (l.next + 1) % len(l.moves)
}

// left notes one that has come out of it.
func (l *layers) left(au *media.AccessUnit) {
	if l.count == 0 || au.Kind != media.Video || len(au.Data) == 0 {
		return
	}
	for i := range l.moves {
		if m := &l.moves[i]; m.data == &au.Data[0] {
			m.data, m.toDTS, m.toPTS, m.known = nil, au.DTS, au.PTS, true
			l.newest, l.some = i, true
			return
		}
	}
}

// place moves a layer's picture as the source's was; false while nothing is known of the source.
func (l *layers) place(au *media.AccessUnit) bool {
	if !l.some || !l.moves[l.newest].known {
		return false
	}
	last := &l.moves[l.newest]
	dts, pts := au.DTS+last.toDTS-last.fromDTS, au.PTS+last.toPTS-last.fromPTS
	for i := range l.moves {
		m := &l.moves[i]
		if !m.known {
			continue
		}
		if m.fromDTS == au.DTS {
			dts = m.toDTS
		}
		if m.fromPTS == au.PTS {
			pts = m.toPTS
		}
	}
	au.DTS, au.PTS = dts, max(pts, dts)
	return true
}

// begin tells the publisher of the layers of the epoch that begins.
func (l *layers) begin(p Publisher) {
	to, ok := p.(layerPublisher)
	if !ok || l.count == 0 {
		return
	}
	to.SetLayers(append([]*media.Track(nil), l.tracks[:l.count]...))
	l.stale = [MaxLayers]bool{}
}

// Layer tells the decoder configuration of layer n, which counts from 1 to MaxLayers; see media.AccessUnit.Layer. It is of the epochs that begin
// from now on: a layer never ends the source's epoch, and one whose configuration changes has nothing more in the epoch that goes on.
func (f *Feed) Layer(n uint8, t *media.Track) {
	if n == 0 || n > MaxLayers || t == nil || t.Kind != media.Video {
		return
	}
	l := &f.layers
	if old := l.tracks[n-1]; old != nil && old.Same(t) {
		return
	}
	l.tracks[n-1] = t
	l.count = max(l.count, int(n))
	l.stale[n-1] = f.started
}

// WriteLayer takes one access unit of a layer, with the source's timestamps. It counts towards the publisher's limits; otherwise it is a layer's
// own loss where nothing can be made of it. An error, which carries a live.Reason, ends the publication.
func (f *Feed) WriteLayer(au media.AccessUnit) error {
	now := f.now()
	if err := f.limits.check(&f.rate, len(au.Data), now); err != nil {
		return err
	}
	l, n := &f.layers, int(au.Layer)
	if n == 0 || n > l.count || l.tracks[n-1] == nil || l.stale[n-1] || au.Kind != media.Video {
		return nil
	}
	if !l.place(&au) {
		return nil
	}
	if f.started {
		return f.writeKept(&au)
	}
	if p := &f.pending; p.key >= 0 && p.bytes < maxPending {
		p.units = append(p.units, kept{au, now})
		p.bytes += len(au.Data)
	}
	return nil
}

// writeKept is write, also for layers: what is kept for an epoch may be of those.
func (f *Feed) writeKept(au *media.AccessUnit) error {
	if au.Layer == 0 {
		return f.write(au)
	}
	if _, ok := f.pub.(layerPublisher); !ok || !f.epoch[media.Video] {
		return nil
	}
	if media.VideoTimescale.Duration(au.PTS) < f.start {
		return nil
	}
	return f.pub.Write(*au)
}

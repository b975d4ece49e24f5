package whep

import (
	"context"
	"errors"
	"slices"
	"time"

	"mediad/media"
)

// rung is one rendition that is read.
type rung struct {
	layer      *layer
	track      *media.Track
	packetizer packetizer
}

// followRungs reads what is encoded of the session until ctx ends. A reader that ends early is begun again.
func (b *broadcast) followRungs(ctx context.Context) error {
	rungs := map[string]*rung{}
	for ctx.Err() == nil {
		r, err := b.s.o.Rungs.Follow(b.session)
		b.followed(err)
		if err == nil {
			err = b.readRungs(ctx, r, rungs)
			r.Close()
		}
		if ctx.Err() == nil && !errors.Is(err, ErrNoRungs) {
			b.log.Debug("whep: rungs ended", "error", err)
		}
		b.shedAll()
		t := time.NewTimer(retryEvery)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
		}
	}
	return nil
}

// followed notes what asking for rungs has brought.
func (b *broadcast) followed(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.noRungs = errors.Is(err, ErrNoRungs)
	if b.asked != nil {
		close(b.asked)
		b.asked = nil
	}
	b.dismiss()
}

func (b *broadcast) readRungs(ctx context.Context, r RungReader, rungs map[string]*rung) error {
	for {
		e, err := r.Next(ctx)
		if err != nil {
			return err
		}
		g := rungs[e.Rung]
		switch e.Kind {
		case media.EncodedTrack:
			if e.Track == nil || e.Track.Codec != media.H264 {
				continue // the sound, which is AAC
			}
			if g == nil {
				g = &rung{layer: newLayer(e.Rung, true)}
				rungs[e.Rung] = g
				b.insert(g.layer, e.Track)
			}
			g.track, g.packetizer = e.Track, newPacketizer(e.Track)
		case media.EncodedUnit:
			if g == nil {
				continue
			}
			if f := b.frame(&g.packetizer, g.track, &e.Unit, b.session.Now()); f != nil {
				f.epoch = e.Epoch
				g.layer.add(f)
				if f.key {
					b.restore(g.layer)
				}
			}
		case media.EncodedShed:
			if g != nil {
				b.drop(g.layer)
			}
		case media.EncodedRestore: // the key frame that follows says so
		}
	}
}

// insert adds a rung in the order of its pictures' size. It is chosen once it has a key frame.
func (b *broadcast) insert(l *layer, t *media.Track) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l.pixels = t.Width * t.Height
	at := 0
	for at < len(b.rungs) && b.rungs[at].pixels >= l.pixels {
		at++
	}
	b.rungs = slices.Insert(b.rungs, at, l)
	l.off.Store(true)
}

// restore makes a rung one that can be chosen.
func (b *broadcast) restore(l *layer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !l.off.Swap(false) {
		return
	}
	if b.newLayer != nil {
		close(b.newLayer)
		b.newLayer = nil
	}
	for v := range b.viewers {
		v.wakeUp()
	}
}

// drop takes a rung out of the choice: nothing comes of it now.
func (b *broadcast) drop(l *layer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l.off.Store(true)
	l.clear()
	for v := range b.viewers {
		v.wakeUp()
	}
}

func (b *broadcast) shedAll() {
	b.mu.Lock()
	rungs := slices.Clone(b.rungs)
	b.mu.Unlock()
	for _, l := range rungs {
		b.drop(l)
	}
}

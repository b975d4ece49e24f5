package ingest

import (
	"errors"
	"fmt"
	"time"

	"mediad/live"
	"mediad/media"
)

var errTrack = errors.New("ingest: a track of the wrong kind or without timescale")

// pending is what is kept back until an epoch can begin. Video before its key frame is not: nothing can be done with it.
type pending struct {
	reason string
	units  []kept
	bytes  int
	seen   [media.Kinds]bool // a unit of the kind has come, kept or not
	video  time.Time         // arrival of the newest video unit, kept or not
	key    int               // index of the key frame in units, −1: none yet

	some   bool
	since  time.Time     // arrival of the first unit
	first  time.Duration // earliest and
	newest time.Duration // latest media time seen
}

type kept struct {
	au media.AccessUnit
	at time.Time // arrival
}

// reset forgets all. The storage stays for the next time: epochs of one publisher are alike.
func (p *pending) reset(reason string) {
	clear(p.units)
	*p = pending{reason: reason, units: p.units[:0], key: -1}
}

// waited is how long the epoch has been waited for, on the clock or in media, whichever is longer.
func (p *pending) waited(now time.Time) time.Duration {
	if !p.some {
		return 0
	}
	return max(now.Sub(p.since), p.newest-p.first)
}

// add keeps a unit of t. Audio that has become too old gives way.
func (p *pending) add(au *media.AccessUnit, now time.Time, t *media.Track) {
	at := t.Timescale.Duration(au.DTS)
	if !p.some {
		p.some, p.since, p.first, p.newest = true, now, at, at
	}
	p.first, p.newest = min(p.first, at), max(p.newest, at)
	p.seen[au.Kind] = true
	if au.Kind == media.Video {
		p.video = now
	}
	u := *au
	if u.Kind == media.Video && p.key < 0 {
		if !u.RandomAccess || u.OpenGOP && p.waited(now) < openAfter {
			return
		}
		// The pictures in front of it that refer back are dropped with all else that lies before the epoch.
		p.key, u.OpenGOP = len(p.units), false
	}
	p.units = append(p.units, kept{u, now})
	p.bytes += len(u.Data)
	if p.key < 0 {
		p.trim(at, t)
	}
}

// trim drops the oldest audio while there is no key frame; t is audio's, since nothing else is there.
func (p *pending) trim(newest time.Duration, t *media.Track) {
	n := 0
	for n < len(p.units)-1 {
		oldest := &p.units[n].au
		if newest-t.Timescale.Duration(oldest.DTS) <= maxPendingTime && p.bytes <= maxPending {
			break
		}
		p.bytes -= len(oldest.Data)
		n++
	}
	if n > 0 {
		rest := copy(p.units, p.units[n:])
		clear(p.units[rest:])
		p.units = p.units[:rest]
	}
}

// interrupt ends the epoch, if there is one. The next begins with a key frame.
func (f *Feed) interrupt(reason string) {
	if !f.started {
		reason = f.pending.reason // why the last one ended
	}
	f.started, f.joins = false, false
	f.pending.reset(reason)
}

// tryStart begins an epoch if both tracks are there, or have been awaited long enough, and video has its key
// frame. force ends the wait for a second track.
func (f *Feed) tryStart(now time.Time, force bool) error {
	p := &f.pending
	enough := force || p.waited(now) >= awaited || p.bytes > maxPending
	if p.seen[media.Video] && p.key < 0 && enough && now.Sub(p.video) >= awaited {
		p.seen[media.Video] = false // gone before its key frame came: it may join later
	}
	for k := range f.tracks {
		if !p.seen[k] && !f.none[k] && !enough {
			return nil
		}
	}
	first := p.key
	if !p.seen[media.Video] {
		first = 0
	}
	if first < 0 || first >= len(p.units) {
		return nil
	}
	u := &p.units[first]
	var tracks [media.Kinds]*media.Track
	for k, t := range f.tracks {
		f.epoch[k] = p.seen[k]
		// What this epoch is without is not awaited again by the next.
		f.none[k] = !p.seen[k]
		if p.seen[k] {
			tracks[k] = t
		}
	}
	f.start = tracks[u.au.Kind].Timescale.Duration(u.au.PTS)
	if f.epochs.add(now) {
		return live.Refuse(live.ReasonProtocolError, fmt.Errorf("ingest: more than %d new configurations or time jumps in a row, one a second", maxEpochs))
	}
	f.layers.begin(f.pub)
	if err := f.pub.StartEpoch(tracks, f.start, u.at, p.reason); err != nil {
		return err
	}
	f.log.Info("epoch began", "reason", p.reason, "video", describe(tracks[media.Video]), "audio", describe(tracks[media.Audio]))
	f.started = true
	for i := range p.units {
		if err := f.writeKept(&p.units[i].au); err != nil {
			return err
		}
	}
	p.reset("")
	return nil
}

// join takes a unit of a track that the epoch is without. Video brings its own key frame; audio waits for video's next
// one, so that no picture is lost, and is kept until then.
func (f *Feed) join(au *media.AccessUnit, now time.Time) error {
	if au.Kind == media.Video {
		if au.RandomAccess && !au.OpenGOP {
			return f.startJoined(au, now)
		}
		return nil
	}
	if !f.joins {
		f.joins = true
		f.pending.reset(EpochTrack)
	}
	f.pending.add(au, now, f.tracks[au.Kind])
	return nil
}

// startJoined begins the epoch of both tracks with a key frame.
func (f *Feed) startJoined(key *media.AccessUnit, now time.Time) error {
	at := f.tracks[key.Kind].Timescale.Duration(key.DTS)
	if f.joins && at-f.pending.newest > awaited {
		// The audio is gone again.
		f.joins = false
		f.pending.reset("")
		return f.write(key)
	}
	if !f.joins {
		f.pending.reset(EpochTrack)
		f.pending.seen[media.Audio] = true // it goes on
	}
	f.started, f.joins = false, false
	f.pending.add(key, now, f.tracks[key.Kind])
	return f.tryStart(now, true)
}

// describe names a track for a log line.
func describe(t *media.Track) string {
	if t == nil {
		return "none"
	}
	return t.RFC6381()
}

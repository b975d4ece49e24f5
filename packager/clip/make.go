package clip

import (
	"context"
	"fmt"
	"slices"
	"time"

	"mediad/media"
	"mediad/packager/cmaf"
	"mediad/packager/replay"
)

// Options are what Make needs of others.
type Options struct {
	// Read reads a segment. Required.
	Read func(ctx context.Context, rendition string, s *replay.Segment) ([]byte, error)
	// Encode makes pictures anew: those with times from a tick up to another, each at its time. units are in decoding order, the first
	// is a random access unit. It is given a bound in bits a second. Required where there are pictures.
	Encode func(ctx context.Context, of *media.Track, units []media.AccessUnit, from, to media.Ticks, bitrate int64) (*media.Track, []media.AccessUnit, error)
	// Copy takes whole segments into the clip: where they are they do not stay.
	Copy bool
}

// Made is a clip.
type Made struct {
	From, To   time.Time // of its pictures
	Renditions []Rendition
}

// Rendition is one rendition of a clip.
type Rendition struct {
	Name     string
	Kind     media.Kind
	Tracks   []replay.Track
	Segments []Segment
}

// Segment is a segment of a clip.
type Segment struct {
	replay.Segment
	// Data is what is to be stored of it; nil: it is a segment of the recording, of the same number.
	Data []byte
}

// Make makes a clip.
func (p *Plan) Make(ctx context.Context, o Options) (*Made, error) {
	m := &Made{}
	lead := Rendition{Name: p.Lead.Name, Kind: p.Lead.Kind}
	var sound *Rendition
	if p.Sound != nil {
		sound = &Rendition{Name: p.Sound.Name, Kind: p.Sound.Kind}
	}
	cut := func(c *Cut) error {
		if c == nil {
			return nil
		}
		span, err := p.cutLead(ctx, o, c, &lead)
		if err == nil && sound != nil && span != nil {
			err = p.cutSound(ctx, o, c, sound)
		}
		return err
	}
	if err := cut(p.Head); err != nil {
		return nil, err
	}
	joint := len(lead.Segments) > 0
	if err := p.whole(ctx, o, p.Lead, &lead, joint); err != nil {
		return nil, err
	}
	if sound != nil {
		if err := p.whole(ctx, o, p.Sound, sound, joint); err != nil {
			return nil, err
		}
	}
	if err := cut(p.Tail); err != nil {
		return nil, err
	}
	if len(lead.Segments) == 0 {
		return nil, ErrOutside
	}
	m.From, m.To = lead.Segments[0].Start, end(&lead.Segments[len(lead.Segments)-1].Segment)
	m.Renditions = append(m.Renditions, lead)
	if sound != nil && len(sound.Segments) > 0 {
		m.Renditions = append(m.Renditions, *sound)
	}
	return m, nil
}

// whole adds the segments of a rendition that stay as they are. joint: something is in front of them.
func (p *Plan) whole(ctx context.Context, o Options, of *replay.Rendition, to *Rendition, joint bool) error {
	for i := range of.Segments {
		s := Segment{Segment: of.Segments[i]}
		if s.MSN < p.First || s.MSN > p.Last {
			continue
		}
		s.Discontinuity = s.Discontinuity && s.MSN != p.First || joint && s.MSN == p.First
		if o.Copy && there(&s.Segment) {
			var err error
			if s.Data, err = o.Read(ctx, of.Name, &s.Segment); err != nil {
				return err
			}
		}
		if !slices.ContainsFunc(to.Tracks, func(t replay.Track) bool { return t.Epoch == s.Epoch }) {
			t := track(of, s.Epoch)
			if t == nil {
				return fmt.Errorf("clip: %s: no track of epoch %d", of.Name, s.Epoch)
			}
			to.Tracks = append(to.Tracks, *t)
		}
		to.Segments = append(to.Segments, s)
	}
	return nil
}

func track(of *replay.Rendition, epoch int64) *replay.Track {
	i := slices.IndexFunc(of.Tracks, func(t replay.Track) bool { return t.Epoch == epoch })
	if i < 0 {
		return nil
	}
	return &of.Tracks[i]
}

// tape is what segments hold that are read one after another.
type tape struct {
	track   *replay.Track
	scale   media.Timescale
	start   time.Time // of the first presented sample
	first   media.Ticks
	end     media.Ticks // behind the last presented sample
	bytes   int64
	units   []media.AccessUnit // in decoding order, each with its length
	decoded media.Ticks        // behind the last sample
}

// at is the tick of a moment.
func (t *tape) at(moment time.Time) media.Ticks { return t.first + t.scale.Ticks(moment.Sub(t.start)) }

// moment is the moment of a tick.
func (t *tape) moment(at media.Ticks) time.Time { return t.start.Add(t.scale.Duration(at - t.first)) }

// read reads segments of a rendition.
func read(ctx context.Context, o Options, of *replay.Rendition, segments []replay.Segment) (*tape, error) {
	t := &tape{track: track(of, segments[0].Epoch), start: segments[0].Start}
	if t.track == nil {
		return nil, fmt.Errorf("clip: %s: no track of epoch %d", of.Name, segments[0].Epoch)
	}
	t.scale = t.track.Track.Timescale
	for i := range segments {
		b, err := o.Read(ctx, of.Name, &segments[i])
		if err != nil {
			return nil, err
		}
		t.bytes += int64(len(b))
		fragments, err := cmaf.ReadFragments(b)
		if err != nil {
			return nil, fmt.Errorf("clip: %s, segment %d: %w", of.Name, segments[i].MSN, err)
		}
		for _, f := range fragments {
			t.add(of.Kind, f)
		}
	}
	if len(t.units) == 0 {
		return nil, fmt.Errorf("clip: %s, segment %d: %w: no sample", of.Name, segments[0].MSN, cmaf.ErrMalformed)
	}
	t.first = t.units[0].PTS
	for i := range t.units {
		t.first = min(t.first, t.units[i].PTS)
	}
	// The times of samples are shifted so that the first presented one has the time of the first in decoding order (design 2.3); so
	// they end together, too.
	t.end = max(t.end, t.decoded)
	return t, nil
}

func (t *tape) add(kind media.Kind, f cmaf.Fragment) {
	at := media.Ticks(f.BaseDecodeTime)
	for _, s := range f.Samples {
		pts := at + media.Ticks(s.CompOffset)
		t.units = append(t.units, media.AccessUnit{
			Kind: kind, DTS: at, PTS: pts, Duration: media.Ticks(s.Duration), RandomAccess: s.Sync || kind == media.Audio, Data: s.Data,
		})
		at += media.Ticks(s.Duration)
		t.end = max(t.end, pts+1)
	}
	t.decoded = at
}

// cutLead makes a cut end of the leading rendition; nil: there is no picture between its ends.
func (p *Plan) cutLead(ctx context.Context, o Options, c *Cut, to *Rendition) (*Segment, error) {
	t, err := read(ctx, o, p.Lead, c.Segments)
	if err != nil {
		return nil, err
	}
	if p.Lead.Kind == media.Audio {
		return t.cutSound(c, to)
	}
	for len(t.units) > 0 && !t.units[0].RandomAccess {
		t.units = t.units[1:] // nobody can decode them
	}
	if len(t.units) == 0 {
		return nil, nil
	}
	from, until := t.units[0].PTS, t.end
	if !c.From.IsZero() {
		from = max(from, t.at(c.From))
	}
	if !c.To.IsZero() {
		until = min(until, t.at(c.To))
	}
	times := make([]media.Ticks, 0, len(t.units)+1)
	for i := range t.units {
		times = append(times, t.units[i].PTS)
	}
	slices.Sort(times)
	times = append(times, t.end)
	lo, _ := slices.BinarySearch(times, from)
	hi, _ := slices.BinarySearch(times, until)
	if lo >= hi {
		return nil, nil
	}
	bitrate := int64(float64(t.bytes) * 8 / t.scale.Duration(t.end-t.first).Seconds() * 1.5)
	made, units, err := o.Encode(ctx, t.track.Track, t.units, from, until, max(bitrate, 300_000))
	if err != nil {
		return nil, err
	}
	if len(units) != hi-lo {
		return nil, fmt.Errorf("clip: %d pictures were made of %d", len(units), hi-lo)
	}
	samples := make([]cmaf.Sample, len(units))
	for i := range units {
		samples[i] = cmaf.Sample{Data: units[i].Data, Duration: uint32(times[lo+i+1] - times[lo+i]), Sync: units[i].RandomAccess}
	}
	init, err := cmaf.Init(made)
	if err != nil {
		return nil, fmt.Errorf("clip: %w", err)
	}
	return to.add(c, t, times[lo], times[hi], replay.Track{Track: made, Init: init}, samples), nil
}

// cutSound makes a cut end of the sound beside the leading rendition.
func (p *Plan) cutSound(ctx context.Context, o Options, c *Cut, to *Rendition) error {
	var segments []replay.Segment
	for i := range c.Segments {
		for j := range p.Sound.Segments {
			if s := &p.Sound.Segments[j]; s.MSN == c.Segments[i].MSN && there(s) {
				segments = append(segments, *s)
			}
		}
	}
	for i := range segments {
		if i > 0 && broken(&segments[i-1], &segments[i]) {
			return nil // it is a gap
		}
	}
	if len(segments) == 0 {
		return nil
	}
	t, err := read(ctx, o, p.Sound, segments)
	if err != nil {
		return err
	}
	_, err = t.cutSound(c, to)
	return err
}

// cutSound takes the frames of which most lies within the cut.
func (t *tape) cutSound(c *Cut, to *Rendition) (*Segment, error) {
	var samples []cmaf.Sample
	var from, until media.Ticks
	for i := range t.units {
		u := &t.units[i]
		middle := u.PTS + u.Duration/2
		if !c.From.IsZero() && middle < t.at(c.From) || !c.To.IsZero() && middle >= t.at(c.To) {
			continue
		}
		if len(samples) == 0 {
			from = u.PTS
		}
		until = u.PTS + u.Duration
		samples = append(samples, cmaf.Sample{Data: u.Data, Duration: uint32(u.Duration), Sync: true})
	}
	if len(samples) == 0 {
		return nil, nil
	}
	return to.add(c, t, from, until, *t.track, samples), nil
}

// add adds a cut end.
func (r *Rendition) add(c *Cut, t *tape, from, until media.Ticks, track replay.Track, samples []cmaf.Sample) *Segment {
	track.Epoch = c.Epoch
	r.Tracks = append(r.Tracks, track)
	data := cmaf.AppendFragment(make([]byte, 0, cmaf.FragmentSize(samples)), 1, uint64(from), r.Kind, samples)
	r.Segments = append(r.Segments, Segment{Data: data, Segment: replay.Segment{
		MSN: c.MSN, Epoch: c.Epoch, Start: t.moment(from), Duration: t.scale.Duration(until - from), Bytes: int64(len(data)),
		Discontinuity: len(r.Segments) > 0, Independent: true,
	}})
	return &r.Segments[len(r.Segments)-1]
}

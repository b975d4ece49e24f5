package replay

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"time"

	"mediad/media"
)

// Download is a video as one MP4 file that is made while it is sent:
//
//	ftyp moov sidx sidx │ moof mdat │ moof mdat │ …      video and audio of a segment in each
//
// The samples are those of the replay, byte for byte. Times change, since the file begins at 0 and the time that the publisher was
// away is closed up, and the fragments of a segment, and of the sound beside it, become one. They keep their size together, so that the length of the file, and where
// in it a segment is, are sums over the rows. It does not change; its methods may be called from any goroutine.
type Download struct {
	// Size is that of the file in bytes, Duration its length.
	Size     int64
	Duration time.Duration
	// ETag is the entity tag, with its quotes: other media, another tag.
	ETag string

	head   []byte
	pieces []piece
}

// piece is what the tracks have of one number, the pictures first.
type piece struct {
	shares []share
	end    int64 // offset in the file at which it ends
}

// share is one segment in the file.
type share struct {
	of      *VideoRendition
	segment *Segment
	track   uint32
	start   int64 // decode time of its first sample, in the track's timescale
}

// share is what a track has of the piece; nil: nothing.
func (p *piece) share(track uint32) *share {
	for i := range p.shares {
		if p.shares[i].track == track {
			return &p.shares[i]
		}
	}
	return nil
}

func (p *piece) bytes() (n int64) {
	for i := range p.shares {
		n += p.shares[i].segment.Bytes
	}
	return n
}

// ConfigError says that a video cannot be one file: no sample entry decodes all of its pictures, or all of its sound.
type ConfigError struct {
	Kind   media.Kind
	At     time.Duration // in the video
	Before string        // what it is until then
	After  string
}

func (e *ConfigError) Error() string {
	what := "picture"
	if e.Kind == media.Audio {
		what = "sound"
	}
	return fmt.Sprintf("replay: the %s changes at %s from %s to %s", what, e.At.Round(time.Second), e.Before, e.After)
}

// Download describes the file of a video: its largest rendition that has one configuration throughout, and the sound. It is a
// *ConfigError where there is none, or where the sound has several.
func (v *Video) Download() (*Download, error) {
	v.downloading.Do(func() { v.download, v.downloadErr = v.lay() })
	return v.download, v.downloadErr
}

// lane is one track of the file while its segments are laid out.
type lane struct {
	*VideoRendition
	id     uint32
	starts []int64 // of segments, in ticks
	end    int64   // of the last one
}

func (l *lane) scale() media.Timescale { return l.track.Timescale }

func (v *Video) lay() (*Download, error) {
	lanes, err := v.lanes()
	if err != nil {
		return nil, err
	}
	v.time(lanes)
	d := &Download{}
	for _, l := range lanes {
		d.Duration = max(d.Duration, l.scale().Duration(media.Ticks(l.end)))
	}
	d.pieces = interleave(lanes)
	if d.head, err = fileHead(lanes, d); err != nil {
		return nil, err
	}
	d.Size = int64(len(d.head))
	tag := sha256.New()
	_, _ = tag.Write(d.head)
	for i := range d.pieces {
		p := &d.pieces[i]
		d.Size += p.bytes()
		p.end = d.Size
		for _, s := range p.shares {
			_, _ = fmt.Fprintln(tag, s.of.name, s.segment.Epoch, s.segment.MSN, s.segment.Bytes, s.track, s.start)
		}
	}
	d.ETag = `"` + hex.EncodeToString(tag.Sum(nil)[:12]) + `"`
	return d, nil
}

// lanes are the pictures, if there are any, and the sound.
func (v *Video) lanes() ([]*lane, error) {
	var sound *VideoRendition
	var pictures []*VideoRendition
	for _, r := range v.renditions {
		if r.track.Kind == media.Audio {
			sound = r
		} else {
			pictures = append(pictures, r)
		}
	}
	slices.SortStableFunc(pictures, func(a, b *VideoRendition) int { return b.track.Height - a.track.Height })
	var lanes []*lane
	var first error
	for _, r := range pictures {
		err := v.constant(r)
		if err == nil {
			lanes, first = append(lanes, &lane{VideoRendition: r}), nil
			break
		}
		if first == nil {
			first = err
		}
	}
	if first != nil {
		return nil, first
	}
	if sound != nil {
		if err := v.constant(sound); err != nil {
			return nil, err
		}
		lanes = append(lanes, &lane{VideoRendition: sound})
	}
	for i, l := range lanes {
		l.id = uint32(i + 1)
	}
	return lanes, nil
}

// constant says, by a *ConfigError, that not all segments of a rendition have one init segment.
func (v *Video) constant(r *VideoRendition) error {
	before := r.segments[0].Epoch
	for i := range r.segments {
		s := &r.segments[i]
		if s.Epoch == before || string(r.inits[s.Epoch]) == string(r.inits[before]) {
			continue
		}
		return &ConfigError{
			Kind: r.track.Kind, At: v.position(s.MSN), Before: describe(r.tracks[before]), After: describe(r.tracks[s.Epoch]),
		}
	}
	return nil
}

// describe tells a viewer what a track is.
func describe(t *media.Track) string {
	if t.Kind == media.Audio {
		return fmt.Sprintf("%s of %d Hz, %d channels", t.RFC6381(), t.SampleRate, t.Channels)
	}
	return fmt.Sprintf("%s of %dx%d", t.RFC6381(), t.Width, t.Height)
}

// time gives every segment its place in the file. Between two joins all tracks are moved by one constant, so that sound and picture
// stay in step; at a join that constant is such that no track overlaps with what it has before, and the longest goes on at once.
func (v *Video) time(lanes []*lane) {
	next := make([]int, len(lanes))
	for _, cut := range append(slices.Clone(v.cuts), math.MaxUint64) {
		// Of each track, the segments up to the cut.
		var zero time.Time
		for i, l := range lanes {
			if from := next[i]; from < len(l.segments) && l.segments[from].MSN < cut {
				if s := l.segments[from].Start; zero.IsZero() || s.Before(zero) {
					zero = s
				}
			}
		}
		if zero.IsZero() {
			continue
		}
		at := time.Duration(0)
		for i, l := range lanes {
			if from := next[i]; from < len(l.segments) && l.segments[from].MSN < cut {
				at = max(at, l.scale().Duration(media.Ticks(l.end))-l.segments[from].Start.Sub(zero))
			}
		}
		for i, l := range lanes {
			next[i] = l.place(next[i], cut, zero, at)
		}
	}
}

// place gives the segments below cut their start: zero is at the time at in the file. It returns the first that is not below.
func (l *lane) place(from int, cut uint64, zero time.Time, at time.Duration) int {
	for i := from; i < len(l.segments); i++ {
		s := &l.segments[i]
		if s.MSN >= cut {
			return i
		}
		// The times of a track are whole ticks apart: counted from its own first segment, none is rounded to the wrong one.
		first := l.segments[from].Start
		start := max(int64(l.scale().Ticks(at+first.Sub(zero))), 0)
		if from > 0 {
			start = max(start, l.starts[from-1]+int64(l.scale().Ticks(l.segments[from-1].Duration)))
		}
		start += int64(l.scale().Ticks(s.Start.Sub(first)))
		l.starts = append(l.starts, start)
		l.end = start + int64(l.scale().Ticks(s.Duration))
	}
	return len(l.segments)
}

// interleave puts together what the tracks have of each number.
func interleave(lanes []*lane) []piece {
	var all []share
	for _, l := range lanes {
		for i := range l.segments {
			all = append(all, share{of: l.VideoRendition, segment: &l.segments[i], track: l.id, start: l.starts[i]})
		}
	}
	slices.SortStableFunc(all, func(a, b share) int { return cmp.Compare(a.segment.MSN, b.segment.MSN) })
	var out []piece
	for from := 0; from < len(all); {
		to := from + 1
		for to < len(all) && all[to].segment.MSN == all[from].segment.MSN {
			to++
		}
		out = append(out, piece{shares: all[from:to]})
		from = to
	}
	return out
}

// index lists where in the file the segments of a track are.
type index struct {
	*lane
	first int64 // bytes from the first piece of the file to that of the track
	refs  []reference
}

// reference is a stretch of the file that begins with a segment of the track.
type reference struct {
	bytes, ticks int64
	independent  bool
}

// maxReferences is how many a sidx can have (14496-12, 8.16.3); maxReferenced the bytes that one can have.
const (
	maxReferences = 1<<16 - 1
	maxReferenced = 1<<31 - 1
)

// index makes the index of a track; it has no references if it cannot be written.
func (l *lane) index(pieces []piece) index {
	x := index{lane: l}
	each := (len(l.segments) + maxReferences - 1) / maxReferences // more than one where there is more than a day of video
	seen := 0
	for i := range pieces {
		p := &pieces[i]
		if s := p.share(l.id); s != nil {
			if seen%each == 0 {
				x.refs = append(x.refs, reference{independent: s.segment.Independent || l.track.Kind == media.Audio})
			}
			seen++
			end := l.end
			if seen < len(l.starts) {
				end = l.starts[seen]
			}
			x.refs[len(x.refs)-1].ticks += end - s.start
		}
		if len(x.refs) == 0 {
			x.first += p.bytes()
			continue
		}
		r := &x.refs[len(x.refs)-1]
		r.bytes += p.bytes()
		if r.bytes > maxReferenced || r.ticks > math.MaxUint32 {
			return index{}
		}
	}
	return x
}

// nextTrackID is how many bytes the next free track id has, at the end of a mvhd (14496-12, 8.2.2).
const nextTrackID = 4

// fileHead is ftyp, moov and an index a track. The tracks are described as live delivery did.
func fileHead(lanes []*lane, d *Download) ([]byte, error) {
	brands := "iso6\x00\x00\x00\x00iso6isommp41"
	for _, l := range lanes {
		if l.track.Codec == media.AV1 {
			brands += "av01"
		}
	}
	b := appendBox(nil, "ftyp", []byte(brands))
	init := func(l *lane) []byte { return l.inits[l.segments[0].Epoch] }
	mvhd, err := find(init(lanes[0]), "moov", "mvhd")
	if err != nil {
		return nil, err
	}
	mvhd = slices.Clone(mvhd)
	version, _, body, err := full(mvhd, 96)
	if err != nil {
		return nil, err
	}
	if version != 0 {
		return nil, fmt.Errorf("%w: mvhd of version %d", ErrMedia, version)
	}
	binary.BigEndian.PutUint32(mvhd[len(mvhd)-nextTrackID:], uint32(len(lanes)+1))
	scale := media.Timescale(binary.BigEndian.Uint32(body[8:]))
	moov := slices.Clone(mvhd)
	mehd := binary.BigEndian.AppendUint64([]byte{1, 0, 0, 0}, uint64(scale.Ticks(d.Duration)))
	mvex := appendBox(nil, "mehd", mehd)
	for _, l := range lanes {
		trak, err := find(init(l), "moov", "trak")
		if err != nil {
			return nil, err
		}
		trak = slices.Clone(trak)
		tkhd, err := find(trak, "trak", "tkhd")
		if err != nil {
			return nil, err
		}
		trex, err := find(init(l), "moov", "mvex", "trex")
		if err != nil {
			return nil, err
		}
		trex = slices.Clone(trex)
		if err := errors.Join(putTrackID(tkhd, l.id), putTrackID(trex, l.id)); err != nil {
			return nil, err
		}
		moov, mvex = append(moov, trak...), append(mvex, trex...)
	}
	b = appendBox(b, "moov", appendBox(moov, "mvex", mvex))
	return append(b, indexes(lanes, d.pieces)...), nil
}

// indexes is a sidx for each track, by which players find a moment without reading what is in front of it; that of the pictures is the
// last. FFmpeg, and with it Chromium, needs that of the sound as well: it compares times of the sound with those of an index of the
// pictures without regard to their timescales.
func indexes(lanes []*lane, pieces []piece) []byte {
	var b []byte
	for _, l := range lanes { // from the last to the first: each must know how long those behind it are
		x := l.index(pieces)
		if len(x.refs) == 0 {
			return nil
		}
		x.first += int64(len(b))
		b = append(appendBox(nil, "sidx", x.sidx()), b...)
	}
	return b
}

// sidx is the body of the index (14496-12, 8.16.3).
func (x index) sidx() []byte {
	s := []byte{1, 0, 0, 0}
	s = binary.BigEndian.AppendUint32(s, x.id)
	s = binary.BigEndian.AppendUint32(s, uint32(x.scale()))
	s = binary.BigEndian.AppendUint64(s, uint64(x.starts[0]))
	s = binary.BigEndian.AppendUint64(s, uint64(x.first))
	s = binary.BigEndian.AppendUint32(s, uint32(len(x.refs)))
	for _, r := range x.refs {
		s = binary.BigEndian.AppendUint32(s, uint32(r.bytes))
		s = binary.BigEndian.AppendUint32(s, uint32(r.ticks))
		access := uint32(0)
		if r.independent {
			access = 1<<31 | 1<<28 // begins with an access point of type 1
		}
		s = binary.BigEndian.AppendUint32(s, access)
	}
	return s
}

func appendBox(b []byte, name string, body []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(boxHead+len(body)))
	return append(append(b, name...), body...)
}

// piece is the first one that goes beyond an offset of the file.
func (d *Download) piece(offset int64) int {
	return sort.Search(len(d.pieces), func(i int) bool { return d.pieces[i].end > offset })
}

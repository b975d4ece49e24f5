package replay

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"sync"
	"time"

	"mediad/media"
	"mediad/packager/playlist"
)

// ErrEmpty says that nothing of a recording can be played.
var ErrEmpty = errors.New("replay: nothing was recorded")

// Video is a recording as viewers see it. It does not change; its methods may be called from any goroutine.
type Video struct {
	// Duration is that of the media, without the time that the publisher was away.
	Duration time.Duration
	// Bytes are those of all renditions that are shown.
	Bytes int64

	main         playlist.Document
	renditions   []*VideoRendition // the pictures from large to small, then the sound
	variants     []playlist.Variant
	segmentCount int
	line         []mark   // rising in MSN
	cuts         []uint64 // those with a discontinuity in front, rising

	downloading sync.Once // what follows is made by the first who asks
	download    *Download
	downloadErr error
}

// mark is where a segment begins in the video, when it was published, and how long it is.
type mark struct {
	msn    uint64
	at     time.Duration
	start  time.Time
	length time.Duration
}

// VideoRendition is one media playlist of a Video and what it lists.
type VideoRendition struct {
	name     string
	playlist playlist.Document
	track    *media.Track // of its newest epoch
	tracks   map[int64]*media.Track
	inits    map[int64][]byte
	segments []Segment // rising in MSN
	remote   func(rendition string, epoch int64, msn uint64) string
}

// New makes a Video of a recording.
//
// The rendition with most segments leads: the source, or what stood in its place. Another one with pictures is shown where it has
// every segment that the leading one has, so that a player may change at any time. A segment that is in none is left out, with a
// discontinuity in its place; what the leading one or the sound alone lacks is EXT-X-GAP.
func New(rec Recording) (*Video, error) {
	lead, sound := leading(rec.Renditions)
	if lead == nil {
		return nil, ErrEmpty
	}
	b := builder{remote: rec.Remote, lead: lead, sound: sound}
	b.line()
	if len(b.msns) == 0 {
		return nil, ErrEmpty
	}
	v := &Video{}
	for i := range rec.Renditions {
		r := &rec.Renditions[i]
		if r == lead || r == sound || r.Kind == media.Video && b.complete(r) {
			if err := v.add(&b, r); err != nil {
				return nil, err
			}
		}
	}
	for _, msn := range b.msns {
		if b.cut[msn] {
			v.cuts = append(v.cuts, msn)
		}
	}
	return v, v.describe()
}

// leading are the rendition that leads, and the sound beside it if there is one.
func leading(all []Rendition) (lead, sound *Rendition) {
	most := 0
	for i := range all {
		r := &all[i]
		if r.Kind == media.Audio {
			sound = r
			continue
		}
		if n := r.count(); n > most || n == most && n > 0 && larger(r, lead) {
			lead, most = r, n
		}
	}
	if lead == nil && sound != nil && sound.count() > 0 {
		return sound, nil
	}
	if sound != nil && sound.count() == 0 {
		sound = nil
	}
	return lead, sound
}

func larger(a, b *Rendition) bool {
	return len(a.Tracks) > 0 && len(b.Tracks) > 0 && a.Tracks[0].Track.Height > b.Tracks[0].Track.Height
}

// count is how many of a rendition's segments can be fetched.
func (r *Rendition) count() (n int) {
	for i := range r.Segments {
		if r.Segments[i].there() {
			n++
		}
	}
	return n
}

// find is the segment of that number; nil if there is none.
func (r *Rendition) find(msn uint64) *Segment {
	i := sort.Search(len(r.Segments), func(i int) bool { return r.Segments[i].MSN >= msn })
	if i == len(r.Segments) || r.Segments[i].MSN != msn {
		return nil
	}
	return &r.Segments[i]
}

// builder lays the segments of all renditions on one line.
type builder struct {
	remote      func(rendition string, epoch int64, msn uint64) string
	lead, sound *Rendition
	msns        []uint64        // of the segments that are shown
	cut         map[uint64]bool // those with a discontinuity in front
	target      int
}

// line decides which segments are shown: those that the leading rendition or the sound has.
func (b *builder) line() {
	b.cut = make(map[uint64]bool)
	longest := time.Duration(0)
	next := uint64(0)
	broken := false
	for i := range b.lead.Segments {
		s := &b.lead.Segments[i]
		var beside *Segment
		if b.sound != nil {
			beside = b.sound.find(s.MSN)
		}
		// What a rendition has not, the other one's dates and length stand for; so both must be known.
		if !s.there() && (beside == nil || !beside.there()) {
			broken = true
			continue
		}
		if len(b.msns) > 0 && (s.Discontinuity || broken || s.MSN != next) {
			b.cut[s.MSN] = true
		}
		broken = false
		next = s.MSN + 1
		b.msns = append(b.msns, s.MSN)
		longest = max(longest, s.Duration)
		if beside != nil {
			longest = max(longest, beside.Duration)
		}
	}
	// EXTINF rounds to no more than TARGETDURATION (rfc8216bis 4.4.3.1).
	b.target = max(int(math.Round(longest.Seconds())), 1)
}

// complete tells whether a rendition has all that the leading one has.
func (b *builder) complete(r *Rendition) bool {
	for _, msn := range b.msns {
		if lead := b.lead.find(msn); lead.there() {
			if s := r.find(msn); s == nil || !s.there() {
				return false
			}
		}
	}
	return true
}

func (v *Video) add(b *builder, r *Rendition) error {
	out := &VideoRendition{
		name: r.Name, remote: b.remote, inits: make(map[int64][]byte, len(r.Tracks)), tracks: make(map[int64]*media.Track, len(r.Tracks)),
	}
	for i := range r.Tracks {
		t := &r.Tracks[i]
		out.inits[t.Epoch], out.tracks[t.Epoch], out.track = t.Init, t.Track, t.Track
	}
	out.segments = make([]Segment, 0, len(b.msns))
	spec := playlist.Spec{Config: &playlist.Config{Target: b.target}, Independent: true}
	variant := playlist.Variant{Name: r.Name}
	var bytes int64
	var length, present time.Duration
	for _, msn := range b.msns {
		s := r.find(msn)
		if s == nil {
			lead := *b.lead.find(msn)
			lead.Gap = true
			s = &lead
		}
		if s.there() {
			if out.inits[s.Epoch] == nil {
				return fmt.Errorf("replay: %s: no init segment of epoch %d", r.Name, s.Epoch)
			}
			out.segments = append(out.segments, *s)
			bytes += s.Bytes
			present += s.Duration
			if s.Duration >= time.Second || variant.Bandwidth == 0 {
				variant.Bandwidth = max(variant.Bandwidth, bitrate(s.Bytes, s.Duration))
			}
			spec.Independent = spec.Independent && s.Independent
		}
		if r == b.lead {
			v.line = append(v.line, mark{msn: msn, at: length, start: s.Start, length: s.Duration})
		}
		length += s.Duration
		spec.Segments = append(spec.Segments, &playlist.Segment{
			MSN: s.MSN, Epoch: s.Epoch, ProgramDate: s.Start, Duration: s.Duration,
			Discontinuity: b.cut[msn], Gap: !s.there(), Independent: s.Independent, Bytes: s.Bytes,
		})
	}
	if len(out.segments) == 0 || len(r.Tracks) == 0 {
		return nil
	}
	out.playlist = playlist.NewDocument(playlist.RenderVOD(spec))
	variant.Track, variant.Average = r.Tracks[len(r.Tracks)-1].Track, bitrate(bytes, present)
	variant.FrameRate = variant.Track.FrameRate.Float()
	if r.Kind == media.Video {
		variant.VideoRange = variant.Track.VideoRange()
	}
	if r == b.lead {
		v.Duration = length
	}
	v.Bytes += bytes
	v.segmentCount += len(out.segments)
	v.renditions, v.variants = append(v.renditions, out), append(v.variants, variant)
	return nil
}

func bitrate(bytes int64, d time.Duration) int {
	if d <= 0 {
		return 0
	}
	return int(float64(bytes) * 8 / d.Seconds())
}

// describe makes the multivariant playlist.
func (v *Video) describe() error {
	m := playlist.Multivariant{}
	for i := range v.variants {
		if v.variants[i].Track.Kind == media.Audio {
			m.Audio = &v.variants[i]
		} else {
			m.Video = append(m.Video, v.variants[i])
		}
	}
	m.Independent = len(m.Video) == 0
	b, err := playlist.RenderMultivariant(m)
	if err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	v.main = playlist.NewDocument(b)
	return nil
}

// Multivariant is the multivariant playlist.
func (v *Video) Multivariant() playlist.Document { return v.main }

// Variants describe the renditions that are shown. They must not be changed.
func (v *Video) Variants() []playlist.Variant { return v.variants }

// Rendition is the rendition of that name.
func (v *Video) Rendition(name string) (*VideoRendition, bool) {
	i := slices.IndexFunc(v.renditions, func(r *VideoRendition) bool { return r.name == name })
	if i < 0 {
		return nil, false
	}
	return v.renditions[i], true
}

// position is where in the video a segment begins.
func (v *Video) position(msn uint64) time.Duration {
	i := sort.Search(len(v.line), func(i int) bool { return v.line[i].msn >= msn })
	if i == len(v.line) {
		return v.Duration
	}
	return v.line[i].at
}

// At is where in the video a moment of the broadcast is; of one that is not in it, as the publisher was away, what follows. false: it lies in front
// of the video, or behind it.
func (v *Video) At(moment time.Time) (time.Duration, bool) {
	// The first that ends behind it: starts rise, as numbers do.
	i := sort.Search(len(v.line), func(i int) bool { return v.line[i].start.Add(v.line[i].length).After(moment) })
	if i == len(v.line) || i == 0 && moment.Before(v.line[0].start) {
		return 0, false
	}
	return v.line[i].at + max(0, moment.Sub(v.line[i].start)), true
}

// Playlist is the media playlist.
func (r *VideoRendition) Playlist() playlist.Document { return r.playlist }

// Init is the init segment of an epoch.
func (r *VideoRendition) Init(epoch int64) ([]byte, bool) {
	b, ok := r.inits[epoch]
	return b, ok
}

// Media is where a segment is.
func (r *VideoRendition) Media(epoch int64, msn uint64) (playlist.Media, bool) {
	i := sort.Search(len(r.segments), func(i int) bool { return r.segments[i].MSN >= msn })
	if i == len(r.segments) || r.segments[i].MSN != msn || r.segments[i].Epoch != epoch {
		return playlist.Media{}, false
	}
	return r.media(&r.segments[i]), true
}

func (r *VideoRendition) media(s *Segment) playlist.Media {
	m := playlist.Media{Key: s.Key, Offset: s.Offset, Size: s.Bytes}
	if s.Stored {
		m.Remote = r.remote(r.name, s.Epoch, s.MSN)
	}
	return m
}

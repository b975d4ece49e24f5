package packager

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"mediad/media"
	"mediad/packager/cmaf"
	"mediad/packager/cut"
	"mediad/packager/playlist"
)

// The names of renditions.
const (
	sourceName = "source"
	audioName  = "audio"
)

func renditionName(k media.Kind) string {
	if k == media.Video {
		return sourceName
	}
	return audioName
}

// lines are the renditions of a session, and what is known by rendition.
type lines[T any] [cut.Lines]T

// stored is one segment: where its bytes are and what the playlist says of it. What readers use is guarded by the
// rendition's mu; once complete only bytes changes.
type stored struct {
	msn   uint64
	epoch int64
	start time.Duration // session time at which it begins to be decoded
	early time.Duration // by so much before it is shown; mostly 0
	date  time.Time
	disc  uint64 // discontinuities of the stream up to this segment, its own included

	discontinuity bool
	seg           *playlist.Segment // nil until complete

	file   *logFile // nil: only in memory
	offset int64
	until  time.Duration // media in the rendition up to the segment's end
	ends   []uint32      // where each part ends, listed or not
	listed bool
	rate   float64 // frames a second; 0 if not known
	varies bool    // frames do not last equally long
	bytes  []byte  // the segment so far; nil once it is read from file
	size   int64
}

// Rendition is one media playlist and what it lists. Window, DVR, Init and Media may be called from any goroutine.
type Rendition struct {
	name   string
	line   cut.Line
	kind   media.Kind
	window atomic.Pointer[playlist.Window]

	endedAt atomic.Int64 // unix nanoseconds; 0 before the session's end

	mu    sync.RWMutex
	list  []*stored // complete, oldest first, numbers without a gap
	open  *stored
	inits map[int64][]byte
	first uint64 // oldest MSN that the DVR playlist lists
	prev  *Rendition

	dvrMu  sync.Mutex
	dvrOf  dvrState
	dvrDoc playlist.Document

	// What follows belongs to the session's goroutine.
	track    *media.Track
	log      partLog
	parts    []playlist.Part // of the open segment
	samples  []cmaf.Sample
	sequence uint32 // of fragments
	disc     uint64
	segs     []*playlist.Segment // complete, in the live window
	dirty    bool
	lastPart time.Time
	rate     bitrate
	memory   int64   // bytes of complete segments that are only in memory
	cadence  cadence // of the open segment
	told     float64 // the frame rate that was told last

	partsFrom uint64 // no parts are listed of segments before
	dependent bool   // a segment did not begin with a random access unit
}

type dvrState struct {
	last, first uint64
	ended       bool
	some        bool
}

// Window is the live playlist; nil before the first complete segment.
func (r *Rendition) Window() *playlist.Window { return r.window.Load() }

// Init is the init segment of an epoch.
func (r *Rendition) Init(epoch int64) ([]byte, bool) {
	r.mu.RLock()
	b, ok := r.inits[epoch]
	prev := r.prev
	r.mu.RUnlock()
	if !ok && prev != nil {
		return prev.Init(epoch)
	}
	return b, ok
}

// Media is where a part is, or with part -1 a complete segment.
func (r *Rendition) Media(epoch int64, msn uint64, part int) (playlist.Media, bool) {
	r.mu.RLock()
	m, ok := r.media(epoch, msn, part)
	prev := r.prev
	r.mu.RUnlock()
	if !ok && prev != nil {
		return prev.Media(epoch, msn, part)
	}
	return m, ok
}

func (r *Rendition) media(epoch int64, msn uint64, part int) (playlist.Media, bool) {
	s := r.open
	if n := len(r.list); n > 0 && msn >= r.list[0].msn && msn-r.list[0].msn < uint64(n) {
		s = r.list[msn-r.list[0].msn]
	}
	if s == nil || s.msn != msn || s.epoch != epoch || s.size == 0 {
		return playlist.Media{}, false
	}
	from, to := int64(0), s.size
	switch {
	case part < 0:
		if s.seg == nil {
			return playlist.Media{}, false
		}
	case !s.listed || part >= len(s.ends):
		return playlist.Media{}, false
	default:
		to = int64(s.ends[part])
		if part > 0 {
			from = int64(s.ends[part-1])
		}
	}
	if s.bytes != nil {
		return playlist.Media{Bytes: s.bytes[from:to:to], Size: to - from}, true
	}
	return playlist.Media{Key: s.file.key, Offset: s.offset + from, Size: to - from}, true
}

// DVR is the playlist over the DVR range; false before the first complete segment.
func (r *Rendition) DVR() (playlist.Document, bool) {
	w := r.window.Load()
	if w == nil {
		return playlist.Document{}, false
	}
	r.dvrMu.Lock()
	defer r.dvrMu.Unlock()
	r.mu.RLock()
	state := dvrState{first: r.first, ended: w.Spec().Ended, some: true}
	from := r.index(r.first)
	list := r.list[from:]
	// The newest that the live playlist lists too, so that neither knows more than the other.
	for len(list) > 0 && list[len(list)-1].msn > w.LastMSN() {
		list = list[:len(list)-1]
	}
	if len(list) == 0 {
		r.mu.RUnlock()
		return playlist.Document{}, false
	}
	state.last = list[len(list)-1].msn
	if state == r.dvrOf {
		r.mu.RUnlock()
		return r.dvrDoc, true
	}
	segs := make([]*playlist.Segment, len(list))
	for i, s := range list {
		segs[i] = s.seg
	}
	discontinuities := list[0].before()
	r.mu.RUnlock()
	r.dvrDoc = playlist.NewDocument(playlist.RenderDVR(playlist.Spec{
		Config: w.Spec().Config, Segments: segs, DiscontinuitySequence: discontinuities,
		Independent: w.Spec().Independent, Ended: state.ended,
	}))
	r.dvrOf = state
	return r.dvrDoc, true
}

// before counts the discontinuities in front of the segment, its own not included.
func (s *stored) before() uint64 {
	if s.discontinuity {
		return s.disc - 1
	}
	return s.disc
}

// index is where msn, or the first after it, is in the list. mu is held.
func (r *Rendition) index(msn uint64) int {
	if len(r.list) == 0 || msn <= r.list[0].msn {
		return 0
	}
	return int(min(msn-r.list[0].msn, uint64(len(r.list))))
}

// begin opens a segment.
func (r *Rendition) begin(ctx context.Context, now time.Time, s *stored) {
	s.file, s.offset = r.log.begin(ctx, now, s.start)
	if s.discontinuity {
		r.disc++
	}
	s.disc = r.disc
	size := int64(32 << 10)
	if n := len(r.list); n > 0 {
		size = max(size, r.list[n-1].size*5/4)
	}
	s.bytes = make([]byte, 0, size)
	r.parts, r.cadence = nil, cadence{}
	r.mu.Lock()
	r.open = s
	r.mu.Unlock()
}

// append makes a part of the open segment.
func (r *Rendition) append(now time.Time, p *cut.Part, scale media.Timescale) playlist.Part {
	s := r.open
	r.samples = r.samples[:0]
	for i := range p.Samples {
		x := &p.Samples[i]
		r.samples = append(r.samples, cmaf.Sample{
			Data: x.Data, Duration: uint32(x.Duration), CompOffset: int32(x.CompOffset),
			Sync: x.Sync, Disposable: x.Disposable,
		})
	}
	r.cadence.add(p.Samples)
	r.sequence++
	from := len(s.bytes)
	b := cmaf.AppendFragment(s.bytes, r.sequence, uint64(p.Start), r.kind, r.samples)
	clear(r.samples)
	file := s.file
	if file != nil && r.log.write(now, b[from:]) != nil {
		file = nil // what is on disk of it is forgotten: bytes has it all
	}
	size := len(b) - from
	part := playlist.Part{
		Duration:    scale.Duration(p.Start+p.Duration) - scale.Duration(p.Start),
		Independent: p.Independent, Size: size,
	}
	r.parts = append(r.parts, part)
	r.mu.Lock()
	s.bytes, s.file, s.size, s.listed = b, file, int64(len(b)), p.Listed
	s.ends = append(s.ends, uint32(len(b)))
	r.mu.Unlock()
	return part
}

// complete ends the open segment.
func (r *Rendition) complete(seg *playlist.Segment) {
	s := r.open
	s.until = seg.Duration
	if n := len(r.list); n > 0 {
		s.until += r.list[n-1].until
	}
	r.mu.Lock()
	s.seg = seg
	r.list = append(r.list, s)
	r.open = nil
	// Memory holds the open segment and the one before.
	if n := len(r.list); n > 1 && r.list[n-2].file != nil {
		r.list[n-2].bytes = nil
	}
	r.mu.Unlock()
	if s.file == nil {
		r.memory += s.size
	}
	r.parts = nil
}

// trim forgets segments older than keep, and lets the DVR playlist begin at dvr.
func (r *Rendition) trim(keep, dvr uint64) {
	r.mu.Lock()
	n := r.index(keep)
	gone := slices.Clone(r.list[:n])
	clear(r.list[:n])
	r.list = r.list[n:]
	r.first = max(r.first, dvr, keep)
	if n > 0 {
		r.forgetInits()
	}
	r.mu.Unlock()
	for _, s := range gone {
		r.log.release(s.file)
		if s.file == nil {
			r.memory -= s.size
		}
	}
}

// relist makes the live window's list anew.
func (r *Rendition) relist(live uint64) {
	r.segs = r.listedFrom(live)
}

// listedFrom are the complete segments from msn on.
func (r *Rendition) listedFrom(msn uint64) []*playlist.Segment {
	from := r.index(msn)
	segs := make([]*playlist.Segment, 0, len(r.list)-from)
	for _, s := range r.list[from:] {
		segs = append(segs, s.seg)
	}
	return segs
}

// forgetInits drops the init segments that no segment refers to, but for the newest. mu is held.
func (r *Rendition) forgetInits() {
	if len(r.inits) < 2 || len(r.list) == 0 {
		return
	}
	oldest := r.list[0].epoch
	for e := range r.inits {
		if e < oldest {
			delete(r.inits, e)
		}
	}
}

// oldestInMemory is the number of the oldest segment that is only in memory.
func (r *Rendition) oldestInMemory() (msn uint64, ok bool) {
	for _, s := range r.list {
		if s.file == nil && s.size > 0 {
			return s.msn, true
		}
	}
	return 0, false
}

// listedParts are those of the open segment that the playlist lists.
func (r *Rendition) listedParts() []playlist.Part {
	if r.open == nil || !r.open.listed {
		return nil
	}
	return r.parts
}

// edge is how far the rendition is, as reports tell it.
func (r *Rendition) edge() (msn uint64, part int) {
	if len(r.listedParts()) > 0 {
		return r.open.msn, len(r.parts) - 1
	}
	if n := len(r.segs); n > 0 {
		return r.segs[n-1].MSN, len(r.segs[n-1].Parts) - 1
	}
	return 0, -1
}

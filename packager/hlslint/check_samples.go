package hlslint

import (
	"path"
	"time"
)

// Tolerances of media against playlist.
const (
	timeTolerance    = 10 * time.Millisecond // decode times from file to file
	extinfTolerance  = 20 * time.Millisecond // besides one frame
	mappingTolerance = 20 * time.Millisecond // date minus media time
)

func (j *judge) sawInit(x *Exchange) {
	if !j.arrived(x) {
		return
	}
	s := readInit(x.Body)
	j.inits[x.rangeKey()] = s
	for _, f := range s.faults {
		j.found.add(f.rule, spot{url: x.URL, at: x.Done}, "%s", f.text)
	}
	if r, _ := j.owner(x.rangeKey()); r != nil {
		j.mediaAnswer(x, r, formatMP4)
	}
}

// arrived reports a listed resource that did not come.
func (j *judge) arrived(x *Exchange) bool {
	if b := x.asked(); b != nil && x.Status == 200 {
		// The range was ignored: judge what was asked for all the same.
		r, _ := j.owner(x.rangeKey())
		where := x.URL
		if r != nil {
			where = r.url
		}
		j.found.add("range-unsupported", spot{url: where, at: x.Done, subject: x.URL}, "%s: %s of a playlist with byte ranges gave status 200", clip(x.URL), b)
		size := uint64(len(x.Body))
		x.Body = x.Body[min(b.offset, size):min(b.offset+b.length, size)]
	}
	if x.Status == 200 || x.Status == 206 {
		return true
	}
	why := x.Err
	if why == "" {
		why = "status " + status(x.Status)
	}
	r, _ := j.owner(x.rangeKey())
	where := x.URL
	if r != nil {
		where = r.url
		j.errorCaching(x, r, directives{})
	}
	j.found.add("media-unreachable", spot{url: where, at: x.Done, subject: x.URL}, "%s: %s", clip(x.URL), clip(why))
	return false
}

// owner finds the rendition and the segment in which a resource stands.
func (j *judge) owner(key string) (*rendition, *segment) {
	at, ok := j.index[key]
	if !ok {
		return nil, nil
	}
	rec := at.r.records[at.msn]
	if rec == nil {
		return nil, nil
	}
	return at.r, &rec.segment
}

func (j *judge) sawMedia(x *Exchange) {
	key := x.rangeKey()
	if x.Purpose == PurposeHint {
		j.hinted[key] = &hintAnswer{status: x.Status, sum: newSum(x.Body), at: x.Done, took: x.took()}
		return
	}
	if !j.arrived(x) {
		return
	}
	r, s := j.owner(key)
	if r == nil || s.encrypted {
		return
	}
	if x.Purpose == PurposePart {
		j.parts++
	} else {
		j.segments++
	}
	var in *initSection
	if s.initial != nil {
		in = j.inits[s.initial.key()]
	}
	m := readMedia(x.Body, in)
	j.files[key] = m
	find := func(rule, format string, args ...any) {
		j.found.add(rule, spot{url: r.url, at: x.Done, subject: key + rule}, format, args...)
	}
	name := clip(path.Base(x.URL))
	for _, f := range m.faults {
		find(f.rule, "%s: %s", name, f.text)
	}
	switch m.format {
	case formatHTML, formatEmpty, formatUnknown:
		find("segment-format", "%s is %s", name, m.format)
	case formatMP4:
		if s.initial == nil && !m.own {
			find("map-missing", "%s has no moov and no EXT-X-MAP", name)
		}
	default: // measured, not looked into
	}
	j.mediaAnswer(x, r, m.format)
}

// timed is the track that the playlist's durations are about: video where there is some.
func (m *mediaFile) timed() *trackFacts {
	var found *trackFacts
	for _, t := range m.tracks {
		if t.samples == 0 || t.timescale == 0 {
			continue
		}
		if t.handler == "vide" {
			return t
		}
		if found == nil {
			found = t
		}
	}
	return found
}

func (t *trackFacts) duration() time.Duration { return t.ticksToTime(int64(t.ticks)) }

// ticksToTime converts without overflow for any tick count a file may hold.
func (t *trackFacts) ticksToTime(ticks int64) time.Duration {
	scale := int64(t.timescale)
	if scale == 0 {
		return 0
	}
	whole := ticks / scale
	if abs(whole) > int64(1<<62)/int64(time.Second) {
		return 0
	}
	return time.Duration(whole)*time.Second + time.Duration(ticks%scale*int64(time.Second)/scale)
}

// presentation is when the file's first picture is shown, on the line of the media.
func (t *trackFacts) presentation() time.Duration { return t.ticksToTime(t.firstPTS - t.editShift) }

// checkSamples holds the segments of a rendition that were fetched against its playlist.
func (j *judge) checkSamples(r *rendition) {
	if r.last == nil || r.last.iframesOnly || r.role == roleSubtitles {
		return
	}
	independent := r.last.independent > 0 || j.multi != nil && j.multi.independent > 0
	find := func(rule string, s *segment, format string, args ...any) {
		j.found.add(rule, spot{url: r.url, line: s.line, at: j.last, subject: s.key()}, format, args...)
	}
	var drift time.Duration
	var mapping *time.Duration
	var prev *record
	for _, msn := range sortedMSNs(r.records) {
		rec := r.records[msn]
		s := &rec.segment
		m := j.files[s.key()]
		if m == nil || m.format != formatMP4 || s.gap || s.uri == "" {
			prev = nil
			continue
		}
		t := m.timed()
		if t == nil {
			prev = nil
			continue
		}
		frame := t.ticksToTime(int64(t.longest))
		contiguous := prev != nil && prev.msn+1 == msn && !s.discontinuity
		if !contiguous {
			drift = 0
		}
		off := s.duration - t.duration()
		if step, ok := j.step(r, rec, t); ok && abs(s.duration-step) < abs(off) {
			off = s.duration - step
		}
		drift += off
		if abs(off) > frame+extinfTolerance {
			find("extinf-wrong", s, "segment %d: EXTINF %s, the samples last %s", msn, s.durationText, round(t.duration()))
			drift = 0
		} else if abs(drift) > frame+time.Millisecond {
			find("extinf-drift", s, "up to segment %d the sum of EXTINF is off by %s", msn, round(drift))
			drift = 0
		}
		if contiguous {
			j.checkContinuity(prev, s, m, find)
		}
		if s.discontinuity || !contiguous && (prev == nil || prev.discSeq != s.discSeq) {
			mapping = nil
		}
		if s.hasDate {
			now := time.Duration(s.date.UnixNano()) - t.presentation()
			if mapping != nil && abs(now-*mapping) > mappingTolerance {
				find("pdt-mapping-drifts", s, "segment %d: the date is off by %s from the media time", msn, round(now-*mapping))
			}
			mapping = &now
		}
		j.checkPictures(r, s, m, independent, find)
		if s.bitrate > 0 && s.bytes == nil && s.duration > 0 {
			rate := bitRate(m.sum.size, s.duration) / 1000
			if b := int64(s.bitrate); rate*100 > b*110+100 || rate*110+110 < b*100 {
				find("bitrate-wrong", s, "segment %d: EXT-X-BITRATE %d kbit/s, it has %d", msn, b, rate)
			}
		}
		prev = rec
	}
}

// step is how long after the first sample of a segment that of the next is shown. With open GOPs, where pictures
// that lead the next key frame are shown before it, that is what many write as EXTINF.
func (j *judge) step(r *rendition, rec *record, t *trackFacts) (time.Duration, bool) {
	next := r.records[rec.msn+1]
	if next == nil || next.discontinuity {
		return 0, false
	}
	m := j.files[next.key()]
	if m == nil {
		return 0, false
	}
	o := m.timed()
	if o == nil || o.id != t.id || o.timescale != t.timescale {
		return 0, false
	}
	return t.ticksToTime(o.leadPTS - t.leadPTS), true
}

// checkContinuity compares the decode times of two segments in a row, track by track.
func (j *judge) checkContinuity(prev *record, s *segment, m *mediaFile, find func(string, *segment, string, ...any)) {
	before := j.files[prev.key()]
	for _, t := range m.tracks {
		for _, o := range before.tracks {
			if o.id != t.id || !o.hasTime || !t.hasTime || o.timescale != t.timescale {
				continue
			}
			if gap := t.ticksToTime(int64(t.start) - int64(o.end)); abs(gap) > timeTolerance {
				find("decode-time-gap", s, "segment %d, track %d starts %s from where segment %d ended", s.msn, t.id, round(gap), prev.msn)
			}
		}
	}
}

// checkPictures judges what is said about independence.
func (j *judge) checkPictures(r *rendition, s *segment, m *mediaFile, independent bool, find func(string, *segment, string, ...any)) {
	for _, t := range m.tracks {
		if gap := t.ticksToTime(t.gap); abs(gap) > timeTolerance {
			find("decode-time-gap", s, "inside segment %d, track %d jumps by %s", s.msn, t.id, round(gap))
		}
		if t.handler != "vide" || t.samples == 0 {
			continue
		}
		if t.syncFalse > 0 {
			find("sync-flag-false", s, "segment %d: %d samples", s.msn, t.syncFalse)
		}
		if t.syncLost > 0 {
			find("sync-flag-missing", s, "segment %d: %d samples", s.msn, t.syncLost)
		}
		switch {
		case t.first == pictureInter && independent:
			find("independent-false", s, "segment %d starts with a picture that needs others", s.msn)
		case t.first == pictureInter || t.first == pictureIntra:
			find("segment-not-idr", s, "segment %d", s.msn)
		}
	}
}

// bitRate is in bits a second.
func bitRate(size int64, d time.Duration) int64 {
	if d <= 0 {
		return 0
	}
	return int64(float64(size) * 8 / d.Seconds())
}

func sortedMSNs(m map[uint64]*record) []uint64 {
	list := make([]uint64, 0, len(m))
	for k := range m {
		list = append(list, k)
	}
	sortUint64(list)
	return list
}

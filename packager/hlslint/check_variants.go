package hlslint

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// checkVariants holds the multivariant playlist against the media that was fetched.
func (j *judge) checkVariants() {
	if j.multi == nil {
		return
	}
	for i := range j.multi.variants {
		v := &j.multi.variants[i]
		r := j.renditions[v.url]
		if r == nil || r.last == nil {
			continue
		}
		find := func(rule, format string, args ...any) {
			j.found.add(rule, spot{url: j.multi.url, line: v.line, at: j.last, subject: v.signature()}, clip(v.uri)+": "+format, args...)
		}
		sound := j.group("AUDIO", v.attrs.str("AUDIO"))
		j.checkCodecs(v, r, sound, find)
		j.checkPicture(v, r, find)
		j.checkRates(v, r, sound, find)
	}
}

// group returns the renditions of a group of the multivariant playlist.
func (j *judge) group(kind, id string) []*rendition {
	var list []*rendition
	for i := range j.multi.media {
		m := &j.multi.media[i]
		if r := j.renditions[m.url]; r != nil && id != "" && m.attrs.str("TYPE") == kind && m.attrs.str("GROUP-ID") == id {
			list = append(list, r)
		}
	}
	return list
}

// tracksOf returns the tracks of all initialization sections of a rendition; whole is false where one is not known.
func (j *judge) tracksOf(r *rendition) (tracks []track, whole bool) {
	seen := map[*initSection]bool{}
	whole = len(r.records) > 0
	known := false
	for _, msn := range sortedMSNs(r.records) {
		rec := r.records[msn]
		var in *initSection
		if m := j.files[rec.key()]; m != nil && m.own {
			in = m.init
		} else if rec.initial != nil {
			in = j.inits[rec.initial.key()]
		}
		if in == nil || len(in.tracks) == 0 {
			continue
		}
		known = true
		if !seen[in] {
			seen[in] = true
			tracks = append(tracks, in.tracks...)
		}
	}
	return tracks, whole && known
}

func (j *judge) checkCodecs(v *variant, r *rendition, sound []*rendition, find func(rule, format string, args ...any)) {
	if !v.attrs.has("CODECS") || r.last == nil {
		return
	}
	declared := splitCodecs(v.attrs.str("CODECS"))
	used := make([]bool, len(declared))
	whole := true
	var tracks []track
	for _, x := range append([]*rendition{r}, sound...) {
		t, ok := j.tracksOf(x)
		tracks, whole = append(tracks, t...), whole && ok
	}
	for _, t := range tracks {
		if t.codec == "" {
			whole = false
			continue
		}
		near, exact := false, false
		for i, d := range declared {
			n, e := codecMatch(d, t.codec)
			used[i] = used[i] || n
			near, exact = near || n, exact || e
		}
		switch {
		case !near:
			find("codecs-wrong", "CODECS=%q, the media has %s", clip(v.attrs.str("CODECS")), t.codec)
		case !exact:
			find("codecs-inexact", "CODECS=%q, the media has %s", clip(v.attrs.str("CODECS")), t.codec)
		}
	}
	for i, d := range declared {
		text := strings.HasPrefix(d, "wvtt") || strings.HasPrefix(d, "stpp")
		if whole && !used[i] && !text {
			find("codecs-wrong", "CODECS=%q, no media has %s", clip(v.attrs.str("CODECS")), clip(d))
		}
	}
}

// checkPicture judges RESOLUTION, FRAME-RATE and VIDEO-RANGE.
func (j *judge) checkPicture(v *variant, r *rendition, find func(rule, format string, args ...any)) {
	tracks, _ := j.tracksOf(r)
	var w, h int
	for _, t := range tracks {
		if t.handler != "vide" {
			continue
		}
		w, h = max(w, t.width), max(h, t.height)
		want := ""
		switch t.transfer {
		case 1, 6, 13, 14, 15:
			want = "SDR"
		case 16:
			want = "PQ"
		case 18:
			want = "HLG"
		}
		have := v.attrs.str("VIDEO-RANGE")
		if have == "" {
			have = "SDR"
		}
		if want != "" && have != want {
			find("video-range-wrong", "VIDEO-RANGE is %s, the transfer characteristics %d are %s", clip(have), t.transfer, want)
		}
	}
	if size := fmt.Sprintf("%dx%d", w, h); w > 0 && v.attrs.has("RESOLUTION") && v.attrs.str("RESOLUTION") != size {
		find("resolution-wrong", "RESOLUTION=%s, the picture is %s", clip(v.attrs.str("RESOLUTION")), size)
	}
	declared, err := strconv.ParseFloat(v.attrs.str("FRAME-RATE"), 64)
	if err != nil {
		return
	}
	var most float64
	steady := true
	for _, rec := range r.records {
		m := j.files[rec.key()]
		if m == nil {
			continue
		}
		if t := m.timed(); t != nil && t.handler == "vide" && t.ticks > 0 && t.samples > 1 {
			most = max(most, float64(t.samples)*float64(t.timescale)/float64(t.ticks))
			steady = steady && float64(t.longest-t.shortest) <= 0.1*float64(t.longest)
		}
	}
	if most > declared*1.02 || steady && most > 0 && most < declared*0.98 {
		find("frame-rate-wrong", "FRAME-RATE=%s, measured %.3f", clip(v.attrs.str("FRAME-RATE")), most)
	}
}

// checkRates judges BANDWIDTH and AVERAGE-BANDWIDTH, each with the largest member of the audio group.
func (j *judge) checkRates(v *variant, r *rendition, sound []*rendition, find func(rule, format string, args ...any)) {
	peak, average, whole := j.rates(r)
	if peak == 0 {
		return
	}
	var soundPeak, soundAverage int64
	for _, s := range sound {
		if s == r {
			continue // a variant of sound alone, which is a member of its own group
		}
		p, a, ok := j.rates(s)
		soundPeak, soundAverage, whole = max(soundPeak, p), max(soundAverage, a), whole && ok
	}
	peak, average = peak+soundPeak, average+soundAverage
	if n, ok := parseCount(v.attrs.str("BANDWIDTH")); ok && n < 1<<50 {
		declared := int64(n)
		switch {
		case r.last.ended && r.last.sequence == 0 && whole && peak*100 > declared*110:
			find("bandwidth-under-peak", "BANDWIDTH=%d, the peak is %d", declared, peak)
		case !r.last.ended && peak*100 >= declared*125:
			find("bandwidth-under-live-peak", "BANDWIDTH=%d, the peak is %d", declared, peak)
		}
	}
	if n, ok := parseCount(v.attrs.str("AVERAGE-BANDWIDTH")); ok && n < 1<<50 && r.last.ended && whole && average*100 > int64(n)*110 {
		find("average-bandwidth-wrong", "AVERAGE-BANDWIDTH=%d, the average is %d", n, average)
	}
}

// rates measures the peak segment bit rate (the largest of any contiguous segments that last 0.5 to 1.5 target
// durations) and the average; whole says that every listed segment was fetched.
func (j *judge) rates(r *rendition) (peak, average int64, whole bool) {
	if r.last == nil {
		return 0, 0, false
	}
	type piece struct {
		size int64
		d    time.Duration
	}
	var pieces []piece
	var total piece
	whole = true
	for _, msn := range sortedMSNs(r.records) {
		rec := r.records[msn]
		m := j.files[rec.key()]
		if m == nil || rec.uri == "" || rec.gap {
			whole = whole && rec.uri == ""
			pieces = append(pieces, piece{})
			continue
		}
		pieces = append(pieces, piece{m.sum.size, rec.duration})
		total.size += m.sum.size
		total.d += rec.duration
	}
	for i := range pieces {
		var run piece
		for _, p := range pieces[i:] {
			if p.d == 0 {
				break
			}
			run.size, run.d = run.size+p.size, run.d+p.d
			if run.d > r.last.target*3/2 {
				break
			}
			if run.d >= r.last.target/2 {
				peak = max(peak, bitRate(run.size, run.d))
			}
		}
	}
	return peak, bitRate(total.size, total.d), whole
}

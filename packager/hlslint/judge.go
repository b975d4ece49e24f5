package hlslint

import (
	"sync"
	"time"
)

// maxRecords bounds the segments remembered per rendition: eleven hours of two seconds.
const maxRecords = 20_000

// judge turns exchanges into findings. It keeps facts about what it saw, never the bodies.
type judge struct {
	mu         sync.Mutex
	found      findings
	url        string
	multi      *playlist // nil when a media playlist was given
	renditions map[string]*rendition
	order      []string // URLs as they were named
	inits      map[string]*initSection
	files      map[string]*mediaFile // segments and parts by resource key
	index      map[string]listed     // where a resource stands, by its key
	claims     []claim
	hinted     map[string]*hintAnswer
	types      map[string]string // content type by URL, of what GET gave
	typed      map[string]bool   // answers whose headers have been judged: by purpose and playlist

	playlists, segments, parts int
	bytes                      int64
	first, last                time.Time
}

// rendition is what is known of one media playlist.
type rendition struct {
	url       string
	role      role
	variants  []*variant
	tags      []*mediaTag
	last      *playlist
	lastSent  time.Time
	lastDone  time.Time
	lastPlain bool // the last answer was to a request without directives
	records   map[uint64]*record
	newest    uint64
	edges     []edgeAt
	advanced  time.Time // when the last new segment was seen
	partSeen  time.Time
	paceLost  bool // an answer could not be used: how long the next is awaited tells nothing
	removed   []removal
}

// listed is where a resource stands.
type listed struct {
	r   *rendition
	msn uint64
}

// role is what a media playlist is for.
type role uint8

const (
	roleMain role = iota
	roleAudio
	roleVideo
	roleSubtitles
	roleIFrames
)

// record is a segment as it was listed last, with all parts that it ever had.
type record struct{ segment }

type edgeAt struct {
	edge
	sent, done time.Time
}

type removal struct {
	segment
	at time.Time // of the first playlist without it
}

// claim is what a rendition report said.
type claim struct {
	from, target string
	line         int
	edge         edge
	msn          uint64
	partless     bool // no LAST-PART, which only a segment without parts has
	slack        time.Duration
	sent, done   time.Time
}

type hintAnswer struct {
	status int
	sum    sum
	at     time.Time
	took   time.Duration
}

func newJudge(url string, rules ruleSet) *judge {
	return &judge{
		url: url, found: findings{rules: rules, list: map[string]*gathered{}},
		renditions: map[string]*rendition{}, inits: map[string]*initSection{}, files: map[string]*mediaFile{}, index: map[string]listed{},
		hinted: map[string]*hintAnswer{}, types: map[string]string{}, typed: map[string]bool{},
	}
}

// observe judges one exchange.
func (j *judge) observe(x Exchange) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.first.IsZero() || x.Sent.Before(j.first) {
		j.first = x.Sent
	}
	if x.Done.After(j.last) {
		j.last = x.Done
	}
	j.bytes += int64(len(x.Body))
	if x.Status == 200 && x.Method == "" && len(j.types) < maxRecords {
		j.types[x.URL] = x.contentType()
	}
	switch x.Purpose {
	case PurposeMultivariant:
		j.sawMultivariant(&x)
	case PurposePlaylist, PurposeReload, PurposeDelta:
		j.sawPlaylist(&x)
	case PurposeInit:
		j.sawInit(&x)
	case PurposeSegment, PurposePart, PurposeHint:
		j.sawMedia(&x)
	default:
		j.sawProbe(&x)
	}
}

func (j *judge) rendition(url string) *rendition {
	r := j.renditions[url]
	if r == nil {
		r = &rendition{url: url, records: map[uint64]*record{}}
		j.renditions[url] = r
		j.order = append(j.order, url)
	}
	return r
}

// faults reports what the parser found. A line moves from one reload to the next, its fault does not.
func (j *judge) faults(p *playlist, url string, at time.Time) {
	for _, f := range p.faults {
		j.found.add(f.rule, spot{url: url, line: f.line, at: at}, "%s", f.text)
	}
}

func (j *judge) sawMultivariant(x *Exchange) {
	j.playlists++
	j.playlistAnswer(x, nil)
	p := parsePlaylist(x.from(), x.Body, nil)
	j.multi = p
	j.faults(p, x.URL, x.Done)
	j.checkMultivariant(p, x.Done)
	for i := range p.variants {
		v := &p.variants[i]
		r := j.rendition(v.url)
		r.variants = append(r.variants, v)
	}
	for i := range p.media {
		m := &p.media[i]
		if m.url == "" {
			continue
		}
		r := j.rendition(m.url)
		r.tags = append(r.tags, m)
		if len(r.variants) > 0 {
			continue
		}
		switch m.attrs.str("TYPE") {
		case "AUDIO":
			r.role = roleAudio
		case "SUBTITLES":
			r.role = roleSubtitles
		default:
			r.role = roleVideo
		}
	}
	for i := range p.iframes {
		v := &p.iframes[i]
		r := j.rendition(v.url)
		r.role = roleIFrames
		r.variants = append(r.variants, v)
	}
}

// sawPlaylist judges a media playlist alone and against what was known of it.
func (j *judge) sawPlaylist(x *Exchange) {
	name, d := splitDirectives(x.URL)
	r := j.rendition(name)
	j.playlists++
	j.playlistAnswer(x, r)
	if x.Status != 200 {
		j.refused(x, r, d)
		r.paceLost = true
		return
	}
	var imports map[string]string
	if j.multi != nil {
		imports = j.multi.variables
	}
	p := parsePlaylist(x.from(), x.Body, imports)
	j.faults(p, name, x.Done)
	if p.kind != kindMedia {
		return
	}
	if d.hasMSN && !satisfied(p, d) {
		j.found.add("block-unsatisfied", spot{url: name, at: x.Done},
			"asked for %s, answered after %s with the end at %s", d, round(x.took()), p.edge())
	}
	if !j.expand(p, r, x, d) {
		r.paceLost = true
		return
	}
	if x.Purpose == PurposePlaylist && r.last != nil && !r.lastPlain && staleCopy(r.last, p) {
		return
	}
	j.checkMedia(p, r, x.Done)
	j.checkLowLatency(p, r, x)
	j.evolve(r, p, x)
	j.remember(r, p, x)
}

// staleCopy says whether p, which came without directives, is a copy that a cache may still have had.
func staleCopy(last, p *playlist) bool {
	return p.edge().before(last.edge()) && p.edge().msn+1 >= last.edge().msn && p.sequence+1 >= last.sequence
}

// remember makes p the newest known state of r.
func (j *judge) remember(r *rendition, p *playlist, x *Exchange) {
	for i := range p.segments {
		j.note(r, &p.segments[i])
	}
	if p.open != nil {
		j.note(r, p.open)
	}
	if r.last != nil {
		for _, s := range r.last.segments {
			if s.msn < p.sequence && len(r.removed) < maxRecords {
				r.removed = append(r.removed, removal{s, x.Done})
			}
		}
	}
	if len(r.records) > maxRecords {
		j.forget(r, r.newest-maxRecords/2)
	}
	if len(r.edges) < 4*maxRecords {
		r.edges = append(r.edges, edgeAt{p.edge(), x.Sent, x.Done})
	}
	r.last, r.lastSent, r.lastDone, r.lastPlain = p, x.Sent, x.Done, x.Purpose == PurposePlaylist
}

// note keeps a segment as it is listed now, with all parts that it ever had.
func (j *judge) note(r *rendition, s *segment) {
	rec := r.records[s.msn]
	if rec == nil {
		rec = &record{segment: *s}
		r.records[s.msn] = rec
	} else {
		parts := rec.parts
		rec.segment = *s
		if len(s.parts) < len(parts) {
			rec.parts = parts
		}
	}
	r.newest = max(r.newest, s.msn)
	for _, k := range rec.keys() {
		if at, ok := j.index[k]; !ok || at.r.records[at.msn] == nil {
			j.index[k] = listed{r, s.msn}
		}
	}
}

// forget drops what is known of the segments before msn.
func (j *judge) forget(r *rendition, msn uint64) {
	for n, rec := range r.records {
		if n >= msn {
			continue
		}
		for _, k := range rec.keys() {
			delete(j.index, k)
			delete(j.files, k)
		}
		delete(r.records, n)
	}
}

// keys are those of all resources of a segment.
func (rec *record) keys() []string {
	var list []string
	if rec.uri != "" {
		list = append(list, rec.key())
	}
	if rec.initial != nil {
		list = append(list, rec.initial.key())
	}
	for i := range rec.parts {
		list = append(list, rec.parts[i].key())
	}
	return list
}

// report ends the judgement.
func (j *judge) report() Report {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, url := range j.order {
		r := j.renditions[url]
		j.checkSamples(r)
		j.checkParts(r)
	}
	j.checkTogether()
	j.checkVariants()
	j.checkClaims()
	j.checkHints()
	rep := Report{
		URL: j.url, Kind: j.kind(), Started: j.first, Watched: j.last.Sub(j.first),
		Playlists: j.playlists, Segments: j.segments, Parts: j.parts, Bytes: j.bytes, Findings: j.found.sorted(),
	}
	return rep
}

func (j *judge) kind() string {
	kind := "on demand"
	for _, r := range j.renditions {
		if r.last != nil && r.last.live() {
			if r.last.lowLatency() {
				return "live low latency"
			}
			kind = "live"
		}
	}
	return kind
}

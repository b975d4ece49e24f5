package whep

import (
	"sync"
	"sync/atomic"
	"time"

	"mediad/media"
)

// Bounds of what a layer keeps. A GOP that is longer is not kept whole: who comes late waits for the next key frame.
const (
	maxFrames     = 1024
	maxLayerBytes = 8 << 20
	// keepFor is how long a frame is kept although a key frame has come since: a viewer that is further behind goes on there.
	keepFor = 2 * time.Second
	// maxGOPTime is how old the newest key frame may become and still be what viewers begin with.
	maxGOPTime = 10 * time.Second
)

// frame is one access unit as RTP payloads, made once and shared by everyone.
type frame struct {
	payloads   [][]byte
	bytes      int
	time       media.Ticks // when it is shown, in session time, at the clock rate of RTP
	key        bool        // decoding may start here
	disposable bool
	epoch      int64
	at         time.Duration // session clock when it came
}

func newFrame(payloads [][]byte, t media.Ticks, at time.Duration) *frame {
	f := &frame{payloads: payloads, time: t, at: at}
	for _, p := range payloads {
		f.bytes += len(p)
	}
	return f
}

// layer is one rendition on its way to viewers: a queue with many readers, each at its own place. A slow one costs
// nothing; what is over the bounds above is forgotten, oldest first, whoever has not read it.
type layer struct {
	name   string
	video  bool
	pixels int         // of a picture, where layers are compared; guarded by broadcast.mu
	off    atomic.Bool // it cannot be shown now; set under broadcast.mu

	mu        sync.Mutex // guards what follows
	first     uint64     // number of frames[0]
	frames    []*frame
	bytes     int
	key       uint64 // number of the newest key frame; it may be forgotten
	hasKey    bool
	rate      meter
	followers map[*viewer]struct{}
}

func newLayer(name string, video bool) *layer {
	return &layer{name: name, video: video, followers: map[*viewer]struct{}{}}
}

// add appends a frame and wakes who follows.
func (l *layer) add(f *frame) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f.key {
		l.key, l.hasKey = l.first+uint64(len(l.frames)), true
	}
	l.frames = append(l.frames, f)
	l.bytes += f.bytes
	l.rate.add(f.bytes, f.at)
	drop := 0
	for drop < len(l.frames)-1 && l.forgets(l.frames[drop], l.first+uint64(drop), len(l.frames)-drop, f.at) {
		l.bytes -= l.frames[drop].bytes
		drop++
	}
	clear(l.frames[:drop]) // let go of the payloads
	l.frames, l.first = l.frames[drop:], l.first+uint64(drop)
	for v := range l.followers {
		v.wakeUp()
	}
}

func (l *layer) forgets(f *frame, number uint64, n int, now time.Duration) bool {
	if n > maxFrames || l.bytes > maxLayerBytes || now-f.at > maxGOPTime {
		return true
	}
	return now-f.at > keepFor && (!l.video || l.hasKey && number < l.key)
}

// take returns frame number n. ok is false if it is not there: lost, because it is forgotten, or has not come yet.
func (l *layer) take(n uint64) (f *frame, newest time.Duration, ok, lost bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if k := len(l.frames); k > 0 {
		newest = l.frames[k-1].at
	}
	switch {
	case n < l.first:
		return nil, newest, false, true
	case n >= l.first+uint64(len(l.frames)):
		return nil, newest, false, false
	}
	return l.frames[n-l.first], newest, true, false
}

// span is where a viewer may begin: at begin, with all up to end being there already. last is the time of the newest. ok is
// false if no key frame is kept.
func (l *layer) span() (begin, end uint64, last media.Ticks, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	end = l.first + uint64(len(l.frames))
	if !l.hasKey || l.key < l.first || l.key >= end {
		return end, end, 0, false
	}
	return l.key, end, l.frames[len(l.frames)-1].time, true
}

// age is how long ago the frame numbered n came, by the newest one.
func (l *layer) age(n uint64) time.Duration {
	f, newest, ok, _ := l.take(n)
	if !ok {
		return 0
	}
	return newest - f.at
}

// clear forgets everything: what comes next has nothing to do with it. Numbers go on.
func (l *layer) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.first += uint64(len(l.frames))
	clear(l.frames)
	l.frames, l.bytes, l.hasKey = nil, 0, false
}

// bitrate is what the layer took over the last two seconds or so, in bits a second; 0: not known yet.
func (l *layer) bitrate() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rate.last
}

func (l *layer) follow(v *viewer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.followers[v] = struct{}{}
}

func (l *layer) unfollow(v *viewer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.followers, v)
}

// meterWindow is long enough for a key frame to weigh what it does on average.
const meterWindow = 2 * time.Second

// meter measures a rate in windows.
type meter struct {
	begin time.Duration
	bytes int
	last  int
}

func (m *meter) add(bytes int, at time.Duration) {
	if d := at - m.begin; d >= meterWindow {
		if m.begin > 0 && d < 2*meterWindow {
			m.last = int(int64(m.bytes) * 8 * int64(time.Second) / int64(d))
		}
		m.begin, m.bytes = at, 0
	}
	m.bytes += bytes
}

package rtsp

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"mediad/live"
	"mediad/media"
)

// maxBadInRow is how many packets may be unreadable one after the other. A single one costs itself; so many mean that nothing
// will come of it.
const maxBadInRow = 250

// The repairs that are counted besides the firewall's.
const (
	repairLost   = "packets_lost"
	repairBroken = "rtp_unreadable"
)

// publication turns the packets of one source, pushed or pulled, into access units.
//
// The packets of its tracks may come in several goroutines. mu guards everything they touch; nothing blocks under it.
type publication struct {
	Publisher
	log  *slog.Logger
	now  func() time.Time
	o    *limits
	stop func() // hangs up; it does not wait

	began   time.Time
	watcher sync.WaitGroup
	over    chan struct{} // closed by finish

	once   sync.Once // guards the following
	failed chan struct{}
	cause  error // why the source is hung up on; readable once failed is closed

	mu       sync.Mutex // guards the following
	feed     Feed
	line     timeline
	video    *videoTrack
	audio    *audioTrack
	told     [media.Kinds]*media.Track // what feed knows
	sound    Sound
	finished bool
	last     time.Time // when the newest unit came
	units    int
	bytes    uint64
	bad      int
	badInRow int
	lost     uint64
}

// limits are what a publication is held to.
type limits struct {
	maxFrame     int
	firstTimeout time.Duration
	readTimeout  time.Duration
	transcoder   Transcoder
}

// newPublication begins to publish what was chosen. stop is called once at most, when the source must be hung up on,
// and finish must follow.
func newPublication(p Publisher, f Feed, c chosen, o *limits, log *slog.Logger, now func() time.Time, stop func()) *publication {
	pub := &publication{
		Publisher: p, feed: f, o: o, log: log, now: now, stop: stop, began: now(), last: now(),
		over: make(chan struct{}), failed: make(chan struct{}), video: c.videoTrack, audio: c.audioTrack,
	}
	if pub.video == nil {
		f.NoTrack(media.Video)
	} else {
		pub.line.setRate(media.Video, media.VideoTimescale)
	}
	if pub.audio != nil && pub.audio.pcm != nil {
		pub.openSound()
	}
	if pub.audio == nil {
		f.NoTrack(media.Audio)
	} else {
		pub.line.setRate(media.Audio, pub.audio.rate)
	}
	pub.watcher.Go(pub.watch)
	return pub
}

// openSound starts the transcoder. Without it there is no sound.
func (p *publication) openSound() {
	sound, err := p.o.transcoder.Transcode(*p.audio.pcm, p.transcoded)
	if err != nil {
		p.log.Warn("rtsp: the sound is left out: it cannot be transcoded", "error", err)
		p.audio = nil
		return
	}
	p.sound = sound
}

// watch hangs up when the hub says so, or when nothing comes any more.
func (p *publication) watch() {
	t := time.NewTimer(min(p.o.firstTimeout, p.o.readTimeout))
	defer t.Stop()
	for {
		select {
		case <-p.over:
			return
		case <-p.Done():
			p.fail(p.Err())
			return
		case <-t.C:
			left, err := p.silence()
			if err != nil {
				p.fail(err)
				return
			}
			t.Reset(left)
		}
	}
}

// silence is how long may still pass without a unit, or why that was too long.
func (p *publication) silence() (time.Duration, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	limit, reason := p.o.readTimeout, live.ReasonReadTimeout
	if p.units == 0 {
		limit, reason = p.o.firstTimeout, live.ReasonNoMedia
	}
	if left := limit - p.now().Sub(p.last); left > 0 {
		return left, nil
	}
	return 0, live.Refuse(reason, fmt.Errorf("rtsp: no frame within %v", limit))
}

// fail hangs up on the source; the first cause is kept.
func (p *publication) fail(err error) {
	p.once.Do(func() {
		if err == nil {
			err = live.Refuse(live.ReasonUnspecified, nil)
		}
		p.cause = err
		close(p.failed)
		p.stop()
	})
}

// finish ends the publication, once, by what made it fail, else by err. It returns that cause.
func (p *publication) finish(err error) error {
	p.once.Do(func() {
		p.cause = err
		close(p.failed)
	})
	close(p.over)
	p.watcher.Wait()
	p.mu.Lock()
	p.finished = true
	sound := p.sound
	p.mu.Unlock()
	if sound != nil {
		sound.Close()
	}
	defer p.Close(live.ReasonOf(p.cause))
	p.guard(func() error {
		p.feed.Flush()
		return nil
	})
	return p.cause
}

// guard keeps a panic from leaving, and hangs up for an error.
func (p *publication) guard(f func() error) {
	defer func() {
		if v := recover(); v != nil {
			p.fail(panicked(v))
		}
	}()
	if err := f(); err != nil {
		p.fail(err)
	}
}

// panicked is the error for a panic, to be made where it is recovered.
func panicked(v any) error {
	return live.Refuse(live.ReasonIngestError, fmt.Errorf("panic: %v\n%s", v, debug.Stack()))
}

// packet takes a RTP packet of a track.
func (p *publication) packet(kind media.Kind, pkt *rtp.Packet) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.finished {
		return
	}
	p.guard(func() error {
		p.bytes += uint64(len(pkt.Payload))
		var err error
		if kind == media.Video {
			err = p.takeVideo(pkt)
		} else {
			err = p.takeAudio(pkt)
		}
		return p.tolerate(err)
	})
}

// tolerate lets a packet be unreadable now and then. Errors with a reason end the publication.
func (p *publication) tolerate(err error) error {
	var known *live.Error
	switch {
	case err == nil:
		p.badInRow = 0
		return nil
	case errors.Is(err, errMore):
		return nil
	case errors.As(err, &known):
		return err
	}
	p.bad++
	p.badInRow++
	p.repaired(repairBroken, 1)
	if p.badInRow > maxBadInRow {
		return live.Refuse(live.ReasonMediaInvalid, fmt.Errorf("%d packets in a row: %w", p.badInRow, err))
	}
	return nil
}

// report takes a RTCP packet of a track.
func (p *publication) report(kind media.Kind, pkt rtcp.Packet) {
	sr, ok := pkt.(*rtcp.SenderReport)
	if !ok {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.line.report(kind, sr)
}

// lostPackets counts what did not come.
func (p *publication) lostPackets(n uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.finished {
		return
	}
	p.lost += n
	p.repaired(repairLost, int(min(n, 1<<16)))
}

// repaired tells the hub, where it wants to know.
func (p *publication) repaired(kind string, n int) {
	if r, ok := p.Publisher.(interface{ Repaired(kind string, n int) }); ok {
		r.Repaired(kind, n)
	}
}

func (p *publication) takeVideo(pkt *rtp.Packet) error {
	v := p.video
	pic, err := v.push(pkt)
	if err != nil {
		return err
	}
	if v.track == nil || pic.damaged || len(pic.nals) == 0 {
		return errMore // no parameter sets yet, or nothing that could be shown
	}
	if size := sampleSize(pic.nals); size > p.o.maxFrame {
		return live.Refuse(live.ReasonFrameTooLarge, fmt.Errorf("rtsp: a picture of %d bytes, over %d", size, p.o.maxFrame))
	}
	if p.told[media.Video] != v.track {
		if err := p.tell(media.Video, v.track); err != nil {
			return err
		}
	}
	au := media.AccessUnit{Kind: media.Video, Data: sample(pic.nals)}
	class, err := media.ClassifyUnit(v.track, au.Data)
	if err != nil {
		return err
	}
	if class.Empty {
		return errMore
	}
	au.RandomAccess, au.OpenGOP, au.Disposable = class.RandomAccess, class.OpenGOP, class.Disposable
	au.PTS = p.line.place(media.Video, pic.timestamp, p.now().Sub(p.began))
	if au.DTS, err = v.times.dts(pic.nals, au.PTS); err != nil {
		if p.units == 0 {
			return errMore // pictures before the first key frame have no order
		}
		return err
	}
	return p.write(au)
}

func (p *publication) takeAudio(pkt *rtp.Packet) error {
	a := p.audio
	frames, t, err := a.decode(pkt)
	if err != nil {
		return err
	}
	if t != nil {
		a.track = t
	}
	pts := p.line.place(media.Audio, pkt.Timestamp, p.now().Sub(p.began))
	if a.pcm != nil {
		p.last = p.now()
		return p.sound.Write(pts, frames[0])
	}
	if p.told[media.Audio] != a.track {
		if err := p.tell(media.Audio, a.track); err != nil {
			return err
		}
	}
	pts = media.Rescale(pts, a.rate, a.track.Timescale)
	for i, data := range frames {
		if i == maxAudioFrames {
			return live.Refuse(live.ReasonProtocolError, fmt.Errorf("rtsp: over %d frames of sound in a packet", maxAudioFrames))
		}
		if len(data) == 0 {
			continue
		}
		if len(data) > p.o.maxFrame {
			return live.Refuse(live.ReasonFrameTooLarge, fmt.Errorf("rtsp: a frame of %d bytes, over %d", len(data), p.o.maxFrame))
		}
		at := pts + media.Ticks(i*a.track.FrameSamples)
		if err := p.write(media.AccessUnit{Kind: media.Audio, DTS: at, PTS: at, RandomAccess: true, Data: data}); err != nil {
			return err
		}
	}
	return nil
}

// transcoded takes a unit from the transcoder.
func (p *publication) transcoded(t *media.Track, au media.AccessUnit) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.finished {
		return
	}
	p.guard(func() error {
		if p.told[media.Audio] != t {
			if err := p.tell(media.Audio, t); err != nil {
				return err
			}
		}
		return p.write(au)
	})
}

func (p *publication) tell(kind media.Kind, t *media.Track) error {
	p.told[kind] = t
	return p.feed.Track(kind, t)
}

func (p *publication) write(au media.AccessUnit) error {
	p.last = p.now()
	p.units++
	return p.feed.Write(au)
}

package whep

import (
	"sync"
	"time"

	"mediad/live"
	"mediad/media"
)

// sound makes packets of a session's audio: Opus as it is, and of other codecs by an encoder while somebody hears. Its methods
// are called by the goroutine that reads the session.
type sound struct {
	b     *broadcast
	out   *layer
	track *media.Track

	encoder OpusEncoder // nil: none runs
	dead    chan struct{}
	reader  sync.WaitGroup
	heard   time.Duration // session clock when somebody was last there to hear
	retry   time.Duration // no encoder is started before
}

// epoch prepares for what comes.
func (s *sound) epoch(t *media.Track) {
	if s.encoder != nil && !t.Same(s.track) {
		s.stop()
	}
	s.track = t
}

// unit takes the next unit.
func (s *sound) unit(e *live.Event) {
	if s.track == nil {
		return
	}
	if s.track.Codec == media.Opus {
		s.packet(&e.Unit, s.track.Timescale, e.ArrivedAt)
		return
	}
	if s.b.s.o.Opus == nil {
		return
	}
	now := s.b.session.Now()
	if s.b.listeners.Load() > 0 {
		s.heard = now
	}
	if s.encoder != nil {
		select {
		case <-s.dead:
			s.stop()
			s.retry = now + retryEvery
		default:
		}
	}
	switch wanted := s.heard > 0 && now-s.heard < s.b.s.o.Linger; {
	case s.encoder == nil && wanted && now >= s.retry:
		s.start(now)
	case s.encoder != nil && !wanted:
		s.stop()
	}
	if s.encoder != nil {
		s.encoder.Write(e.Unit)
	}
}

func (s *sound) start(now time.Duration) {
	encoder, err := s.b.s.o.Opus.Encode(s.track)
	if err != nil {
		s.b.log.Warn("whep: no sound", "codec", s.track.Codec, "error", err)
		s.retry = now + 10*retryEvery
		return
	}
	dead := make(chan struct{})
	s.encoder, s.dead = encoder, dead
	s.reader.Go(func() {
		defer close(dead)
		s.b.guard("sound", func() error {
			for au := range encoder.Units() {
				s.packet(&au, audioClock, s.b.session.Now())
			}
			return nil
		})
	})
}

// stop ends the encoder and waits for it.
func (s *sound) stop() {
	if s.encoder == nil {
		return
	}
	s.encoder.Close()
	s.reader.Wait()
	s.encoder = nil
}

// packet passes a packet of Opus on; one is always less than what RTP carries.
func (s *sound) packet(au *media.AccessUnit, scale media.Timescale, at time.Duration) {
	if len(au.Data) == 0 || len(au.Data) > maxPayload {
		return
	}
	f := newFrame([][]byte{au.Data}, media.Rescale(au.PTS, scale, audioClock), at)
	f.key = true
	s.out.add(f)
}

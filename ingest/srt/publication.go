package srt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	gosrt "github.com/datarhei/gosrt"

	"mediad/ingest"
	"mediad/live"
	"mediad/media"
	"mediad/media/mpegts"
)

// datagram is over what one Read returns: the payload of a packet is 1456 bytes at most.
const datagram = 2048

// publication is one publisher on its way from datagrams to access units. It belongs to the goroutine that reads, but for what
// watch looks at.
type publication struct {
	o    *Options
	p    Publisher
	feed Feed
	log  *slog.Logger

	heard atomic.Int64 // when the newest datagram came, on the clock of began
	units atomic.Uint64
	bytes uint64
	began time.Time

	leftOut []string // codecs of sound that were told of; there are as many as the demuxer knows

	network live.Network // what was told last; watch's
}

func (s *Server) publish(ctx context.Context, call gosrt.ConnRequest, r Request, log *slog.Logger) {
	asking, cancel := context.WithTimeout(ctx, admitTimeout)
	p, feed, err := s.o.Admit(asking, r)
	cancel()
	if err != nil {
		refuse(call, err, log)
		return
	}
	log = log.With("stream", p.Stream())
	conn, err := call.Accept()
	if err != nil {
		log.Warn("srt: not accepted", "error", err)
		p.Close(live.ReasonConnectionLost)
		return
	}
	log.Info("srt: publishing")
	pub := &publication{o: &s.o, p: p, feed: feed, log: log, began: s.o.Now()}
	reason := live.ReasonIngestError // where run panics
	defer func() { p.Close(reason) }()
	defer func() { _ = conn.Close() }() // it never fails
	err = pub.run(ctx, conn)
	reason = live.ReasonOf(err)
	pub.end(conn, err)
}

// run reads until the publication is over, and returns why.
func (pub *publication) run(ctx context.Context, conn gosrt.Conn) error {
	var watching sync.WaitGroup
	var cause error
	over := make(chan struct{})
	watching.Go(func() {
		cause = pub.watch(ctx, conn, over)
		_ = conn.Close() // ends the reading
	})
	err := pub.read(conn)
	close(over)
	watching.Wait()
	if cause != nil {
		err = cause
	}
	pub.feed.Flush()
	return err
}

// watch tells how the network does, and returns why the publisher is hung up on; nil once over is closed.
func (pub *publication) watch(ctx context.Context, conn gosrt.Conn, over <-chan struct{}) error {
	t := time.NewTimer(pub.o.ReadTimeout / 2)
	defer t.Stop()
	var st gosrt.Statistics
	conn.Stats(&st)
	report := time.NewTicker(reportEvery(st))
	defer report.Stop()
	for {
		select {
		case <-over:
			return nil
		case <-ctx.Done():
			return live.Refuse(live.ReasonShuttingDown, nil)
		case <-pub.p.Done():
			return pub.p.Err()
		case <-report.C:
			conn.Stats(&st)
			pub.network = networkOf(st, pub.network.Lost)
			pub.p.Network(pub.network)
			continue
		case <-t.C:
		}
		since := pub.o.Now().Sub(pub.began)
		switch silent := since - time.Duration(pub.heard.Load()); {
		case silent >= pub.o.ReadTimeout:
			return live.Refuse(live.ReasonReadTimeout, fmt.Errorf("srt: silent for %v", silent))
		case pub.units.Load() == 0 && since >= pub.o.FirstFrameTimeout:
			return live.Refuse(live.ReasonNoMedia, fmt.Errorf("srt: no frame within %v", since))
		default:
			t.Reset(max(min(pub.o.ReadTimeout-silent, pub.o.FirstFrameTimeout/4), time.Millisecond))
		}
	}
}

func (pub *publication) read(conn gosrt.Conn) error {
	flood := ingest.NewFlood(pub.log, pub.o.Now, "srt: the transport stream is damaged")
	defer flood.Flush()
	d := mpegts.New(mpegts.Options{Sink: pub, MaxPES: pub.o.MaxFrame})
	var told mpegts.Stats
	buf := make([]byte, datagram)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			if flushErr := d.Flush(); flushErr != nil {
				return flushErr
			}
			return pub.gone(err)
		}
		pub.heard.Store(int64(pub.o.Now().Sub(pub.began)))
		pub.bytes += uint64(n)
		switch err := d.Write(buf[:n]); {
		case errors.Is(err, mpegts.ErrNotTransportStream):
			return live.Refuse(live.ReasonProtocolError, err)
		case errors.Is(err, mpegts.ErrParameterSets):
			return live.Refuse(live.ReasonMediaInvalid, err)
		case errors.Is(err, mpegts.ErrTooLarge):
			return live.Refuse(live.ReasonFrameTooLarge, err)
		case err != nil:
			return err
		}
		if now := d.Stats(); now != told {
			if now.Discontinuities > told.Discontinuities {
				flood.Add("packets_lost")
			}
			if now.Broken > told.Broken {
				flood.Add("frames_broken")
			}
			if now.Resyncs > told.Resyncs {
				flood.Add("boundaries_lost")
			}
			told = now
		}
	}
}

// gone says why nothing can be read any more. A caller that ends says so; one that vanished is given up after a silence.
func (pub *publication) gone(err error) error {
	silent := pub.o.Now().Sub(pub.began) - time.Duration(pub.heard.Load())
	if errors.Is(err, io.EOF) && silent < pub.o.ReadTimeout/2 {
		return live.Refuse(live.ReasonPublisherStopped, nil)
	}
	return live.Refuse(live.ReasonConnectionLost, err)
}

// end logs the publication's one line.
func (pub *publication) end(conn gosrt.Conn, err error) {
	var st gosrt.Statistics
	conn.Stats(&st)
	session := ""
	if s := pub.p.Session(); s != nil {
		session = s.ID()
	}
	r := live.ReasonOf(err)
	level := slog.LevelWarn
	if r == live.ReasonPublisherStopped || r == live.ReasonShuttingDown || r == live.ReasonReplaced {
		level, err = slog.LevelInfo, nil
	}
	pub.log.Log(context.Background(), level, "srt: connection ended", withError(err, "reason", r, "session", session,
		"duration", pub.o.Now().Sub(pub.began).Round(time.Millisecond).String(), "bytes", pub.bytes, "units", pub.units.Load(),
		"rtt_ms", math.Round(st.Instantaneous.MsRTT*10)/10, "packets_lost", st.Accumulated.PktRecvLoss,
		"packets_dropped", st.Accumulated.PktRecvDrop)...)
}

// Track implements mpegts.Sink.
func (pub *publication) Track(kind media.Kind, t *media.Track) error { return pub.feed.Track(kind, t) }

// NoTrack implements mpegts.Sink.
func (pub *publication) NoTrack(kind media.Kind) { pub.feed.NoTrack(kind) }

// Write implements mpegts.Sink.
func (pub *publication) Write(au media.AccessUnit) error {
	pub.units.Add(1)
	return pub.feed.Write(au)
}

// Unsupported implements mpegts.Sink: without its picture a stream is nothing, without its sound it is something.
func (pub *publication) Unsupported(kind media.Kind, codec string) error {
	if kind == media.Video {
		return live.Refuse(live.ReasonCodecUnsupported, fmt.Errorf("srt: %s is not carried", codec))
	}
	if !slices.Contains(pub.leftOut, codec) { // a program map may change for ever
		pub.leftOut = append(pub.leftOut, codec)
		pub.log.Warn("srt: the sound is left out", "codec", codec)
	}
	return nil
}

package main

import (
	"context"
	"fmt"
	"sync"

	"mediad/egress/relay"
	"mediad/egress/whep"
	"mediad/ingest/rtsp"
	"mediad/live"
	"mediad/media"
	"mediad/packager"
	"mediad/transcode/audio"
)

// runSession carries one broadcast to its end: it returns when the session is over and all that was published is stored, or
// when ctx is cancelled, which is the stop of the server.
//
//	live.Session ─┬─subscription──► Opus becomes AAC ──► packager ──► origin's viewers, blobs, segment rows
//	              ├─subscription──► ladder (FFmpeg) ──► packager, viewers by WebRTC
//	              ├─newest key frame, each few seconds──► thumb ──► origin's thumb.jpg
//	              └─subscriptions─► relays ──► other servers
//
// The hub runs it in a goroutine of its own a session; a panic in it ends this session alone.
func (n *node) runSession(ctx context.Context, s *live.Session) error {
	defer n.relays.Follow(ctx, s)()
	pictures, stop := context.WithCancel(ctx)
	var beside sync.WaitGroup
	beside.Go(func() { n.thumbs.Run(pictures, s) }) // whatever becomes of it, the session goes on
	defer beside.Wait()
	defer stop()
	kept := s.Grant().Record // one that goes on after a restart is kept to its end, as it began
	n.records.begin(s.ID(), s.Grant().StreamID, kept)
	if kept {
		defer func() {
			if ctx.Err() == nil { // else it may go on after a restart
				n.records.end(s.ID())
			}
		}()
	}
	return n.streams.Run(ctx, s)
}

// newRelays reads where streams are forwarded to.
func (n *node) newRelays(s *sockets) (*relay.Relays, error) {
	o := relay.Options{Routes: n.config.Forwards, OwnPorts: s.mediaPorts(), Allow: forwarding{outboundGuard(n.config)}.allowedBut(newOwnPlaces(n.config, s.mediaPorts())), Log: n.log, Now: n.now}
	if installed(context.Background()) == nil {
		o.Convert = func(sub *live.Subscriber) relay.Subscription {
			return audio.Convert(sub, audio.Options{Log: n.log.With("stream", sub.Stream()), Now: n.now})
		}
	}
	r, err := relay.New(o)
	if err != nil {
		return nil, fmt.Errorf("forwards: %w", err)
	}
	return r, nil
}

// warnWithoutFFmpeg says once what there is not.
func (n *node) warnWithoutFFmpeg(ctx context.Context) {
	if installed(ctx) != nil {
		n.log.Warn("FFmpeg is not installed: viewers get the source as it is, in no other quality; Opus has no sound in HLS and AAC none by WebRTC, " +
			"G.711 of cameras is left out, and there are no thumbnails and no storyboards")
	}
}

// convert is how sound that HLS does not carry becomes AAC; nil without FFmpeg: then it is left out.
func (n *node) convert() func(*live.Subscriber) packager.Subscription {
	if installed(context.Background()) != nil {
		return nil
	}
	return func(sub *live.Subscriber) packager.Subscription {
		return audio.Convert(sub, audio.Options{Log: n.log.With("stream", sub.Stream()), Now: n.now})
	}
}

// sounds is what makes sound for those who take another kind than a publisher sends; zero where FFmpeg is not installed.
type sounds struct{ o *audio.Options }

func (n *node) sounds() sounds {
	if installed(context.Background()) != nil {
		return sounds{}
	}
	return sounds{&audio.Options{Log: n.log, Now: n.now}}
}

// opus is for viewers by WebRTC; nil: they hear what is Opus already.
func (s sounds) opus() whep.Opus {
	if s.o == nil {
		return nil
	}
	return opusOf(*s.o)
}

// pcm is for cameras that send G.711; nil: it is left out.
func (s sounds) pcm() rtsp.Transcoder {
	if s.o == nil {
		return nil
	}
	return aacOf(*s.o)
}

type opusOf audio.Options

func (o opusOf) Encode(t *media.Track) (whep.OpusEncoder, error) {
	return audio.EncodeOpus(t, audio.Options(o))
}

type aacOf audio.Options

func (o aacOf) Transcode(f rtsp.PCM, out func(*media.Track, media.AccessUnit)) (rtsp.Sound, error) {
	return audio.EncodePCM(audio.PCM(f), audio.Options(o), out)
}

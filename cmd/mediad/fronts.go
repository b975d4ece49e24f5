package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"mediad/api/playback"
	"mediad/egress/relay"
	playrtsp "mediad/egress/rtsp"
	playsrt "mediad/egress/srt"
	"mediad/egress/whep"
	"mediad/ingest"
	"mediad/ingest/rtmp"
	"mediad/ingest/rtsp"
	"mediad/ingest/srt"
	"mediad/ingest/whip"
	lifecycle "mediad/internal/run"
	"mediad/live"
)

// fronts are the doors of media that are not HTTP: publishers come in by them, and some players.
type fronts struct {
	rtmp    *rtmp.Server
	rtsp    *rtsp.Server
	srt     *srt.Server
	whip    *whip.Server // nil without a port for ICE, as is
	whep    *whep.Server
	players *playrtsp.Streams
	sources []*rtsp.Puller
}

func (n *node) newFronts(s *sockets, asked hooks, rights *playback.Rights) (*fronts, error) {
	f, sounds := &fronts{}, n.sounds()
	mayPlay := playRights{rights, n.hub, asked.play}.may
	limits := ingest.Limits{ReadTimeout: n.config.Ingest.ReadTimeout}
	feed := ingest.FeedOptions{Limits: limits, Log: n.log, Now: n.now}
	var err error
	f.rtmp, err = rtmp.New(rtmp.Options{Admit: rtmp.ToHub(n.hub, feed), ReadTimeout: limits.ReadTimeout, Log: n.log, Now: n.now})
	if err != nil {
		return nil, err
	}
	udp, err := evenPort(n.config.RTSP.UDPAddr)
	if err != nil {
		return nil, fmt.Errorf("rtsp.udp_addr: %w", err)
	}
	if f.players, err = playrtsp.New(playrtsp.Options{Source: n.hub, Authorize: mayPlay, Log: n.log}); err != nil {
		return nil, err
	}
	f.rtsp, err = rtsp.New(rtsp.Options{
		Admit: rtsp.ToHub(n.hub, feed), Player: f.players, Transcoder: sounds.pcm(), UDPAddr: udp,
		ReadTimeout: limits.ReadTimeout, Log: n.log, Now: n.now,
	})
	if err != nil {
		return nil, err
	}
	watching, err := playsrt.New(playsrt.Options{Source: n.hub, Authorize: mayPlay, Log: n.log})
	if err != nil {
		return nil, err
	}
	f.srt, err = srt.New(srt.Options{
		Admit: srt.ToHub(n.hub, feed), Player: watching, Passphrase: n.config.SRT.Passphrase, ReadTimeout: limits.ReadTimeout, Log: n.log, Now: n.now,
	})
	if err != nil {
		return nil, fmt.Errorf("srt.passphrase: %w", err)
	}
	if s.rtc != nil {
		f.whip, err = whip.New(whip.Options{
			RTC: s.rtc, Admit: whip.ToHub(n.hub, feed), Open: n.config.Ingest.Open, Remote: n.remote,
			VP8:         n.ladder != nil,
			ReadTimeout: limits.ReadTimeout, KeyFrameEvery: n.config.HLS.SegmentTarget, Log: n.log, Now: n.now,
		})
		if err != nil {
			return nil, err
		}
		f.whep, err = whep.New(whep.Options{
			RTC: s.rtc, Source: n.hub, Rungs: rungs{n.ladder, n.log}, Opus: sounds.opus(), Authorize: mayPlay, Remote: n.remote, Place: n.placeOf,
			Observer: n.metrics.Players(), Log: n.log, Now: n.now,
		})
		if err != nil {
			return nil, err
		}
	}
	for _, route := range n.config.Sources {
		name, address, _ := strings.Cut(route, "=")
		p, err := n.newSource(name, address, feed, sounds.pcm(), s.rtspPorts())
		if err != nil {
			return nil, fmt.Errorf("sources: %s: %w", name, err)
		}
		f.sources = append(f.sources, p)
	}
	return f, nil
}

// newSource pulls from a camera. The transport may stand in the URL's scheme.
func (n *node) newSource(name, address string, feed ingest.FeedOptions, sound rtsp.Transcoder, own []int) (*rtsp.Puller, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("not a URL") // err has the URL in it, and that the password
	}
	o := rtsp.PullOptions{Name: name, Transcoder: sound, ReadTimeout: n.config.Ingest.ReadTimeout, Log: n.log, Now: n.now}
	switch u.Scheme {
	case "rtsp+tcp":
		u.Scheme, o.Transport = "rtsp", rtsp.TransportTCP
	case "rtsp+udp":
		u.Scheme, o.Transport = "rtsp", rtsp.TransportUDP
	case "rtsps":
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true} //nolint:gosec // cameras sign for themselves
	}
	o.URL = u.String()
	o.Ourselves = func(ctx context.Context, addr string) bool { return relay.Ourselves(ctx, addr, own) }
	o.Admit = func(ctx context.Context, name string, peer live.Peer) (rtsp.Publisher, rtsp.Feed, error) {
		g, err := n.site.streams.SourceGrant(ctx, name)
		if err == nil {
			err = allowed(ctx, n.site.streams, g, peer)
		}
		if err != nil {
			return nil, nil, refusal(err)
		}
		if err := n.owners.admitSource(ctx, grant(g)); err != nil {
			return nil, nil, err
		}
		p, err := n.hub.Admit(grant(g), peer)
		if err != nil {
			return nil, nil, err
		}
		feed := feed
		feed.Publisher, feed.Log = p, n.log.With("stream", p.Stream(), "protocol", peer.Protocol, "peer", peer.Remote)
		return p, ingest.NewFeed(feed), nil
	}
	return rtsp.NewPuller(o)
}

// viewers is how many play a stream by WHEP.
func (f *fronts) viewers(stream string) int {
	if f.whep == nil {
		return 0
	}
	return f.whep.Viewers(stream)
}

// eachViewer gives those who play a stream by WHEP.
func (f *fronts) eachViewer(stream string, give func(id, place string)) {
	if f.whep != nil {
		f.whep.Each(stream, give)
	}
}

// remote is the address that a publisher or player by WebRTC has, with a port where there is one.
func (n *node) remote(r *http.Request) string {
	if ip := n.clientIP(r); ip != address(r.RemoteAddr).String() {
		return ip // a proxy told it
	}
	return r.RemoteAddr
}

// handlers are what hangs on the HTTP ports, by path.
func (f *fronts) handlers() map[string]http.Handler {
	h := map[string]http.Handler{}
	if f.whip != nil {
		h["/whip"], h["/whip/"] = f.whip, f.whip
		h["/whep/"] = f.whep
	}
	return h
}

// evenPort finds a free even port, with the one behind it free as well, where addr leaves the port open.
func evenPort(addr string) (string, error) {
	if addr == "" {
		return "", nil
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil || port != "0" {
		return addr, err
	}
	for range 50 {
		first, err := net.ListenPacket("udp", addr)
		if err != nil {
			return "", err
		}
		p := first.LocalAddr().(*net.UDPAddr).Port &^ 1
		_ = first.Close()
		if free(host, p) && free(host, p+1) {
			return net.JoinHostPort(host, strconv.Itoa(p)), nil
		}
	}
	return "", errors.New("no free pair of ports")
}

func free(host string, port int) bool {
	c, err := net.ListenPacket("udp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return false
	}
	return c.Close() == nil
}

// add puts the doors among the tasks, in the order of starting.
func (f *fronts) add(tasks *lifecycle.Group, s *sockets, certs *certificates) {
	serve := func(name string, run func(context.Context, net.Listener) error, l net.Listener) {
		if l != nil {
			tasks.Add(name, func(ctx context.Context) error { return run(ctx, l) })
		}
	}
	serve("rtmp", f.rtmp.Serve, s.rtmp)
	if certs != nil {
		serve("rtmps", f.rtmp.Serve, certs.wrap(s.rtmps))
	}
	tasks.Add("rtsp players", func(ctx context.Context) error {
		<-ctx.Done()
		f.players.Close()
		return nil
	})
	serve("rtsp", f.rtsp.Serve, s.rtsp)
	if s.srt != nil {
		tasks.Add("srt", func(ctx context.Context) error { return f.srt.Serve(ctx, s.srt) })
	}
	if f.whip != nil {
		tasks.Add("webrtc", func(ctx context.Context) error {
			<-ctx.Done()
			f.whip.Close()
			f.whep.Close()
			return s.rtc.Close()
		})
	}
	if len(f.sources) > 0 {
		tasks.Add("sources", func(ctx context.Context) error {
			var running sync.WaitGroup
			for _, p := range f.sources {
				running.Go(func() { p.Run(ctx) })
			}
			running.Wait()
			return nil
		})
	}
}

package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
	"strings"
	"time"

	"mediad/ingest"
	"mediad/ingest/rtmp"
	"mediad/live"
	"mediad/packager"
	"mediad/packager/origin"
	"mediad/store/blob/disk"
	"mediad/web"
)

type auth struct{}

func (auth) AuthorizePublish(ctx context.Context, key string, p live.Peer) (live.Grant, error) {
	return live.Grant{StreamID: key, Stream: key, KeyID: key, Record: true, DVR: 2 * time.Hour}, nil
}

type src struct{ s *packager.Streams }

func (s src) Stream(n string) (origin.Stream, bool) {
	st, ok := s.s.Stream(n)
	if !ok {
		return nil, false
	}
	return str{st}, true
}

type str struct{ *packager.Stream }

func (s str) Rendition(n string) (origin.Rendition, bool) {
	r, ok := s.Stream.Rendition(n)
	if !ok {
		return nil, false
	}
	return r, true
}

func main() {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	b, err := disk.Open(os.Args[1])
	if err != nil {
		panic(err)
	}
	ps := packager.NewStreams(packager.Options{Blobs: b, PartTarget: 200 * time.Millisecond, SegmentTarget: 2 * time.Second, Window: 30 * time.Second, DVR: 2 * time.Hour, Log: log})
	rest, err := ps.Recover(context.Background())
	if err != nil {
		panic(err)
	}
	hub := live.NewHub(live.Options{Authorizer: auth{}, Run: ps.Run, Log: log, LastEpoch: ps.LastEpoch})
	for _, r := range rest {
		hub.Restore(r)
	}
	ctx := context.Background()
	go hub.Run(ctx)
	go ps.RunJanitor(ctx)
	o := origin.New(origin.Options{Source: src{ps}, Blobs: b, Log: log})
	l, err := net.Listen("tcp", os.Args[3])
	if err != nil {
		panic(err)
	}
	srv, _ := rtmp.New(rtmp.Options{Log: log, Admit: func(ctx context.Context, r rtmp.Request) (rtmp.Publisher, rtmp.Feed, error) {
		p, err := hub.Publish(ctx, r.Key, r.Peer)
		if err != nil {
			return nil, nil, err
		}
		return p, ingest.NewFeed(ingest.FeedOptions{Publisher: p, Log: log}), nil
	}})
	go srv.Serve(ctx, l)
	go http.ListenAndServe("127.0.0.1:9999", nil)
	page := web.Handler(web.Options{})
	http.ListenAndServe(os.Args[2], http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/live/") {
			o.ServeHTTP(w, r)
			return
		}
		page.ServeHTTP(w, r)
	}))
}

package rtmp

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"testing"

	"go.uber.org/goleak"

	"mediad/ingest/ingesttest"
	"mediad/internal/testx"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	for _, secure := range []bool{false, true} {
		name := map[bool]string{false: "RTMP", true: "RTMPS"}[secure]
		t.Run(name+"/Scripted", func(t *testing.T) {
			ingesttest.Run(t, ingesttest.Harness{
				Start: func(ctx context.Context, t testing.TB, hub *ingesttest.Hub, l ingesttest.Limits) (string, func()) {
					return start(ctx, t, hub, limited(l), secure)
				},
				Publisher: func(t testing.TB, addr string) ingesttest.Publisher {
					return &suiteClient{client: newClient(t), addr: addr, secure: secure}
				},
				Tells: true,
			})
		})
	}
}

func limited(l ingesttest.Limits) Options {
	return Options{MaxFrame: l.MaxFrame, ReadTimeout: l.ReadTimeout, FirstFrameTimeout: l.FirstFrameTimeout}
}

func admit(hub *ingesttest.Hub) func(context.Context, Request) (Publisher, Feed, error) {
	return func(ctx context.Context, r Request) (Publisher, Feed, error) {
		p, err := hub.Admit(ctx, r.Key, r.Peer)
		if err != nil {
			return nil, nil, err
		}
		return p, p, nil
	}
}

// start serves on a free port until ctx ends.
func start(ctx context.Context, t testing.TB, hub *ingesttest.Hub, o Options, secure bool) (string, func()) {
	t.Helper()
	o.Admit = admit(hub)
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	srv, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if secure {
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{testx.Certificate(t)}})
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := srv.Serve(ctx, l); err != nil {
			t.Error(err)
		}
	}()
	return addr, func() { <-done }
}

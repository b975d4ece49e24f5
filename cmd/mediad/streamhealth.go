package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v3"

	"mediad/api/stream"
	"mediad/egress/relay"
	"mediad/live"
	"mediad/media"
)

// healthOf puts together what is known of a broadcast. rungs are those that are encoded for it; holdBack is how far behind the
// edge players stay.
func healthOf(s live.Status, rungs []stream.HealthRung, holdBack time.Duration) stream.Health {
	h := stream.Health{
		Protocol: s.Protocol, Encoder: s.Encoder, Remote: stream.MaskAddr(s.Remote),
		AVOffsetMS: s.AVOffset.Milliseconds(), JitterMS: float64(s.Video.Jitter) / float64(time.Millisecond),
		TimestampRepairs: s.Repairs, DroppedFrames: s.Drops.Total(), Ladder: rungs,
		Forwards: []stream.HealthForward{}, Alerts: []stream.HealthAlert{},
	}
	if h.Ladder == nil {
		h.Ladder = []stream.HealthRung{}
	}
	if !s.ConnectedAt.IsZero() {
		h.ConnectedS = int64(s.Now.Sub(s.ConnectedAt).Seconds())
		h.EndToEndMS = (s.Now.Sub(s.StartedAt) - s.MediaEnd + holdBack).Milliseconds()
	}
	if n := s.Network; n != nil {
		if rtt := float64(n.RTT) / float64(time.Millisecond); n.RTT > 0 {
			h.RTTMS = &rtt
		}
		lost, unrepaired := 100*n.LostShare, 100*n.MissingShare
		h.LossPct, h.UnrepairedPct = &lost, &unrepaired
	}
	if t := s.Tracks[media.Video]; t != nil {
		v := s.Video
		h.Video = &stream.HealthVideo{
			Codec: t.RFC6381(), Profile: t.Profile(), Width: t.Width, Height: t.Height, FPS: v.FPS, FPSExpected: t.FrameRate.Float(),
			Bitrate: stream.Rate{Last1S: v.Bitrate.Last1s, Last10S: v.Bitrate.Last10s},
			GOP:     stream.GOP{Last: v.LastGOP.Seconds(), Mean: v.MeanGOP.Seconds(), Max: v.MaxGOP.Seconds()},
			BFrames: v.BFrames, KeyFramesMissing: v.KeyFrameDue,
		}
	}
	if t := s.Tracks[media.Audio]; t != nil {
		h.Audio = &stream.HealthAudio{
			Codec: t.RFC6381(), SampleRate: t.SampleRate, Channels: t.Channels,
			Bitrate: stream.Rate{Last1S: s.Audio.Bitrate.Last1s, Last10S: s.Audio.Bitrate.Last10s},
		}
	}
	for _, a := range s.Alerts {
		h.Alerts = append(h.Alerts, stream.HealthAlert{
			Code: string(a.Code), Severity: string(a.Severity), Since: a.Since.UTC().Format(healthTime), Advice: a.Advice,
		})
	}
	return h
}

// health is the health of a stream's broadcast, false if there is none.
func (n *node) streamHealth(name string) (stream.Health, bool) {
	s, ok := n.hub.Lookup(name)
	if !ok || s.SessionID == "" {
		return stream.Health{}, false
	}
	const partsBehind = 3
	h := healthOf(s, n.rungHealth(s.SessionID), partsBehind*n.config.HLS.PartTarget)
	h.Forwards = forwardsOf(n.relays.Status(name))
	return h, true
}

// forwardsOf tells how it stands with the servers that a stream is forwarded to.
func forwardsOf(targets []relay.Status) []stream.HealthForward {
	out := []stream.HealthForward{}
	for _, t := range targets {
		f := stream.HealthForward{
			ID: t.ID, Target: t.Target, State: string(t.State), Since: t.Since.UTC().Format(healthTime), Attempts: t.Attempts, Bytes: t.Bytes,
			DroppedFrames: t.Drops, Error: t.Error, Note: t.Note,
		}
		if !t.RetryAt.IsZero() {
			f.RetryAt = t.RetryAt.UTC().Format(healthTime)
		}
		out = append(out, f)
	}
	return out
}

const healthTime = "2006-01-02T15:04:05.000Z"

// serveHealth answers on the admin port, until people who own streams have accounts to ask with.
func (n *node) serveHealth() http.Handler {
	return reads(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		name := r.PathValue("stream")
		h, ok := n.streamHealth(name)
		if !ok {
			text, code := n.whyNoHealth(r.Context(), name)
			http.Error(w, text, code)
			return
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_ = json.NewEncoder(w).Encode(h) // who asked has gone: nobody is left to tell
	})
}

// whyNoHealth says what is so of a stream that has no broadcast: 404 where there is no such stream.
func (n *node) whyNoHealth(ctx context.Context, name string) (text string, code int) {
	if s, ok := n.hub.Lookup(name); ok && s.State == live.StateStarting {
		return fmt.Sprintf("is about to begin: a publisher is connected by %s, and nothing that can be shown has come yet", s.Protocol), http.StatusConflict
	}
	_, err := n.site.streams.Find(ctx, name)
	switch {
	case errors.Is(err, stream.ErrNotFound):
		return "there is no such stream", http.StatusNotFound
	case err != nil:
		n.log.Error("stream not looked up", "stream", name, "error", err)
		return "the database does not answer", http.StatusServiceUnavailable
	}
	return "is not on air", http.StatusConflict
}

// maxHealth is far above what a server answers.
const maxHealth = 1 << 20

func (p *program) streamHealthCommand() *cli.Command {
	return &cli.Command{
		Name: "health", Usage: "tell how a broadcast arrives, and what its streamer should change", ArgsUsage: "STREAM",
		Flags:  []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "print the document as api.md has it"}},
		Action: p.streamHealth,
	}
}

// streamHealth asks the running server, by its admin port.
func (p *program) streamHealth(ctx context.Context, c *cli.Command) error {
	if c.Args().Len() != 1 {
		return usagef("stream health takes the name of one stream")
	}
	loaded, err := p.load(c)
	if err != nil {
		return err
	}
	addr := loaded.Admin.Addr
	if addr == "" {
		return errors.New("admin.addr is empty: the server has no port to be asked on")
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	if host == "" {
		host = "127.0.0.1"
	}
	u := url.URL{Scheme: "http", Host: net.JoinHostPort(host, port), Path: "/streams/" + url.PathEscape(c.Args().First()) + "/health"}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return fmt.Errorf("the server does not answer at %s; is it running with this configuration? %w", u.Host, err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxHealth))
	if err != nil {
		return err
	}
	switch {
	case answer.StatusCode == http.StatusConflict:
		return fmt.Errorf("%s %s", c.Args().First(), bytes.TrimSpace(body))
	case answer.StatusCode == http.StatusNotFound:
		return fmt.Errorf("there is no stream %s at %s; mediad stream list names those there are", c.Args().First(), u.Host)
	case answer.StatusCode != http.StatusOK:
		return fmt.Errorf("the server at %s answers %s", u.Host, answer.Status)
	case c.Bool("json"):
		_, err = p.stdout.Write(body)
		return err
	}
	var h stream.Health
	if err := json.Unmarshal(body, &h); err != nil {
		return err
	}
	return printHealth(p.stdout, h)
}

// forwardLine is what there is to say about one target.
func forwardLine(f stream.HealthForward) string {
	attempts := "1 attempt"
	if f.Attempts != 1 {
		attempts = fmt.Sprintf("%d attempts", f.Attempts)
	}
	text := fmt.Sprintf("%s: %s since %s, %.1f MB in %s, %d frames dropped", f.Target, f.State, f.Since, float64(f.Bytes)/1e6, attempts, f.DroppedFrames)
	switch {
	case f.Error != "" && f.State != string(relay.StateLive):
		text += "; " + f.Error
	case f.Note != "":
		text += "; " + f.Note
	}
	return text
}

func printHealth(out io.Writer, h stream.Health) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) { fmt.Fprintf(w, name+"\t"+format+"\n", args...) }
	if h.Protocol == "" { // what follows is told of who publishes: there is nobody
		line("publisher", "away: it dropped or stopped, and viewers are held for it for a while; the broadcast goes on when it comes back")
		for _, f := range h.Forwards {
			line("forward", "%s", forwardLine(f))
		}
		return w.Flush()
	}
	line("publisher", "%s from %s, %s, for %s", h.Protocol, h.Remote, cmp.Or(h.Encoder, "which does not name itself"), time.Duration(h.ConnectedS)*time.Second)
	if v := h.Video; v != nil {
		line("video", "%s %s %dx%d, %.4g fps, %d kbit/s", v.Codec, v.Profile, v.Width, v.Height, v.FPS, v.Bitrate.Last10S/1000)
		if v.GOP.Max > 0 {
			line("key frames", "each %.3g s (longest %.3g s), %d B-frames", v.GOP.Mean, v.GOP.Max, v.BFrames)
		} else {
			line("key frames", "one so far: how far they are apart is known with the second, %d B-frames", v.BFrames)
		}
	}
	if a := h.Audio; a != nil {
		line("audio", "%s %d Hz, %d channels, %d kbit/s", a.Codec, a.SampleRate, a.Channels, a.Bitrate.Last10S/1000)
	}
	line("arrival", "jitter %.1f ms, picture %+d ms ahead of sound, %d timestamps mended, %d frames dropped",
		h.JitterMS, h.AVOffsetMS, h.TimestampRepairs, h.DroppedFrames)
	if h.LossPct != nil && h.UnrepairedPct != nil {
		trip := ""
		if h.RTTMS != nil {
			trip = fmt.Sprintf(", round trip %.0f ms", *h.RTTMS)
		}
		line("network", "%.2g %% of packets lost on the way, %.2g %% for good%s", *h.LossPct, *h.UnrepairedPct, trip)
	}
	for _, r := range h.Ladder {
		if r.State == rungShed {
			line("rung "+r.Name, "%s", r.State)
			continue
		}
		line("rung "+r.Name, "%s, %d ms behind", r.State, r.LagMS)
	}
	for _, f := range h.Forwards {
		line("forward", "%s", forwardLine(f))
	}
	for _, a := range h.Alerts {
		line(a.Severity, "%s: %s", a.Code, a.Advice)
	}
	if len(h.Alerts) == 0 {
		line("alerts", "none")
	}
	return w.Flush()
}

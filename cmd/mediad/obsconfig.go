package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/urfave/cli/v3"

	"mediad/api/obs"
	"mediad/api/stream"
)

// obsConfigCommand prints what owners get by GET /streams/{stream}/obs-config.json, with a key in it if they like.
func (p *program) obsConfigCommand() *cli.Command {
	return &cli.Command{
		Name: "obs-config", Usage: "print the file with which OBS 30.2 and later sends a stream in several sizes", ArgsUsage: "STREAM",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "key", Usage: "the stream's `KEY`, to be in the file; without it OBS takes the one that is typed in"},
			&cli.StringFlag{Name: "host", Usage: "`HOST` to send to; site.ingest_host without it, or else localhost"},
			&cli.StringFlag{Name: "encoder", Value: "x264", Usage: "what OBS encodes with: " + strings.Join(obs.Encoders(), ", ")},
			&cli.StringFlag{Name: "size", Value: "1920x1080", Usage: "OBS's output, `WIDTHxHEIGHT`"},
			&cli.StringFlag{Name: "fps", Value: "30", Usage: "OBS's pictures a second, a whole number or `N/D` (29.97 is 30000/1001)"},
			&cli.UintFlag{Name: "tracks", Usage: "at most so many sizes; 0: four, two with x264"},
			&cli.UintFlag{Name: "bitrate", Usage: "at most so many `KBIT` a second of all together; 0: what they need"},
		},
		Action: p.siteAction("STREAM", p.printOBSConfig),
	}
}

func (p *program) printOBSConfig(ctx context.Context, c *cli.Command, s *site, name string) error {
	found, err := s.streams.Find(ctx, name)
	if err != nil {
		return err
	}
	if key := c.String("key"); key != "" {
		grant, err := s.streams.AuthorizePublish(ctx, key, "")
		refusal := (*stream.Refusal)(nil)
		switch {
		case errors.As(err, &refusal), err == nil && grant.StreamID != found.ID:
			return fmt.Errorf("the key is none of stream %s that may be used now: mediad stream rotate-key %s makes a new one", name, name)
		case err != nil:
			return err
		}
	}
	loaded, err := p.load(c)
	if err != nil {
		return err
	}
	o := obs.Override{
		Encoder: c.String("encoder"), Tracks: uint32(min(c.Uint("tracks"), 1<<16)), Bitrate: uint32(min(c.Uint("bitrate"), 1<<31)),
		Host: c.String("host"), RTMPPort: portNumber(loaded.RTMP.Addr), Key: c.String("key"),
	}
	if o.Host == "" {
		o.Host = loaded.Site.IngestHost
	}
	local := o.Host == ""
	if local {
		o.Host = "localhost"
	}
	if t := loaded.TLS; t.Cert != "" || len(t.ACME.Domains) > 0 { // OBS refuses a certificate that is self-signed
		o.RTMPSPort = portNumber(loaded.RTMPS.Addr)
	}
	if o.RTMPPort+o.RTMPSPort == 0 {
		return errors.New("rtmp.addr is empty: OBS sends several sizes by RTMP only")
	}
	var ok bool
	if o.Width, o.Height, ok = twoNumbers(c.String("size"), "x"); !ok {
		return usagef("size: %q is not of the form 1920x1080", c.String("size"))
	}
	rate := c.String("fps")
	if !strings.Contains(rate, "/") {
		rate += "/1"
	}
	if o.Framerate.Numerator, o.Framerate.Denominator, ok = twoNumbers(rate, "/"); !ok {
		return usagef("fps: %q is neither a whole number nor of the form 30000/1001", c.String("fps"))
	}
	config, err := o.Config()
	if err != nil {
		return usageError{err}
	}
	if local {
		fmt.Fprintln(p.stderr, "mediad: for an OBS on this machine; --host names it for others")
	}
	out := json.NewEncoder(p.stdout)
	out.SetIndent("", "  ")
	out.SetEscapeHTML(false)
	return out.Encode(config)
}

// twoNumbers reads two numbers with a mark between them.
func twoNumbers(s, mark string) (a, b uint32, ok bool) {
	first, second, _ := strings.Cut(s, mark)
	n, err1 := strconv.ParseUint(first, 10, 32)
	m, err2 := strconv.ParseUint(second, 10, 32)
	return uint32(n), uint32(m), err1 == nil && err2 == nil
}

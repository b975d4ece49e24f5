package main

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"mediad/configs"
)

func TestBannerSaysWhereThingsAre(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*configs.Config)
		certs  *certificates
		has    []string
		not    []string
	}{
		{"defaults", func(*configs.Config) {}, nil,
			[]string{"http://localhost:8080/watch/main", "rtmp://localhost/live\n", "tls.self_signed: true", "https://localhost:8443",
				"http://localhost:8080/whip (WHIP)  rtsp://localhost:8554/live/KEY  srt://localhost:8890?streamid=publish:KEY\n",
				"&latency=500000 (in OBS and FFmpeg microseconds", "set srt.passphrase and add &passphrase="}, []string{"WARNING"}},
		{"SRT encrypted", func(c *configs.Config) { c.SRT.Passphrase = "not to be shown" }, nil,
			[]string{"add &passphrase=… (srt.passphrase of"}, []string{"not to be shown"}},
		{"no SRT", func(c *configs.Config) { c.SRT.Addr = "" }, nil, nil, []string{"SRT", "latency"}},
		{"self-signed", func(*configs.Config) {}, &certificates{selfSigned: true},
			[]string{"http://localhost:8080/watch/main", "https://localhost:8443/watch/main   (self-signed"}, []string{"Several tabs"}},
		{"bound to one address", func(c *configs.Config) { c.HTTP.Addr, c.RTMP.Addr = "192.0.2.1:80", "[2001:db8::1]:1935" }, nil,
			[]string{"http://192.0.2.1:80/watch/main", "rtmp://[2001:db8::1]/live\n"}, nil},
		{"bound to the loopback", func(c *configs.Config) { c.HTTP.Addr, c.RTMP.Addr = "[::1]:8081", "127.0.0.1:1936" }, nil,
			[]string{"http://localhost:8081/watch/main", "rtmp://localhost:1936/live\n"}, nil},
		{"advertised", func(c *configs.Config) {
			c.Site.PublicURL, c.Site.IngestHost = "https://live.example.org/", "in.example.org"
		}, nil,
			[]string{"https://live.example.org/watch/main", "rtmp://in.example.org/live\n"}, nil},
		{"no HTTP", func(c *configs.Config) { c.HTTP.Addr, c.HTTPS.Addr, c.RTMP.Addr = "", "", "" }, nil, nil, []string{"/watch/", "rtmp://", "Several tabs"}},
		{"HTTPS alone", func(c *configs.Config) { c.HTTP.Addr = "" }, &certificates{}, []string{"watch        https://localhost:8443/watch/main"}, nil},
		{"open ingest", func(c *configs.Config) { c.Ingest.Open = true }, nil, []string{"WARNING: ingest.open"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			n := &node{config: configs.Default(), stdout: &out, log: slog.New(slog.DiscardHandler)}
			c.change(n.config)
			n.printBanner(started{stream: "main", keyHint: "abcd"}, c.certs)
			for _, text := range c.has {
				require.Contains(t, out.String(), text)
			}
			for _, text := range c.not {
				require.NotContains(t, out.String(), text)
			}
			require.Contains(t, out.String(), "…abcd   (a new one: mediad stream rotate-key main)")
		})
	}
}

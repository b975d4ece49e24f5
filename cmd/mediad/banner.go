package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// printBanner tells a person what to do now. Secrets are in it once, at the start that made them; they never reach the log.
func (n *node) printBanner(first started, certs *certificates) {
	c := n.config
	site := strings.TrimSuffix(c.Site.PublicURL, "/")
	secure := ""
	if certs != nil && c.HTTPS.Addr != "" {
		secure = "https://" + net.JoinHostPort(n.hostOf(c.HTTPS.Addr), port(c.HTTPS.Addr))
	}
	if site == "" {
		site = secure
	}
	if c.HTTP.Addr != "" && c.Site.PublicURL == "" {
		site = "http://" + net.JoinHostPort(n.hostOf(c.HTTP.Addr), port(c.HTTP.Addr))
	}
	dir := c.DataDir
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "  %-12s %s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(&b, "\nmediad %s\n\n", version)
	if site != "" {
		line("watch", "%s/watch/%s", site, first.stream)
	}
	if c.RTMP.Addr != "" {
		line("OBS server", "rtmp://%s/live", hostPort(n.hostOf(c.RTMP.Addr), port(c.RTMP.Addr), "1935"))
	}
	switch {
	case first.key != "":
		line("OBS key", "%s   (shown once)", first.key)
	case first.keyHint != "":
		line("OBS key", "…%s   (a new one: mediad stream rotate-key %s)", first.keyHint, first.stream)
	default:
		line("OBS key", "none   (make one: mediad stream rotate-key %s)", first.stream)
	}
	if others := n.otherWays(site); others != "" {
		line("or by", "%s", others)
	}
	if c.SRT.Addr != "" {
		line("SRT", "%s", srtOptions(c.SRT.Passphrase != ""))
	}
	if first.adminPassword != "" {
		line("admin", "%s, one-time password %s   (shown once)", first.adminName, first.adminPassword)
	}
	line("data", "%s", dir)
	if secure != "" {
		note := ""
		if certs.selfSigned {
			note = "   (self-signed: browsers ask once, OBS refuses it for RTMPS)"
		}
		line("HTTP/2", "%s/watch/%s%s", secure, first.stream, note)
	} else if c.HTTPS.Addr != "" {
		b.WriteString("\n  Several tabs? Over plain HTTP/1.1 a browser has six connections for a host, and a watching tab holds four:\n" +
			"  set tls.self_signed: true (MEDIAD_TLS_SELF_SIGNED=true) and use https://" + net.JoinHostPort(n.hostOf(c.HTTPS.Addr), port(c.HTTPS.Addr)) + ".\n")
	}
	if c.Ingest.Open {
		b.WriteString("\n  WARNING: ingest.open lets anybody publish under any name. For development only.\n")
		n.log.Warn("ingest.open: anybody may publish under any name")
	}
	b.WriteString("\n")
	fmt.Fprint(n.stdout, b.String())
	if f, ok := n.stdout.(*os.File); ok {
		_ = f.Sync()
	}
}

// otherWays are the URLs of publishers that do not come by RTMP.
func (n *node) otherWays(site string) string {
	c := n.config
	var ways []string
	if c.WebRTC.Addr != "" && site != "" {
		ways = append(ways, site+"/whip (WHIP)")
	}
	if c.RTSP.Addr != "" {
		ways = append(ways, "rtsp://"+hostPort(n.hostOf(c.RTSP.Addr), port(c.RTSP.Addr), "554")+"/live/KEY")
	}
	if c.SRT.Addr != "" {
		ways = append(ways, "srt://"+hostPort(n.hostOf(c.SRT.Addr), port(c.SRT.Addr), "")+"?streamid=publish:KEY")
	}
	return strings.Join(ways, "  ")
}

// srtOptions are what stands behind the SRT URL.
func srtOptions(encrypted bool) string {
	const latency = "where packets are lost add &latency=500000 (in OBS and FFmpeg microseconds: half a second)"
	if encrypted {
		return "add &passphrase=… (srt.passphrase of the configuration); " + latency
	}
	return latency + ", to encrypt set srt.passphrase and add &passphrase=…"
}

// hostOf is where a listener is reached: by the name that is advertised, else by the address it is bound to, and from this machine
// where that is all or the loopback.
func (n *node) hostOf(addr string) string {
	if n.config.Site.IngestHost != "" {
		return n.config.Site.IngestHost
	}
	host, _, err := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	if err != nil || host == "" || ip != nil && (ip.IsUnspecified() || ip.IsLoopback()) {
		return "localhost"
	}
	return host
}

func port(addr string) string {
	if _, p, err := net.SplitHostPort(addr); err == nil {
		return p
	}
	return addr
}

// hostPort leaves the protocol's usual port out.
func hostPort(host, port, usual string) string {
	if port != usual {
		return net.JoinHostPort(host, port)
	}
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

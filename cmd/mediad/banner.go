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
	host := c.Site.IngestHost
	if host == "" {
		host = "localhost"
	}
	site := strings.TrimSuffix(c.Site.PublicURL, "/")
	secure := ""
	if certs != nil && c.HTTPS.Addr != "" {
		secure = "https://" + net.JoinHostPort(host, port(c.HTTPS.Addr))
	}
	if site == "" {
		site = secure
	}
	if c.HTTP.Addr != "" && c.Site.PublicURL == "" {
		site = "http://" + net.JoinHostPort(host, port(c.HTTP.Addr))
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
	line("watch", "%s/watch/%s", site, first.stream)
	if c.RTMP.Addr != "" {
		line("OBS server", "rtmp://%s/live", hostPort(host, port(c.RTMP.Addr), "1935"))
	}
	switch {
	case first.key != "":
		line("OBS key", "%s   (shown once)", first.key)
	case first.keyHint != "":
		line("OBS key", "…%s   (a new one: mediad stream rotate-key %s)", first.keyHint, first.stream)
	default:
		line("OBS key", "none   (make one: mediad stream rotate-key %s)", first.stream)
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
	} else {
		b.WriteString("\n  Several tabs? Over plain HTTP/1.1 a browser has six connections for a host, and a watching tab holds four:\n" +
			"  set tls.self_signed: true (MEDIAD_TLS_SELF_SIGNED=true) and use https://" + net.JoinHostPort(host, port(c.HTTPS.Addr)) + ".\n")
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

func port(addr string) string {
	if _, p, err := net.SplitHostPort(addr); err == nil {
		return p
	}
	return addr
}

// hostPort leaves the protocol's usual port out.
func hostPort(host, port, usual string) string {
	if port == usual {
		return host + ":" + port
	}
	return net.JoinHostPort(host, port)
}

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"mediad/configs"
)

// askReady asks the server that runs with this configuration.
func askReady(ctx context.Context, c *configs.Config) error {
	addr := c.HTTP.Addr
	if addr == "" {
		addr = c.Admin.Addr
	}
	if addr == "" {
		return errors.New("neither http.addr nor admin.addr is set: there is nobody to ask")
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+reachable(addr)+"/readyz", http.NoBody)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return fmt.Errorf("not ready: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: %s", answer.Status)
	}
	return nil
}

// reachable turns a listener's address into one to connect to.
func reachable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if host == "" || host == "0.0.0.0" || host == "::" {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

func (d *doctor) examinePorts(running bool) {
	const name = "port"
	c := d.config
	if running {
		d.say(finding{name: name, text: "a server with this configuration is running and ready"})
		return
	}
	addrs := []struct{ key, addr string }{{"http.addr", c.HTTP.Addr}, {"rtmp.addr", c.RTMP.Addr}, {"admin.addr", c.Admin.Addr}}
	if c.TLS.Cert != "" || c.TLS.SelfSigned || len(c.TLS.ACME.Domains) > 0 {
		addrs = append(addrs, []struct{ key, addr string }{{"https.addr", c.HTTPS.Addr}, {"rtmps.addr", c.RTMPS.Addr}}...)
	}
	for _, a := range addrs {
		if a.addr == "" {
			continue
		}
		l, err := net.Listen("tcp", a.addr)
		if err != nil {
			d.say(finding{name: name, text: fmt.Sprintf("%s %s: %v", a.key, a.addr, err), fails: true,
				advice: "stop what listens there (ss -ltnp), or choose another port with " + a.key})
			continue
		}
		_ = l.Close()
		d.say(finding{name: name, text: fmt.Sprintf("%s %s is free", a.key, a.addr)})
	}
}

func (d *doctor) examineTLS() {
	const name = "tls"
	c := d.config
	switch {
	case c.TLS.Cert != "":
		cert, err := tls.LoadX509KeyPair(c.TLS.Cert, c.TLS.Key)
		switch {
		case err != nil:
			d.say(finding{name: name, text: err.Error(), fails: true, advice: "tls.cert and tls.key must be PEM files that belong together"})
		case cert.Leaf != nil && time.Until(cert.Leaf.NotAfter) < 0:
			d.say(finding{name: name, text: "the certificate ended " + cert.Leaf.NotAfter.Format(time.DateOnly), fails: true, advice: "renew it; mediad takes the new files by itself"})
		case cert.Leaf != nil && time.Until(cert.Leaf.NotAfter) < 14*24*time.Hour:
			d.say(finding{name: name, text: "the certificate ends " + cert.Leaf.NotAfter.Format(time.DateOnly), advice: "renew it soon; mediad takes the new files by itself"})
		default:
			d.say(finding{name: name, text: "certificate and key belong together"})
		}
	case c.TLS.SelfSigned:
		d.say(finding{name: name, text: "self-signed", advice: "browsers warn once, OBS refuses it for RTMPS: use files or ACME for the public"})
	case len(c.TLS.ACME.Domains) > 0:
		d.say(finding{name: name, text: "by ACME for " + strings.Join(c.TLS.ACME.Domains, ", ") + "; port 443 of these names must reach https.addr"})
	default:
		d.say(finding{name: name, text: "off", advice: "without TLS browsers speak HTTP/1.1 only, with six connections a host, and Apple's player stays out of low latency: set tls.*"})
	}
}

func (d *doctor) examineURLs(ctx context.Context, running bool) {
	const name = "url"
	site := d.config.Site.PublicURL
	if site == "" {
		d.say(finding{name: name, text: "site.public_url is not set: URLs come from each request"})
		return
	}
	if !running {
		d.say(finding{name: name, text: site + " is asked only while the server runs"})
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(site, "/")+"/healthz", http.NoBody)
	if err != nil {
		d.say(finding{name: name, text: err.Error(), fails: true, advice: "site.public_url must be a URL"})
		return
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		d.say(finding{name: name, text: err.Error(), fails: true, advice: "viewers cannot reach site.public_url from here: check DNS, firewall and the proxy in front"})
		return
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		d.say(finding{name: name, text: site + " answers " + answer.Status, fails: true, advice: "the proxy in front must pass requests to http.addr"})
		return
	}
	d.say(finding{name: name, text: site + " reaches this server"})
}

// examineIngest asks whether publishers find the server under the name that they are told.
func (d *doctor) examineIngest(ctx context.Context, running bool) {
	const name = "ingest"
	host := d.config.Site.IngestHost
	if host == "" || d.config.RTMP.Addr == "" || !running {
		return
	}
	addr := net.JoinHostPort(host, port(d.config.RTMP.Addr))
	dialer := net.Dialer{Timeout: 5 * time.Second}
	c, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		d.say(finding{name: name, text: err.Error(), fails: true, advice: "publishers cannot reach site.ingest_host from here: check DNS and firewall"})
		return
	}
	_ = c.Close()
	d.say(finding{name: name, text: addr + " takes connections"})
}

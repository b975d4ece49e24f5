package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"mediad/configs"
	"mediad/egress/relay"
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
	type door struct{ network, key, addr string }
	doors := []door{
		{"tcp", "http.addr", c.HTTP.Addr}, {"tcp", "rtmp.addr", c.RTMP.Addr}, {"tcp", "admin.addr", c.Admin.Addr},
		{"tcp", "rtsp.addr", c.RTSP.Addr}, {"udp", "srt.addr", c.SRT.Addr}, {"udp", "webrtc.addr", c.WebRTC.Addr}, {"tcp", "webrtc.addr", c.WebRTC.Addr},
	}
	if c.TLS.Cert != "" || c.TLS.SelfSigned || len(c.TLS.ACME.Domains) > 0 {
		doors = append(doors, door{"tcp", "https.addr", c.HTTPS.Addr}, door{"tcp", "rtmps.addr", c.RTMPS.Addr})
	}
	if host, first, err := net.SplitHostPort(c.RTSP.UDPAddr); err == nil && c.RTSP.Addr != "" && first != "0" {
		doors = append(doors, door{"udp", "rtsp.udp_addr", c.RTSP.UDPAddr})
		if n, err := strconv.Atoi(first); err == nil {
			doors = append(doors, door{"udp", "rtsp.udp_addr", net.JoinHostPort(host, strconv.Itoa(n+1))})
		}
	}
	for _, one := range doors {
		if one.addr == "" {
			continue
		}
		if err := canListen(one.network, one.addr); err != nil {
			d.say(finding{name: name, text: fmt.Sprintf("%s %s: %v", one.key, one.addr, err), fails: true,
				advice: "stop what listens there (ss -ltnup), or choose another port with " + one.key})
			continue
		}
		d.say(finding{name: name, text: fmt.Sprintf("%s %s is free (%s)", one.key, one.addr, strings.ToUpper(one.network))})
	}
}

func canListen(network, addr string) error {
	if network == "udp" {
		c, err := net.ListenPacket(network, addr)
		if err != nil {
			return err
		}
		return c.Close()
	}
	l, err := net.Listen(network, addr)
	if err != nil {
		return err
	}
	return l.Close()
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
	if err := d.dial(ctx, addr); err != nil {
		d.say(finding{name: name, text: err.Error(), fails: true, advice: "publishers cannot reach site.ingest_host from here: check DNS and firewall"})
		return
	}
	d.say(finding{name: name, text: addr + " takes connections"})
}

// examineHooks asks whether there is somebody at the hooks. Nothing is sent: a hook may count what it is asked. What else is in a URL may
// be a password.
func (d *doctor) examineHooks(ctx context.Context) {
	const name = "hooks"
	for _, one := range []struct{ key, url string }{{"hooks.on_publish", d.config.Hooks.OnPublish}, {"hooks.on_play", d.config.Hooks.OnPlay}} {
		if one.url == "" {
			continue
		}
		u, err := url.Parse(one.url)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			d.say(finding{name: name, text: one.key + " is not an http or https URL", fails: true, advice: "correct " + one.key})
			continue
		}
		addr := hostWithPort(u, map[string]string{"http": "80", "https": "443"})
		if err := d.dial(ctx, addr); err != nil {
			d.say(finding{name: name, text: one.key + ": " + err.Error(), fails: true,
				advice: "start the program that is asked there: until then nobody is let in whom it is to be asked about"})
			continue
		}
		d.say(finding{name: name, text: one.key + ": " + addr + " takes connections"})
	}
}

// examineSources asks whether the cameras are there.
func (d *doctor) examineSources(ctx context.Context) {
	const name = "sources"
	for _, route := range d.config.Sources {
		stream, address, _ := strings.Cut(route, "=")
		u, err := url.Parse(address)
		if err != nil || u.Host == "" {
			d.say(finding{name: name, text: stream + ": not a URL", fails: true, advice: "write it as " + stream + "=rtsp://user:password@host/path"})
			continue
		}
		addr := hostWithPort(u, map[string]string{"rtsp": "554", "rtsp+tcp": "554", "rtsp+udp": "554", "rtsps": "322"})
		own, _ := strconv.Atoi(port(d.config.RTSP.Addr))
		if relay.Ourselves(ctx, addr, []int{own}) {
			d.say(finding{name: name, text: stream + ": " + addr + " is this server itself", fails: true, advice: "take it out of sources, or correct its URL: nothing is pulled from it"})
			continue
		}
		if err := d.dial(ctx, addr); err != nil {
			d.say(finding{name: name, text: stream + ": " + err.Error(), advice: "look whether the camera is on and whether it can be reached from here; the server tries again by itself"})
			continue
		}
		d.say(finding{name: name, text: stream + ": " + addr + " takes connections"})
	}
}

// examineForwards asks whether the servers are there that streams are forwarded to. Nothing is published, and what a stream key in a URL
// is good for is not tried.
func (d *doctor) examineForwards(ctx context.Context) {
	const name = "forwards"
	var own []int
	for _, addr := range []string{d.config.RTMP.Addr, d.config.RTMPS.Addr, d.config.SRT.Addr} {
		if n, err := strconv.Atoi(port(addr)); err == nil {
			own = append(own, n)
		}
	}
	for _, route := range d.config.Forwards {
		stream, target, _ := strings.Cut(route, "=")
		addr, network, err := relay.Address(target)
		if err != nil {
			d.say(finding{name: name, text: stream + ": " + err.Error(), fails: true, advice: "write it as " + stream + "=rtmp://HOST/APP/KEY"})
			continue
		}
		if relay.Ourselves(ctx, addr, own) {
			d.say(finding{name: name, text: stream + ": " + addr + " is this server itself", fails: true, advice: "take it out of forwards, or correct its URL: nothing is sent to it"})
			continue
		}
		says := " takes connections"
		if network == "udp" {
			says = " has an address; whether it takes calls by SRT is not asked"
			err = resolve(ctx, addr)
		} else {
			err = d.dial(ctx, addr)
		}
		if err != nil {
			d.say(finding{name: name, text: stream + ": " + err.Error(), advice: "look whether that server is up and can be reached from here; it is tried again by itself while the stream is on air"})
			continue
		}
		d.say(finding{name: name, text: stream + ": " + addr + says})
	}
}

// resolve looks the host of addr up.
func resolve(ctx context.Context, addr string) error {
	c, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "udp", addr) // sends nothing
	if err != nil {
		return err
	}
	return c.Close()
}

func hostWithPort(u *url.URL, usual map[string]string) string {
	return net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), usual[u.Scheme]))
}

// dial asks whether somebody takes connections at addr.
func (d *doctor) dial(ctx context.Context, addr string) error {
	dialer := net.Dialer{Timeout: 5 * time.Second}
	c, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	return c.Close()
}

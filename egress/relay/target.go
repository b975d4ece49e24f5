package relay

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// target is where a stream is forwarded to.
type target struct {
	scheme  string
	host    string   // with its port
	server  string   // the host's name, for TLS
	shown   string   // the URL without anything that may be secret
	secrets []string // the longest first, as one may be part of another

	// RTMP.
	app, key string
	tcURL    string
	insecure bool // the certificate is not looked at

	// SRT.
	streamID, passphrase string
	keyLength            int           // bytes; 0: the library's own
	latency              time.Duration // 0: the library's own
}

// ports are where a scheme's servers listen if the URL does not say. That of RTMPS is what FFmpeg, OBS and the large sites take; a mediad
// has it on 1936.
var ports = map[string]string{"rtmp": "1935", "rtmps": "443", "srt": ""}

// insecure is the fragment that switches the check of a certificate off. A fragment is never part of what is sent, as a query, which
// belongs to the stream key, is.
const insecure = "tls_verify=0"

// parseTarget reads a target's URL. What it has to say against one has no secret in it.
//
//	rtmp://HOST[:1935]/APP/KEY, rtmps://HOST[:443]/APP/KEY[#tls_verify=0]
//	srt://HOST:PORT?streamid=…&passphrase=…&pbkeylen=…&latency=MICROSECONDS
func parseTarget(address string) (target, error) {
	u, err := url.Parse(address)
	if err != nil {
		return target{}, errors.New("not a URL") // err has the URL in it, and that the key
	}
	port, known := ports[u.Scheme]
	switch {
	case !known:
		return target{}, errors.New("a target begins with rtmp://, rtmps:// or srt://")
	case u.Hostname() == "":
		return target{}, errors.New("a target without a host")
	case u.User != nil:
		return target{}, errors.New("a target with a user's name: logging in is not supported")
	case u.Port() != "":
		port = u.Port()
	case port == "":
		return target{}, errors.New("an SRT target without a port")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return target{}, errors.New("a target's port is 1 to 65535")
	}
	t := target{scheme: u.Scheme, host: net.JoinHostPort(u.Hostname(), port), server: u.Hostname()}
	if u.Scheme == "srt" {
		err = t.srt(u)
	} else {
		err = t.rtmp(u)
	}
	slices.SortStableFunc(t.secrets, func(a, b string) int { return len(b) - len(a) })
	return t, err
}

// Address is where a target's URL leads: the host with its port, and tcp or udp. Neither these nor the error have a secret in them.
func Address(target string) (host, network string, err error) {
	t, err := parseTarget(target)
	if err != nil {
		return "", "", err
	}
	if t.scheme == "srt" {
		return t.host, "udp", nil
	}
	return t.host, "tcp", nil
}

// Shown is a target's URL without anything that may be secret. Neither that nor the error have a secret in them.
func Shown(target string) (string, error) {
	t, err := parseTarget(target)
	return t.shown, err
}

func (t *target) rtmp(u *url.URL) error {
	path := strings.Trim(u.EscapedPath(), "/")
	cut := strings.LastIndexByte(path, '/')
	if cut < 1 || cut == len(path)-1 {
		return errors.New("an RTMP target is of the form rtmp://HOST/APP/KEY")
	}
	t.app, t.key = path[:cut], path[cut+1:]
	// What stands behind the application's name may be a key too, as in rtmp://HOST/live/KEY/anything.
	name, instance, _ := strings.Cut(t.app, "/")
	for _, part := range append(strings.Split(instance, "/"), t.key) {
		t.secret(part)
	}
	if u.RawQuery != "" {
		t.key += "?" + u.RawQuery
		t.secret(u.RawQuery)
		for pair := range strings.SplitSeq(u.RawQuery, "&") {
			_, v, _ := strings.Cut(pair, "=")
			t.secret(v)
		}
	}
	switch {
	case u.Fragment == "":
	case u.Fragment == insecure && t.scheme == "rtmps":
		t.insecure = true
	default:
		return fmt.Errorf("behind # an RTMPS target may have %s, and nothing else", insecure)
	}
	t.tcURL = t.scheme + "://" + u.Host + "/" + t.app
	t.shown = t.scheme + "://" + u.Host + "/" + name + "/…"
	return nil
}

func (t *target) srt(u *url.URL) error {
	t.shown = "srt://" + u.Host
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return errors.New("an SRT target whose query cannot be read")
	}
	for name, values := range query {
		v := values[len(values)-1]
		switch name {
		case "streamid":
			if len(v) > 512 {
				return errors.New("streamid: more than 512 characters")
			}
			t.streamID = v
			t.secret(v)
			if _, key, ok := strings.Cut(v, ":"); ok {
				t.secret(key)
			}
			for _, part := range strings.FieldsFunc(v, func(r rune) bool { return strings.ContainsRune("#!:,=/?&", r) }) {
				if len(part) >= 8 { // publish and request are no secrets, and common words
					t.secret(part)
				}
			}
		case "passphrase":
			if len(v) < 10 || len(v) > 79 {
				return errors.New("passphrase: 10 to 79 characters")
			}
			t.passphrase = v
			t.secret(v)
		case "pbkeylen":
			n, _ := strconv.Atoi(v)
			if n != 16 && n != 24 && n != 32 {
				return errors.New("pbkeylen: 16, 24 or 32")
			}
			t.keyLength = n
		case "latency":
			n, err := strconv.Atoi(v)
			if err != nil || n < 0 || n > 30_000_000 {
				return errors.New("latency: microseconds, as FFmpeg and OBS have it, up to 30000000")
			}
			t.latency = time.Duration(n) * time.Microsecond
		case "mode":
			if v != "caller" {
				return errors.New("mode: only caller is supported")
			}
		case "transtype":
			if v != "live" {
				return errors.New("transtype: only live is supported")
			}
		case "pkt_size", "connect_timeout", "timeout", "listen_timeout": // what FFmpeg and OBS add; ours are fit
		default:
			return fmt.Errorf("an SRT target knows streamid, passphrase, pbkeylen and latency, not %.20q", name)
		}
	}
	return nil
}

// secret keeps what must not be in a log, as it stands in the URL and as it is meant. Very short words are no secrets, and would be found
// everywhere.
func (t *target) secret(s string) {
	meant, err := url.PathUnescape(s)
	if err != nil {
		meant = s
	}
	for _, s := range []string{s, meant} {
		if len(s) >= 4 && !slices.Contains(t.secrets, s) {
			t.secrets = append(t.secrets, s)
		}
	}
}

// redact takes what is secret out of a text, and what is not fit for a line of log.
func (t *target) redact(s string) string {
	const longest = 300
	for _, secret := range t.secrets {
		s = strings.ReplaceAll(s, secret, "…")
	}
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	if len(s) > longest {
		s = strings.ToValidUTF8(s[:longest], "") + "…"
	}
	return strings.ToValidUTF8(s, "")
}

package rtc

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// ICEServer is a STUN or TURN server that peers are told of.
type ICEServer struct {
	URL                  string // stun:HOST:PORT, turn:HOST:PORT?transport=udp
	Username, Credential string // of TURN
}

// ParseICEServer reads stun:HOST:PORT, or turn:USER:PASSWORD@HOST:PORT?transport=udp with user and password escaped as in a
// URL; stuns and turns likewise. The error does not repeat the text, which may hold a password.
func ParseICEServer(text string) (ICEServer, error) {
	scheme, rest, ok := strings.Cut(text, ":")
	turn := scheme == "turn" || scheme == "turns"
	if !ok || !turn && scheme != "stun" && scheme != "stuns" {
		return ICEServer{}, fmt.Errorf("rtc: ICE server: the scheme must be stun, stuns, turn or turns")
	}
	u, err := url.Parse(scheme + "://" + rest)
	if err != nil || u.Hostname() == "" || u.Path != "" || strings.ContainsAny(rest, "<>\"\\, \t\r\n") {
		return ICEServer{}, fmt.Errorf("rtc: ICE server: want %s:HOST:PORT", scheme)
	}
	s := ICEServer{URL: scheme + ":" + u.Host}
	if u.RawQuery != "" {
		if q := u.Query().Get("transport"); !turn || q != "udp" && q != "tcp" || len(u.Query()) != 1 {
			return ICEServer{}, fmt.Errorf("rtc: ICE server: ?transport= is udp or tcp, of turn and turns")
		}
		s.URL += "?" + u.RawQuery
	}
	if u.User != nil {
		s.Username = u.User.Username()
		s.Credential, _ = u.User.Password()
	}
	if turn != (s.Username != "" && s.Credential != "") {
		return ICEServer{}, fmt.Errorf("rtc: ICE server: turn and turns need USER:PASSWORD@ before the host, stun has none")
	}
	return s, nil
}

// AddLinks adds the Link headers of RFC 9725 4.6 that tell a peer the ICE servers.
func (s *Server) AddLinks(h http.Header) {
	for _, i := range s.servers {
		link := "<" + i.URL + `>; rel="ice-server"`
		if i.Username != "" {
			link += "; username=" + quote(i.Username) + "; credential=" + quote(i.Credential) + `; credential-type="password"`
		}
		h.Add("Link", link)
	}
}

// quote makes a quoted-string (RFC 9110 5.6.4). What may not be in one is left out.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range []byte(s) {
		if c < ' ' || c == 0x7F {
			continue
		}
		if c == '"' || c == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	b.WriteByte('"')
	return b.String()
}

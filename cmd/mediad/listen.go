package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"

	gosrt "github.com/datarhei/gosrt"

	"mediad/ingest/srt"
	"mediad/internal/rtc"
)

// listen opens a TCP listener and says in plain words what to do when it cannot.
func listen(key, addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	return l, inPlainWords(key, addr, err)
}

func inPlainWords(key, addr string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s: %s is in use by another program; stop it, or choose another port with %s", key, addr, key)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%s: no right to listen on %s; ports below 1024 need CAP_NET_BIND_SERVICE", key, addr)
	default:
		return fmt.Errorf("%s: %w", key, err)
	}
}

// lockData takes the data folder for this process: two servers on one folder would give the same numbers twice.
func lockData(dir string) (*os.File, error) { return lockFolder("data_dir", dir) }

// lockFolder takes a folder that a key names for this process. The lock goes with the process, however it ends.
func lockFolder(key, dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("%s: %s is in use by another mediad; stop it, or choose another folder with %s", key, dir, key)
	}
	return f, nil
}

// sockets are listeners that are open and not served yet; nil where the configuration turns one off.
type sockets struct {
	admin, http, https, rtmp, rtmps, rtsp net.Listener
	srt                                   gosrt.Listener
	rtc                                   *rtc.Server
	mine                                  []func() // what close still has to close
}

// openSockets opens all or none. secure says whether there is a certificate for those with TLS.
func (n *node) openSockets(secure bool) (*sockets, error) {
	c, s := n.config, &sockets{}
	for _, one := range []struct {
		key, addr string
		to        *net.Listener
		secure    bool
	}{
		{"admin.addr", c.Admin.Addr, &s.admin, false}, {"http.addr", c.HTTP.Addr, &s.http, false}, {"https.addr", c.HTTPS.Addr, &s.https, true},
		{"rtmp.addr", c.RTMP.Addr, &s.rtmp, false}, {"rtmps.addr", c.RTMPS.Addr, &s.rtmps, true}, {"rtsp.addr", c.RTSP.Addr, &s.rtsp, false},
	} {
		if one.addr == "" || one.secure && !secure {
			continue
		}
		l, err := listen(one.key, one.addr)
		if err != nil {
			s.close()
			return nil, err
		}
		*one.to = l
		s.mine = append(s.mine, func() { _ = l.Close() }) // nobody was served: there is nothing to lose
	}
	if err := n.openDatagrams(s); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// openDatagrams opens the ports of protocols that bring their own sockets.
func (n *node) openDatagrams(s *sockets) (err error) {
	c := n.config
	if c.SRT.Addr != "" {
		s.srt, err = srt.Listen(c.SRT.Addr, srt.ListenOptions{Latency: c.SRT.Latency, ReadTimeout: c.Ingest.ReadTimeout})
		if err != nil {
			return inPlainWords("srt.addr", c.SRT.Addr, err)
		}
		s.mine = append(s.mine, s.srt.Close)
	}
	if c.WebRTC.Addr != "" {
		s.rtc, err = rtc.Listen(rtc.Options{
			UDPAddr: c.WebRTC.Addr, TCPAddr: c.WebRTC.Addr, PublicAddrs: c.WebRTC.PublicAddrs, ICEServers: c.WebRTC.ICEServers, Log: n.log,
		})
		if err != nil {
			return inPlainWords("webrtc.addr", c.WebRTC.Addr, err)
		}
		s.mine = append(s.mine, func() { _ = s.rtc.Close() })
	}
	return nil
}

// portsOf are those of listeners; some may be nil.
func portsOf(listeners ...net.Listener) (ports []int) {
	for _, l := range listeners {
		if l == nil {
			continue
		}
		if a, ok := l.Addr().(*net.TCPAddr); ok {
			ports = append(ports, a.Port)
		}
	}
	return ports
}

// rtspPorts are those that could be pulled from.
func (s *sockets) rtspPorts() []int { return portsOf(s.rtsp) }

// mediaPorts are those on which publishers are taken in that could be forwarded to.
func (s *sockets) mediaPorts() (ports []int) {
	ports = portsOf(s.rtmp, s.rtmps)
	if s.srt != nil {
		if a, ok := s.srt.Addr().(*net.UDPAddr); ok {
			ports = append(ports, a.Port)
		}
	}
	return ports
}

// handOver leaves the sockets to those who serve them.
func (s *sockets) handOver() { s.mine = nil }

func (s *sockets) close() {
	for _, shut := range s.mine {
		shut()
	}
}

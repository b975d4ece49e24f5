package rtc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/webrtc/v4"
)

// Options configures a Server. The zero value of a field means its default.
type Options struct {
	// UDPAddr and TCPAddr are where ICE is listened for, host:port; without host on every address of IPv4 and IPv6. Empty turns
	// one of them off; one must be there. TCP is for peers behind firewalls that let no UDP through.
	UDPAddr, TCPAddr string

	// PublicAddrs are IP addresses to be told to peers besides those of this machine: what a NAT in front of it, or the host of
	// its container, forwards the same port from. An address that leads nowhere costs each peer some checks.
	PublicAddrs []string

	// ICEServers are told to peers, who may need them to get out of their own network: stun:HOST:PORT, stuns:HOST:PORT, and
	// turn: or turns: as turn:USER:PASSWORD@HOST:PORT?transport=udp.
	ICEServers []string

	// MaxTCP is how many TCP connections there may be at once, and MaxTCPPerAddr the same for one IPv4 address or IPv6 /64.
	// Defaults 2000 and 200: a viewer has one, and an office sits behind one address.
	MaxTCP, MaxTCPPerAddr int

	// DisconnectTimeout is the silence after which a peer counts as disconnected, and FailTimeout how much later it is given
	// up. Defaults 5 s each. Short: a change of networks ends what an ICE restart would save. Long: dead viewers gather.
	DisconnectTimeout, FailTimeout time.Duration

	// Log gets what pion has to say, at debug level but for its errors; nil: nothing is logged.
	Log *slog.Logger
}

const (
	// replayWindow is how many packets a retransmission may come behind the newest one: half a second of 30 Mbit/s.
	replayWindow = 2048

	// receiveMTU holds every packet that fits an Ethernet frame.
	receiveMTU = 1500

	// dtlsTimeout bounds the handshake.
	dtlsTimeout = 10 * time.Second

	// keepAlive is how often a silent connection is held open by a STUN indication.
	keepAlive = 2 * time.Second

	// socketBuffer is what the kernel is asked to keep for the UDP socket while its reader does not run. It gives less where
	// its limit is lower.
	socketBuffer = 4 << 20

	// firstSTUN is how long a TCP connection may take to say whose it is.
	firstSTUN = 10 * time.Second

	// tcpQueue bounds what waits to be written to a TCP peer, and tcpReads the packets that wait to be read from one. What is
	// over is dropped, as UDP would.
	tcpQueue = 1 << 20
	tcpReads = 64
)

// Server owns the sockets. Its methods may be called from any goroutine.
type Server struct {
	settings webrtc.SettingEngine
	log      *slog.Logger
	closing  sync.WaitGroup // of peers that are sent away
	servers  []ICEServer
	conn     *packetConn // nil: no UDP
	udp      *ice.UDPMuxDefault
	tcp      *ice.TCPMuxDefault
	listener *listener
}

// Listen opens the sockets.
func Listen(o Options) (*Server, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.UDPAddr == "" && o.TCPAddr == "" {
		return nil, errors.New("rtc: neither a UDP nor a TCP address")
	}
	s := &Server{log: o.Log}
	for _, text := range o.ICEServers {
		server, err := ParseICEServer(text)
		if err != nil {
			return nil, err
		}
		s.servers = append(s.servers, server)
	}
	if err := s.configure(&o); err != nil {
		return nil, err
	}
	if err := s.listen(&o); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Server) configure(o *Options) error {
	duration := func(d, v time.Duration) time.Duration {
		if d <= 0 {
			return v
		}
		return d
	}
	e := &s.settings
	e.LoggerFactory = &loggers{log: o.Log}
	e.SetLite(true)
	e.SetICETimeouts(duration(o.DisconnectTimeout, 5*time.Second), duration(o.FailTimeout, 5*time.Second), keepAlive)
	e.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	// Encoders and browsers on this machine are the first that a newcomer tries.
	e.SetIncludeLoopbackCandidate(true)
	e.DisableActiveTCP(true)
	e.SetReceiveMTU(receiveMTU)
	e.SetSRTPReplayProtectionWindow(replayWindow)
	e.SetSCTPMaxReceiveBufferSize(64 << 10)
	e.SetDTLSConnectContextMaker(func() (context.Context, func()) {
		return context.WithTimeout(context.Background(), dtlsTimeout)
	})
	e.SetNet(&network{})
	if len(o.PublicAddrs) == 0 {
		return nil
	}
	for _, a := range o.PublicAddrs {
		if ip, err := netip.ParseAddr(a); err != nil || ip.Zone() != "" {
			return fmt.Errorf("rtc: public address %q is no IP address", a)
		}
	}
	return e.SetICEAddressRewriteRules(webrtc.ICEAddressRewriteRule{
		External:        o.PublicAddrs,
		AsCandidateType: webrtc.ICECandidateTypeHost,
		Mode:            webrtc.ICEAddressRewriteAppend,
	})
}

func (s *Server) listen(o *Options) error {
	log := s.settings.LoggerFactory.NewLogger("mux")
	var types []webrtc.NetworkType
	if o.UDPAddr != "" {
		addr, err := net.ResolveUDPAddr("udp", o.UDPAddr)
		if err != nil {
			return fmt.Errorf("rtc: %w", err)
		}
		conn, err := net.ListenUDP("udp", addr)
		if err != nil {
			return fmt.Errorf("rtc: %w", err)
		}
		_ = conn.SetReadBuffer(socketBuffer) // less will do
		_ = conn.SetWriteBuffer(socketBuffer)
		// One socket for all addresses, though the mux warns of it: an address that comes later is served too. The kernel
		// chooses the source of an answer; a peer that asked another address of the same machine drops it and goes on with the
		// candidate of the one it came from.
		s.conn = newPacketConn(conn)
		s.udp = ice.NewUDPMuxDefault(ice.UDPMuxParams{Logger: log, UDPConn: s.conn, Net: &network{}})
		s.settings.SetICEUDPMux(s.udp)
		types = append(types, webrtc.NetworkTypeUDP4, webrtc.NetworkTypeUDP6)
	}
	if o.TCPAddr != "" {
		l, err := net.Listen("tcp", o.TCPAddr)
		if err != nil {
			return fmt.Errorf("rtc: %w", err)
		}
		s.listener = newListener(l, o)
		s.tcp = ice.NewTCPMuxDefault(ice.TCPMuxParams{
			Listener: s.listener, Logger: log, ReadBufferSize: tcpReads, WriteBufferSize: tcpQueue,
			FirstStunBindTimeout: firstSTUN, AliveDurationForConnFromStun: firstSTUN,
		})
		s.settings.SetICETCPMux(s.tcp)
		types = append(types, webrtc.NetworkTypeTCP4, webrtc.NetworkTypeTCP6)
	}
	s.settings.SetNetworkTypes(types)
	return nil
}

// UDPAddr is where UDP is listened on; nil if nowhere.
func (s *Server) UDPAddr() *net.UDPAddr {
	if s.udp == nil {
		return nil
	}
	a, _ := s.udp.LocalAddr().(*net.UDPAddr)
	return a
}

// TCPAddr is where TCP is listened on; nil if nowhere.
func (s *Server) TCPAddr() *net.TCPAddr {
	if s.tcp == nil {
		return nil
	}
	a, _ := s.tcp.LocalAddr().(*net.TCPAddr)
	return a
}

// ICEServers are what peers are told.
func (s *Server) ICEServers() []ICEServer { return s.servers }

// Close closes the sockets.
func (s *Server) Close() error {
	s.closing.Wait()
	var errs []error
	if s.udp != nil {
		errs = append(errs, s.udp.Close())
	}
	if s.tcp != nil {
		// The mux waits for those who have not said yet whose they are.
		s.listener.hangUp()
		if err := s.tcp.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

package relay

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"mediad/live"
	"mediad/media"
	"mediad/media/amf0"
	"mediad/media/chunk"
)

const (
	rtmpVersion = 3
	greeting    = 1536 // of C1, S1, C2 and S2 (RTMP 1.0 5.2)
	// chunkSize is what OBS announces: every server takes it.
	chunkSize = 4096
	// maxAnswer and maxPending bound what a target may say: commands have some hundred bytes.
	maxAnswer  = 64 << 10
	maxPending = 256 << 10
)

// Chunk streams of what is sent. Every message has a full header, so they carry no state.
const (
	controlChunks = 2
	commandChunks = 3
	audioChunks   = 4
	dataChunks    = 5
	videoChunks   = 6
)

// sender writes messages. It has a lock because pings are answered while media is sent.
type sender struct {
	nc      net.Conn
	timeout time.Duration
	now     func() time.Time
	wrote   func(int)

	mu   sync.Mutex // guards what follows, and writing
	out  []byte
	size int
}

func (s *sender) send(id uint8, messages ...chunk.Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out = s.out[:0]
	for _, m := range messages {
		s.out = chunk.Append(s.out, id, m, s.size)
		if m.Type == chunk.TypeSetChunkSize {
			s.size = int(binary.BigEndian.Uint32(m.Payload))
		}
	}
	if err := s.nc.SetWriteDeadline(s.now().Add(s.timeout)); err != nil {
		return err
	}
	n, err := s.nc.Write(s.out)
	s.wrote(n)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errStalled
	}
	return err
}

// rtmpLink publishes to a target by RTMP or RTMPS.
type rtmpLink struct {
	sender
	target *target
	in     *chunk.Reader
	calls  int
	stream uint32          // message stream that is published on
	takes  map[string]bool // FourCCs that the target named
	heard  sync.WaitGroup  // the goroutine that reads
	left   chan struct{}   // closed when that has ended: the target has left
	// release takes the link off the context that it lives in, with which it is cut off.
	release func() bool

	epoch   *live.Epoch
	carried [media.Kinds]bool
	based   bool
	base    int64 // milliseconds of session time that are the target's 0
	body    []byte
}

// dialRTMP calls the target and asks to publish. dialing bounds that, and ctx what comes after.
func (r *relay) dialRTMP(dialing, ctx context.Context, host string, fail context.CancelCauseFunc) (link, error) {
	nc, err := (&net.Dialer{KeepAlive: 15 * time.Second}).DialContext(dialing, "tcp", host)
	if err != nil {
		return nil, timedOut(dialing, err)
	}
	if r.target.scheme == "rtmps" {
		nc = tls.Client(nc, &tls.Config{
			ServerName: r.target.server, MinVersion: tls.VersionTLS12,
			InsecureSkipVerify: r.target.insecure, //nolint:gosec // only where the target's URL says so
		})
	}
	l := &rtmpLink{target: &r.target, takes: map[string]bool{}, left: make(chan struct{})}
	l.sender = sender{nc: nc, timeout: r.o.WriteTimeout, now: r.o.Now, wrote: r.sent, size: chunk.DefaultSize}
	// Whatever is read or written until the target has accepted is cut off with dialing, and later with ctx.
	stop := context.AfterFunc(dialing, func() { _ = nc.Close() })
	err = l.open(dialing)
	if !stop() || err != nil {
		_ = nc.Close()
		return nil, timedOut(dialing, err)
	}
	l.release = context.AfterFunc(ctx, func() { _ = nc.Close() })
	l.heard.Go(func() {
		defer close(l.left)
		fail(r.guard(l.listen))
	})
	return l, nil
}

// timedOut is what went wrong while a target was called.
func timedOut(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return errors.New("the target does not answer in time")
	}
	if err == nil {
		return ctx.Err()
	}
	return err
}

// open shakes hands and asks to publish.
func (l *rtmpLink) open(ctx context.Context) error {
	if c, ok := l.nc.(*tls.Conn); ok {
		if err := c.HandshakeContext(ctx); err != nil {
			return fmt.Errorf("TLS: %w", err)
		}
	}
	in := bufio.NewReaderSize(l.nc, 4096)
	if err := l.shakeHands(in); err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	l.in = chunk.NewReader(in, func(uint8) uint32 { return maxAnswer }, maxPending)
	if err := l.connect(); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	size := binary.BigEndian.AppendUint32(nil, chunkSize)
	if err := l.send(controlChunks, chunk.Message{Type: chunk.TypeSetChunkSize, Payload: size}); err != nil {
		return err
	}
	// Servers of the Flash family want these two; others do not know them, and say so. Nobody waits for an answer.
	for _, name := range []string{"releaseStream", "FCPublish"} {
		if _, err := l.call(0, name, nil, l.target.key); err != nil {
			return err
		}
	}
	tx, err := l.call(0, "createStream", nil)
	if err != nil {
		return err
	}
	values, err := l.result(tx)
	if err != nil {
		return fmt.Errorf("createStream: %w", err)
	}
	id, _ := last(values).(float64)
	if id < 1 || id >= 1<<32 {
		return errors.New("createStream: the target names no message stream")
	}
	l.stream = uint32(id)
	if tx, err = l.call(l.stream, "publish", nil, l.target.key, "live"); err != nil {
		return err
	}
	if err := l.accepted(tx); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	return nil
}

// shakeHands is the handshake of RTMP 1.0 5.2. What the target echoes is not looked at: some do not.
func (l *rtmpLink) shakeHands(in *bufio.Reader) error {
	if err := l.nc.SetWriteDeadline(l.now().Add(l.timeout)); err != nil {
		return err
	}
	hello := make([]byte, 1+greeting)
	hello[0] = rtmpVersion
	_, _ = rand.Read(hello[1+8:]) // never fails; time and version stay 0
	if _, err := l.nc.Write(hello); err != nil {
		return err
	}
	answer := make([]byte, 1+greeting)
	if _, err := io.ReadFull(in, answer); err != nil {
		return err
	}
	if answer[0] != rtmpVersion {
		return errors.New("the target does not speak RTMP")
	}
	if _, err := l.nc.Write(answer[1:]); err != nil {
		return err
	}
	_, err := io.ReadFull(in, answer[1:])
	return err
}

func (l *rtmpLink) connect() error {
	list := make([]any, 0, len(fourCCs))
	video, audio := amf0.Object{}, amf0.Object{}
	for _, c := range []media.Codec{media.H265, media.AV1, media.VP9, media.Opus} {
		const forwards = 4 // FourCcInfoMask
		name := fourCCs[c]
		list = append(list, name)
		if c == media.Opus {
			audio = append(audio, amf0.Field{name, forwards})
		} else {
			video = append(video, amf0.Field{name, forwards})
		}
	}
	tx, err := l.call(0, "connect", amf0.Object{
		{"app", l.target.app}, {"type", "nonprivate"}, {"flashVer", "FMLE/3.0 (compatible; mediad)"}, {"tcUrl", l.target.tcURL},
		{"fourCcList", list}, {"videoFourCcInfoMap", video}, {"audioFourCcInfoMap", audio},
	})
	if err != nil {
		return err
	}
	values, err := l.result(tx)
	if err != nil {
		return err
	}
	for _, v := range values {
		if o, ok := v.(map[string]any); ok {
			l.learn(o)
		}
	}
	return nil
}

// learn notes the codecs that an answer to connect names (E-RTMP "Enhancing NetConnection connect Command").
func (l *rtmpLink) learn(o map[string]any) {
	const most = 64
	add := func(v any) {
		if s, ok := v.(string); ok && len(s) <= 4 && len(l.takes) < most {
			l.takes[s] = true
		}
	}
	if names, ok := o["fourCcList"].([]any); ok {
		for _, v := range names {
			add(v)
		}
	}
	for _, key := range []string{"videoFourCcInfoMap", "audioFourCcInfoMap"} {
		if m, ok := o[key].(map[string]any); ok {
			for name := range m {
				add(name)
			}
		}
	}
}

func (l *rtmpLink) takesOpus() bool { return carries(media.Opus, l.takes) }

// begin sends what a decoder must know of the epoch.
func (l *rtmpLink) begin(e *live.Epoch) (note string, err error) {
	l.carried, note, err = choose(e, func(c media.Codec) bool { return carries(c, l.takes) })
	if err != nil {
		return "", err
	}
	l.epoch = e
	at := l.time(media.Milliseconds.Ticks(e.Start), media.Milliseconds)
	if err := l.send(dataChunks, chunk.Message{Type: chunk.TypeDataAMF0, Stream: l.stream, Timestamp: at, Payload: metadata(e, l.carried)}); err != nil {
		return "", err
	}
	for k, t := range e.Tracks {
		if !l.carried[k] {
			continue
		}
		if err := l.message(media.Kind(k), at, appendConfig(nil, t)); err != nil {
			return "", err
		}
	}
	return note, nil
}

// time is a moment of session time as the target counts: from the first that it hears of.
func (l *rtmpLink) time(t media.Ticks, s media.Timescale) uint32 {
	ms := int64(media.Rescale(t, s, media.Milliseconds))
	if !l.based {
		return 0
	}
	return uint32(max(ms-l.base, 0)) // wraps as the protocol's clock does
}

func (l *rtmpLink) message(kind media.Kind, at uint32, body []byte) error {
	if kind == media.Audio {
		return l.send(audioChunks, chunk.Message{Type: chunk.TypeAudio, Stream: l.stream, Timestamp: at, Payload: body})
	}
	return l.send(videoChunks, chunk.Message{Type: chunk.TypeVideo, Stream: l.stream, Timestamp: at, Payload: body})
}

// maxBody is the longest body of a message; a unit that is longer is passed over.
const maxBody = chunk.MaxSize

func (l *rtmpLink) write(au *media.AccessUnit) error {
	if l.epoch == nil || !l.carried[au.Kind] {
		return nil
	}
	t := l.epoch.Tracks[au.Kind]
	dts := int64(media.Rescale(au.DTS, t.Timescale, media.Milliseconds))
	if !l.based {
		l.base, l.based = dts, true
	}
	if dts < l.base {
		if au.Kind == media.Audio {
			return nil // sound from before the first picture
		}
		dts = l.base // a picture that sound came in front of: without it those that follow could not be decoded
	}
	composition := int64(media.Rescale(au.PTS, t.Timescale, media.Milliseconds)) - dts
	l.body = appendUnit(l.body[:0], t, au, uint32(max(composition, 0)))
	if len(l.body) > maxBody {
		return nil
	}
	return l.message(au.Kind, uint32(dts-l.base), l.body)
}

// linger is how long a target may take to read the rest, and to leave: closing a socket that something comes in for resets the connection,
// and the reset throws away what the target has not read yet, our goodbye with it.
const linger = farewell / 2

func (l *rtmpLink) close(goodbye bool) {
	if goodbye && l.goodbye() {
		t := time.NewTimer(linger)
		defer t.Stop()
		select {
		case <-l.left:
		case <-t.C:
		}
	}
	l.release()
	_ = l.nc.Close()
	l.heard.Wait()
}

// goodbye tells the target that it is over, and reports whether that is on its way. Who does not take the words hears the end of the
// connection.
func (l *rtmpLink) goodbye() bool {
	if _, err := l.call(0, "FCUnpublish", nil, l.target.key); err != nil {
		return false
	}
	if _, err := l.call(0, "deleteStream", nil, l.stream); err != nil {
		return false
	}
	c, ok := l.nc.(interface{ CloseWrite() error })
	return ok && c.CloseWrite() == nil
}

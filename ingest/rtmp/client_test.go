package rtmp

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"mediad/internal/testx"
	"mediad/media"
	"mediad/media/amf0"
	"mediad/media/chunk"
	"mediad/media/mediatest"
)

// client is an encoder written by hand, chunk by chunk, so that it can do what a well-behaved one does not. Its writer
// shares nothing with the code under test.
type client struct {
	t  testing.TB
	nc net.Conn

	testx.Chunks

	streamID    uint32
	transaction int
	video       []media.AccessUnit
	audio       []media.AccessUnit
	track       *media.Track
	sound       *media.Track
	offset      uint32 // added to all timestamps
	sent        int

	mu      sync.Mutex // guards the following
	changed chan struct{}
	heard   []heard
	acks    []uint32
	ended   bool
	reader  sync.WaitGroup
}

// heard is a command or a status from the server.
type heard struct {
	name   string
	values []any
}

func newClient(t testing.TB) *client {
	c := &client{t: t, Chunks: testx.Chunks{Size: 128}, changed: make(chan struct{})}
	c.use(mediatest.H264Track(640, 360, 30, 1))
	c.sound = mediatest.AACTrack(48000, 2)
	return c
}

// use makes the client send pictures of track.
func (c *client) use(track *media.Track) {
	c.track = track
	c.video = mediatest.Video(mediatest.VideoPattern{Frames: 600, GOP: 30, BFrames: 2})
	c.audio = mediatest.Audio(mediatest.AudioPattern{Frames: 1000})
}

// dial connects and shakes hands.
func (c *client) dial(addr string, secure bool) error {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	if secure {
		nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
	}
	return c.shake(nc)
}

func (c *client) shake(nc net.Conn) error {
	c.nc = nc
	hello := make([]byte, 1+1536)
	hello[0] = 3
	for i := range 1528 {
		hello[9+i] = byte(i * 7)
	}
	if _, err := nc.Write(hello); err != nil {
		return err
	}
	answer := make([]byte, 1+1536+1536)
	if _, err := io.ReadFull(nc, answer); err != nil {
		return err
	}
	if string(answer[1537+8:]) != string(hello[9:]) {
		return errors.New("S2 is no echo of C1")
	}
	if _, err := nc.Write(answer[1:1537]); err != nil {
		return err
	}
	c.reader.Go(c.read)
	return nil
}

// chunks writes one message. format is that of its first chunk, field its timestamp field.
func (c *client) chunks(format, id byte, field uint32, typ byte, stream uint32, payload []byte) error {
	return c.raw(c.Encode(format, id, field, typ, stream, payload))
}

func (c *client) raw(b []byte) error {
	_ = c.nc.SetWriteDeadline(time.Now().Add(10 * time.Second))
	_, err := c.nc.Write(b)
	return err
}

func (c *client) setChunkSize(n int) {
	c.t.Helper()
	if err := c.chunks(0, 2, 0, chunk.TypeSetChunkSize, 0, binary.BigEndian.AppendUint32(nil, uint32(n))); err != nil {
		c.t.Fatal(err)
	}
	c.Size = n
}

// call sends a command and returns its transaction.
func (c *client) call(name string, stream uint32, args ...any) (int, error) {
	c.transaction++
	payload := amf0.Append(nil, append([]any{name, c.transaction}, args...)...)
	return c.transaction, c.chunks(0, 3, 0, chunk.TypeCommandAMF0, stream, payload)
}

// connect and createStream, as encoders do before publish.
func (c *client) open(app string, more ...amf0.Field) error {
	object := append(amf0.Object{{"app", app}, {"flashVer", "FMLE/3.0 (compatible; test)"}, {"tcUrl", "rtmp://127.0.0.1/" + app}}, more...)
	tx, err := c.call("connect", 0, object)
	if err != nil {
		return err
	}
	if _, err := c.result(tx); err != nil {
		return err
	}
	return c.createStream()
}

func (c *client) createStream() error {
	tx, err := c.call("createStream", 0, nil)
	if err != nil {
		return err
	}
	h, err := c.result(tx)
	if err != nil {
		return err
	}
	id, _ := h.values[len(h.values)-1].(float64)
	c.streamID = uint32(id)
	return nil
}

// publish asks to publish and waits for the answer.
func (c *client) publish(name string) error {
	before := c.statuses()
	if _, err := c.call("publish", c.streamID, nil, name, "live"); err != nil {
		return err
	}
	return c.status(before)
}

func (c *client) statuses() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.heard {
		if h.name == "onStatus" {
			n++
		}
	}
	return n
}

// status waits for the onStatus with index n; level error is an error.
func (c *client) status(n int) error {
	var info map[string]any
	err := c.await(func() bool {
		i := 0
		for _, h := range c.heard {
			if h.name != "onStatus" {
				continue
			}
			if i == n {
				info, _ = h.values[len(h.values)-1].(map[string]any)
				return true
			}
			i++
		}
		return false
	})
	if err != nil {
		return err
	}
	if info["level"] != "status" {
		return fmt.Errorf("%v: %v", info["code"], info["description"])
	}
	return nil
}

// result waits for the answer to a call.
func (c *client) result(tx int) (h heard, err error) {
	err = c.await(func() bool {
		for _, h = range c.heard {
			if (h.name == "_result" || h.name == "_error") && h.values[0] == float64(tx) {
				return true
			}
		}
		return false
	})
	if err == nil && h.name == "_error" {
		info, _ := h.values[len(h.values)-1].(map[string]any)
		err = fmt.Errorf("%v: %v", info["code"], info["description"])
	}
	return h, err
}

var errEnded = errors.New("the server closed the connection")

// await waits until cond holds, which is called with mu held.
func (c *client) await(cond func() bool) error {
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	for {
		c.mu.Lock()
		ok, ended, changed := cond(), c.ended, c.changed
		c.mu.Unlock()
		switch {
		case ok:
			return nil
		case ended:
			return errEnded
		}
		select {
		case <-changed:
		case <-deadline.C:
			return errors.New("the server says nothing")
		}
	}
}

// read takes in what the server sends, which has full headers only.
func (c *client) read() {
	r := bufio.NewReader(c.nc)
	size := 128
	err := func() error {
		for {
			h := make([]byte, 12)
			if _, err := io.ReadFull(r, h); err != nil {
				return err
			}
			if h[0]>>6 != 0 {
				return fmt.Errorf("chunk type %d from the server", h[0]>>6)
			}
			payload := make([]byte, int(h[4])<<16|int(h[5])<<8|int(h[6]))
			for at := 0; at < len(payload); {
				if at > 0 {
					if b, err := r.ReadByte(); err != nil || b != 3<<6|h[0] {
						return fmt.Errorf("byte %#x between chunks: %w", b, err)
					}
				}
				n := min(size, len(payload)-at)
				if _, err := io.ReadFull(r, payload[at:at+n]); err != nil {
					return err
				}
				at += n
			}
			switch h[7] {
			case chunk.TypeSetChunkSize:
				size = int(binary.BigEndian.Uint32(payload))
			case chunk.TypeAck:
				c.note(func() { c.acks = append(c.acks, binary.BigEndian.Uint32(payload)) })
			case chunk.TypeCommandAMF0:
				v := amf0.NewReader(payload)
				name, err := v.Text()
				if err != nil {
					return err
				}
				x := heard{name: name}
				for v.More() {
					a, err := v.Value()
					if err != nil {
						return err
					}
					x.values = append(x.values, a)
				}
				c.note(func() { c.heard = append(c.heard, x) })
			case chunk.TypeUserControl:
				c.note(func() { c.heard = append(c.heard, heard{name: fmt.Sprintf("control %x", payload)}) })
			}
		}
	}()
	if !errors.Is(err, io.EOF) {
		c.t.Log("client: reading ended:", err)
	}
	c.note(func() { c.ended = true })
}

func (c *client) note(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
	close(c.changed)
	c.changed = make(chan struct{})
}

// The methods of ingesttest.Publisher; addr and secure come from the harness.
type suiteClient struct {
	*client
	addr   string
	secure bool
}

func (c *suiteClient) Publish(_ context.Context, key string) error {
	if err := c.dial(c.addr, c.secure); err != nil {
		return err
	}
	c.setChunkSize(4096)
	if err := c.open("live"); err != nil {
		return err
	}
	return c.publish(key)
}

func (c *client) Send(context.Context) error {
	if c.sent == 0 {
		if err := c.configs(); err != nil {
			return err
		}
	}
	for range 10 {
		if err := c.sendPair(); err != nil {
			return err
		}
	}
	return nil
}

func (c *client) configs() error {
	if err := c.sendVideo(0, 0x17, 0, 0, c.track.Config); err != nil {
		return err
	}
	return c.chunks(0, 4, c.offset, chunk.TypeAudio, c.streamID, append([]byte{0xAF, 0}, c.sound.Config...))
}

// sendPair sends the next picture, and a frame of sound.
func (c *client) sendPair() error {
	i := c.sent
	c.sent++
	au := c.video[i]
	head := byte(0x27)
	if au.RandomAccess {
		head = 0x17
	}
	if err := c.sendVideo(milliseconds(au.DTS, media.VideoTimescale), head, 1, milliseconds(au.PTS-au.DTS, media.VideoTimescale), au.Data); err != nil {
		return err
	}
	s := c.audio[i]
	return c.chunks(0, 4, c.offset+milliseconds(s.DTS, c.sound.Timescale), chunk.TypeAudio, c.streamID, append([]byte{0xAF, 1}, s.Data...))
}

func milliseconds(t media.Ticks, s media.Timescale) uint32 {
	return uint32(media.Rescale(t, s, media.Milliseconds))
}

func (c *client) sendVideo(ms uint32, head, packet byte, composition uint32, data []byte) error {
	body := append([]byte{head, packet, byte(composition >> 16), byte(composition >> 8), byte(composition)}, data...)
	return c.chunks(0, 6, c.offset+ms, chunk.TypeVideo, c.streamID, body)
}

func (c *client) SendFrame(n int) error {
	return c.sendVideo(0, 0x17, 1, 0, make([]byte, n))
}

func (c *client) ChangeCodec(context.Context) error {
	c.track = mediatest.H264Track(1280, 720, 25, 1)
	return c.sendVideo(0, 0x17, 0, 0, c.track.Config)
}

func (c *client) Stop() error {
	if _, err := c.call("FCUnpublish", 0, nil, "name"); err != nil {
		return err
	}
	_, err := c.call("deleteStream", 0, nil, float64(c.streamID))
	return err
}

func (c *client) Stall() {}

func (c *client) Drop() {
	if t, ok := c.nc.(*tls.Conn); ok {
		_ = t.NetConn().Close()
		return
	}
	_ = c.nc.Close()
}

// Told waits for the end of the connection and returns the last status.
func (c *client) Told(context.Context) (last string) {
	if err := c.await(func() bool { return c.ended }); err != nil {
		return err.Error()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.heard {
		if h.name == "onStatus" {
			info, _ := h.values[len(h.values)-1].(map[string]any)
			last, _ = info["description"].(string)
		}
	}
	return last
}

func (c *client) Close() {
	if c.nc != nil {
		_ = c.nc.Close()
		c.reader.Wait()
	}
}

func be32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }

func fill(n int, seed byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = seed + byte(i*13)
	}
	return b
}

package rtmp

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"

	"mediad/live"
	"mediad/media/amf0"
	"mediad/media/chunk"
)

// maxMessageStreams is how many message streams a connection may have open at once, the control stream among them.
const maxMessageStreams = 8

// Types of User Control message (RTMP 1.0 7.1.7).
const (
	pingRequest  = 6
	pingResponse = 7
)

// gate decides, for every message of the peer, who answers it: go-rtmp, or we. go-rtmp sees connect, createStream,
// deleteStream and the first publish of a message stream, written anew so that nothing in them can surprise it.
type gate struct {
	wire    *wire
	connect *connectInfo // nil until the peer has sent one

	// Written in go-rtmp's writing goroutine, read in the other.
	streams   [maxMessageStreams]atomic.Bool // open message streams
	connected atomic.Bool                    // connect was answered

	published [maxMessageStreams]bool // go-rtmp takes this message stream for publishing
}

// control answers the messages of the protocol itself.
func (g *gate) control(m chunk.Message) error {
	switch m.Type {
	case chunk.TypeWindowAckSize:
		if len(m.Payload) >= 4 {
			if n := binary.BigEndian.Uint32(m.Payload); n > 0 {
				g.wire.window = uint64(n)
			}
		}
	case chunk.TypeSetPeerBandwidth:
		if len(m.Payload) >= 4 {
			return g.wire.send(controlChunks, chunk.Message{Type: chunk.TypeWindowAckSize, Payload: m.Payload[:4:4]})
		}
	case chunk.TypeUserControl:
		if len(m.Payload) >= 6 && binary.BigEndian.Uint16(m.Payload) == pingRequest {
			pong := append([]byte{0, pingResponse}, m.Payload[2:6]...)
			return g.wire.send(controlChunks, chunk.Message{Type: chunk.TypeUserControl, Payload: pong})
		}
	}
	return nil // Acknowledgements of the little that we send, and whatever else there may be
}

// command is a command message taken apart. args stands before the first argument.
type command struct {
	name        string
	transaction float64
	stream      uint32
	args        *amf0.Reader
}

func parseCommand(m chunk.Message) (command, error) {
	r := amf0.NewReader(m.Payload)
	name, err := r.Text()
	if err != nil {
		return command{}, fmt.Errorf("command: %w", err)
	}
	c := command{name: name, stream: m.Stream, args: r}
	if r.More() {
		v, err := r.Value()
		if err != nil {
			return command{}, fmt.Errorf("command: %w", err)
		}
		c.transaction, _ = v.(float64)
	}
	return c, nil
}

// argument is the next argument, nil where there is none.
func (c command) argument() any {
	v, err := c.args.Value()
	if err != nil {
		return nil
	}
	return v
}

// text is the first argument behind the command object, as a string.
func (c command) text() string {
	c.argument()
	s, _ := c.argument().(string)
	return s
}

// number is the same, as a message stream id.
func (c command) number() uint32 {
	c.argument()
	n, _ := c.argument().(float64)
	if n >= 0 && n < 1<<32 {
		return uint32(n)
	}
	return 0
}

// pass lets go-rtmp read the command with the arguments given.
func (g *gate) pass(c command, stream uint32, args ...any) {
	payload := amf0.Append(nil, append([]any{c.name, c.transaction}, args...)...)
	g.wire.forward(chunk.Message{Type: chunk.TypeCommandAMF0, Stream: stream, Payload: payload})
}

// answer sends a result where the peer waits for one.
func (g *gate) answer(c command, values ...any) error {
	if c.transaction == 0 {
		return nil
	}
	payload := amf0.Append(nil, append([]any{"_result", c.transaction, nil}, values...)...)
	return g.wire.send(commandChunks, chunk.Message{Type: chunk.TypeCommandAMF0, Payload: payload})
}

// passConnect lets go-rtmp read a connect with what it can take.
func (g *gate) passConnect(c command) {
	g.pass(c, 0, amf0.Object{
		{"app", application},
		{"type", "nonprivate"},
		{"flashVer", g.connect.FlashVer},
	})
}

// open reports whether a message stream was created and not deleted since.
func (g *gate) open(stream uint32) bool {
	return stream > 0 && stream < maxMessageStreams && g.streams[stream].Load()
}

// deleteStream lets go-rtmp forget a message stream. It ends the connection over one that it does not know.
func (g *gate) deleteStream(c command, stream uint32) {
	if !g.open(stream) {
		return
	}
	g.streams[stream].Store(false)
	g.published[stream] = false
	g.pass(c, 0, nil, float64(stream))
}

// sent looks at what go-rtmp writes: the answer to connect is made anew, a created message stream is noted. It
// runs in go-rtmp's writing goroutine.
func (g *gate) sent(m chunk.Message) (chunk.Message, bool) {
	if m.Type == chunk.TypeAck {
		return m, false // of bytes that never were on the wire
	}
	if m.Type != chunk.TypeCommandAMF0 {
		return m, true
	}
	c, err := parseCommand(m)
	if err != nil || c.name != "_result" {
		return m, true
	}
	if !g.connected.Load() {
		g.connected.Store(true)
		m.Payload = g.connect.result()
		return m, true
	}
	if id := c.number(); id < maxMessageStreams {
		g.streams[id].Store(true)
	}
	return m, true
}

// split cuts an aggregate message (7.1.6) into the messages in it, with times that start at its own.
func split(m chunk.Message, each func(chunk.Message) error) error {
	const header, back = 11, 4
	var first uint32
	for b, some := m.Payload, false; len(b) >= header; some = true {
		n := int(uint24(b[1:]))
		ts := uint24(b[4:]) | uint32(b[7])<<24
		if n > len(b)-header {
			return live.Refuse(live.ReasonProtocolError, fmt.Errorf("aggregate: part of %d bytes with %d left", n, len(b)-header))
		}
		if !some {
			first = ts
		}
		part := chunk.Message{Type: b[0] & 0x1F, Stream: m.Stream, Timestamp: m.Timestamp + ts - first, Payload: b[header : header+n : header+n]}
		b = b[min(len(b), header+n+back):]
		if n == 0 || part.Type == chunk.TypeAggregate {
			continue
		}
		if err := each(part); err != nil {
			return err
		}
	}
	return nil
}

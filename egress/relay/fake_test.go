package relay

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"mediad/media/amf0"
	"mediad/media/chunk"
)

// answers is how accept strays from what a server should do.
type answers struct {
	hangUp  string // at this command it returns
	unknown string // this command has an error for an answer, which comes after that of createStream
}

// accept is the server's side of a publisher's first words. It returns what reads the rest; nil: there is none.
func accept(c net.Conn, a answers) *chunk.Reader {
	in := bufio.NewReader(c)
	hello := make([]byte, 1+greeting)
	if _, err := io.ReadFull(in, hello); err != nil {
		return nil
	}
	if _, err := c.Write(append(append(hello[:1:1], make([]byte, greeting)...), hello[1:]...)); err != nil {
		return nil
	}
	if _, err := io.ReadFull(in, hello[1:]); err != nil {
		return nil
	}
	r := chunk.NewReader(in, func(uint8) uint32 { return chunk.MaxSize }, 1<<25)
	say := func(payload []byte) error {
		_, err := c.Write(chunk.Append(nil, 3, chunk.Message{Type: chunk.TypeCommandAMF0, Payload: payload}, chunk.DefaultSize))
		return err
	}
	var late []byte
	for {
		m, err := r.Next()
		if err != nil {
			return nil
		}
		if m.Type != chunk.TypeCommandAMF0 {
			continue
		}
		name, values, err := command(m.Payload)
		if err != nil {
			return nil
		}
		if name == a.hangUp {
			return nil
		}
		if name == a.unknown {
			late = amf0.Append(nil, "_error", values[0], nil, amf0.Object{{"level", "error"}, {"code", "NetConnection.Call.Failed"}})
			continue
		}
		var answer []byte
		switch name {
		case "connect":
			answer = amf0.Append(nil, "_result", values[0], amf0.Object{}, amf0.Object{{"code", "NetConnection.Connect.Success"}})
		case "createStream":
			answer = amf0.Append(nil, "_result", values[0], nil, 1)
		case "publish":
			if late != nil {
				if say(late) != nil {
					return nil
				}
			}
			answer = amf0.Append(nil, "onStatus", 0, nil, amf0.Object{{"level", "status"}, {"code", "NetStream.Publish.Start"}})
		default:
			continue
		}
		if say(answer) != nil {
			return nil
		}
		if name == "publish" {
			return r
		}
	}
}

// FuzzAnswers lets a target say anything after the handshake: the call must come to an end.
func FuzzAnswers(f *testing.F) {
	say := func(values ...any) []byte {
		return chunk.Append(nil, 3, chunk.Message{Type: chunk.TypeCommandAMF0, Payload: amf0.Append(nil, values...)}, chunk.DefaultSize)
	}
	connected := say("_result", 1, amf0.Object{{"fourCcList", []any{"hvc1", 5}}, {"audioFourCcInfoMap", amf0.Object{{"Opus", 4}}}}, nil)
	created := say("_result", 4, nil, 1)
	f.Add(append(append(connected, created...), say("onStatus", 0, nil, amf0.Object{{"level", "status"}, {"code", "NetStream.Publish.Start"}})...))
	f.Add(append(connected, say("_error", 4, nil, amf0.Object{{"code", "NetConnection.Call.Failed"}})...))
	f.Add(say("_error", 1, nil, amf0.Object{{"code", "NetConnection.Connect.Rejected"}, {"description", "no"}}))
	ping := chunk.Message{Type: chunk.TypeUserControl, Payload: []byte{0, pingRequest, 0, 0, 0, 1}}
	f.Add(chunk.Append(nil, 2, ping, chunk.DefaultSize))
	f.Add(chunk.Append(nil, 2, chunk.Message{Type: chunk.TypeSetPeerBandwidth, Payload: binary.BigEndian.AppendUint32(nil, 5)}, chunk.DefaultSize))
	f.Fuzz(func(t *testing.T, b []byte) {
		ours, theirs := net.Pipe()
		_ = theirs.SetDeadline(time.Now().Add(5 * time.Second))
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = io.Copy(io.Discard, theirs)
		}()
		go func() {
			_, _ = theirs.Write(append(append([]byte{rtmpVersion}, make([]byte, 2*greeting)...), b...))
			_ = theirs.Close()
		}()
		target, err := parseTarget("rtmp://a.example/live/key")
		if err != nil {
			t.Fatal(err)
		}
		l := &rtmpLink{target: &target, takes: map[string]bool{}, left: make(chan struct{}), release: func() bool { return true }}
		l.sender = sender{nc: ours, timeout: time.Second, now: time.Now, wrote: func(int) {}, size: chunk.DefaultSize}
		if l.open(context.Background()) == nil {
			_ = l.listen()
		}
		l.close(false)
		<-done
	})
}

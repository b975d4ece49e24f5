package relay

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"

	"mediad/media/amf0"
	"mediad/media/chunk"
)

// User Control messages (RTMP 1.0 7.1.7).
const (
	pingRequest  = 6
	pingResponse = 7
)

// call sends a command and returns its transaction.
func (l *rtmpLink) call(stream uint32, name string, args ...any) (float64, error) {
	l.calls++
	payload := amf0.Append(nil, append([]any{name, l.calls}, args...)...)
	return float64(l.calls), l.send(commandChunks, chunk.Message{Type: chunk.TypeCommandAMF0, Stream: stream, Payload: payload})
}

// saidError is what the target answers.
type saidError struct{ code, description string }

func (e *saidError) Error() string {
	if e.code == "" && e.description == "" {
		return "the target refuses"
	}
	return fmt.Sprintf("the target says %s %s", e.code, e.description)
}

// said makes an error of an info object.
func said(values []any) error {
	info, _ := last(values).(map[string]any)
	e := &saidError{}
	e.code, _ = info["code"].(string)
	e.description, _ = info["description"].(string)
	return e
}

func first(values []any) any {
	if len(values) == 0 {
		return nil
	}
	return values[0]
}

func last(values []any) any {
	if len(values) == 0 {
		return nil
	}
	return values[len(values)-1]
}

// result waits for the answer to a call.
func (l *rtmpLink) result(tx float64) ([]any, error) {
	for {
		name, values, err := l.hear()
		if err != nil {
			return nil, err
		}
		if (name == "_result" || name == "_error") && len(values) > 0 && values[0] == tx {
			if name == "_error" {
				return nil, said(values)
			}
			return values[1:], nil
		}
	}
}

// accepted waits until the target has let us publish, which was asked with the call tx. Errors are of that, or of no call; those of
// calls before it are none, as a server may not know FCPublish and say so late.
func (l *rtmpLink) accepted(tx float64) error {
	for {
		name, values, err := l.hear()
		switch {
		case err != nil:
			return err
		case name == "_error":
			if of, ok := first(values).(float64); !ok || of == tx || of == 0 {
				return said(values)
			}
			continue
		case name != "onStatus":
			continue
		}
		info, _ := last(values).(map[string]any)
		if info["level"] == "error" {
			return said(values)
		}
		if info["code"] == "NetStream.Publish.Start" {
			return nil
		}
	}
}

// listen hears the target until it leaves, and tells why. It has no deadline: a target has nothing to say while all is well, and that it
// is gone shows when it is written to, which has one. Closing the connection ends it.
func (l *rtmpLink) listen() error {
	for {
		name, values, err := l.hear()
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed):
			return errors.New("the target has closed the connection")
		case err != nil:
			return err
		case name == "onStatus":
			if info, _ := last(values).(map[string]any); info["level"] == "error" {
				return said(values)
			}
		case name == "close":
			return said(values)
		}
	}
}

// hear returns the next command of the target; values are what stands behind its name. Messages of the protocol are answered. What we get
// is far less than any window, so it is not acknowledged.
func (l *rtmpLink) hear() (name string, values []any, err error) {
	for {
		m, err := l.in.Next()
		if err != nil {
			return "", nil, err
		}
		switch m.Type {
		case chunk.TypeUserControl:
			if len(m.Payload) >= 6 && binary.BigEndian.Uint16(m.Payload) == pingRequest {
				pong := append([]byte{0, pingResponse}, m.Payload[2:6]...)
				err = l.send(controlChunks, chunk.Message{Type: chunk.TypeUserControl, Payload: pong})
			}
		case chunk.TypeSetPeerBandwidth:
			if len(m.Payload) >= 4 {
				err = l.send(controlChunks, chunk.Message{Type: chunk.TypeWindowAckSize, Payload: m.Payload[:4]})
			}
		case chunk.TypeCommandAMF3:
			m.Payload = m.Payload[1:]
			return command(m.Payload)
		case chunk.TypeCommandAMF0:
			return command(m.Payload)
		}
		if err != nil {
			return "", nil, err
		}
	}
}

func command(b []byte) (name string, values []any, err error) {
	r := amf0.NewReader(b)
	if name, err = r.Text(); err != nil {
		return "", nil, err
	}
	for r.More() {
		v, err := r.Value()
		if err != nil {
			return "", nil, err
		}
		values = append(values, v)
	}
	return name, values, nil
}

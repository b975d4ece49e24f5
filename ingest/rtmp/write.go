package rtmp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"mediad/live"
	"mediad/media/chunk"
)

// Write takes what go-rtmp writes: the handshake, then whole chunks. It always succeeds, for after an error go-rtmp
// waits three seconds for its own writer; what went wrong ends the connection from the reading side.
func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.muted {
		if err := w.write(p); err != nil {
			w.muted = true
			w.interrupt(live.Refuse(live.ReasonConnectionLost, err))
		}
	}
	return len(p), nil
}

func (w *wire) write(p []byte) error {
	if w.reply > 0 {
		return w.answerGreeting(p)
	}
	w.raw.Write(p)
	for {
		m, err := w.outward.Next()
		if errors.Is(err, io.EOF) {
			return w.flush()
		}
		if err != nil {
			return fmt.Errorf("rtmp: reading what the library writes: %w", err)
		}
		if m, ok := w.sent(m); ok {
			w.put(commandChunks, m)
		}
	}
}

// answerGreeting sends S0 with S1, and S2, each in one piece where go-rtmp writes field by field.
func (w *wire) answerGreeting(p []byte) error {
	if len(p) > w.reply {
		return fmt.Errorf("rtmp: the library writes %d bytes where the handshake has %d left", len(p), w.reply)
	}
	w.out = append(w.out, p...)
	w.reply -= len(p)
	if w.reply == 0 || w.reply == 1536 {
		return w.flush()
	}
	return nil
}

// send writes one message of our own.
func (w *wire) send(id uint8, m chunk.Message) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.muted {
		return nil
	}
	w.put(id, m)
	return w.flush()
}

// sendLast writes m and nothing after it, and closes the sending half when the connection ends, so that the peer
// can read it.
func (w *wire) sendLast(id uint8, m chunk.Message) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.muted || w.reply > 0 {
		return
	}
	w.put(id, m)
	w.told = w.flushWithin(min(w.writeTimeout, lastResort)) == nil
	w.muted = true
}

// put appends m to what flush writes; mu is held. The larger chunk size is announced where go-rtmp has sent its
// limits, which is the answer to connect.
func (w *wire) put(id uint8, m chunk.Message) {
	if m.Type <= chunk.TypeSetPeerBandwidth {
		id = controlChunks
	}
	w.out = chunk.Append(w.out, id, m, w.outSize)
	if m.Type == chunk.TypeSetPeerBandwidth {
		size := binary.BigEndian.AppendUint32(nil, outChunkSize)
		w.out = chunk.Append(w.out, controlChunks, chunk.Message{Type: chunk.TypeSetChunkSize, Payload: size}, w.outSize)
		w.outSize = outChunkSize
	}
}

func (w *wire) flush() error { return w.flushWithin(w.writeTimeout) }

func (w *wire) flushWithin(d time.Duration) error {
	if len(w.out) == 0 {
		return nil
	}
	if err := w.SetWriteDeadline(w.now().Add(d)); err != nil {
		return err
	}
	_, err := w.Conn.Write(w.out)
	w.out = w.out[:0]
	return err
}

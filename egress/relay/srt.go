package relay

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	gosrt "github.com/datarhei/gosrt"

	"mediad/egress/srt"
	"mediad/live"
	"mediad/media"
)

// srtLink publishes to a target by SRT.
type srtLink struct {
	conn    gosrt.Conn
	program *srt.Program
	heard   sync.WaitGroup
}

// dialSRT calls the target. dialing bounds that, and ctx what comes after.
func (r *relay) dialSRT(dialing, ctx context.Context, fail context.CancelCauseFunc) (link, error) {
	// gosrt leaves a goroutine behind for every call that fails, so it is not let call where nobody answers.
	if err := induce(dialing, r.target.host); err != nil {
		return nil, err
	}
	c := gosrt.DefaultConfig()
	c.StreamId, c.Passphrase = r.target.streamID, r.target.passphrase
	if r.target.keyLength > 0 {
		c.PBKeylen = r.target.keyLength
	}
	if r.target.latency > 0 {
		c.Latency = 0
		c.ReceiverLatency, c.PeerLatency = r.target.latency, r.target.latency
	}
	c.ConnectionTimeout, c.PeerIdleTimeout = r.o.DialTimeout, r.o.WriteTimeout
	conn, err := gosrt.DialWithContext(dialing, "srt", r.target.host, c)
	if err != nil {
		return nil, timedOut(dialing, err)
	}
	l := &srtLink{conn: conn}
	l.program = srt.NewProgram(srt.Paced(ctx, &counted{conn, r.sent}))
	l.heard.Go(func() {
		_, _ = io.Copy(io.Discard, conn) // ends when the target leaves, is silent for too long, or the connection is closed
		fail(errors.New("the target has closed the connection"))
	})
	return l, nil
}

// counted counts what is written.
type counted struct {
	w     io.Writer
	wrote func(int)
}

func (c *counted) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.wrote(n)
	if errors.Is(err, io.EOF) {
		err = errStalled // gosrt's word for a queue that is full, and for a connection that is gone
	}
	return n, err
}

func (l *srtLink) takesOpus() bool { return true }

func (l *srtLink) begin(e *live.Epoch) (note string, err error) {
	left, err := l.program.Begin(e)
	if err != nil {
		return "", err
	}
	_, note, err = choose(e, func(c media.Codec) bool {
		for k, t := range e.Tracks {
			if t != nil && t.Codec == c {
				return left[k] == nil
			}
		}
		return false
	})
	return note, err
}

func (l *srtLink) write(au *media.AccessUnit) error { return l.program.Write(au) }

// close ends the connection, of which SRT itself tells the target.
func (l *srtLink) close(bool) {
	_ = l.conn.Close()
	l.heard.Wait()
	// gosrt's reading goroutine hands over why it ended, and waits for somebody to ask.
	for range 50 {
		if _, err := l.conn.Read(make([]byte, 1)); errors.Is(err, gosrt.ErrClientClosed) {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// induce asks a listener for the first half of a handshake (the induction phase), which costs it nothing, to see whether there is one.
func induce(ctx context.Context, host string) error {
	c, err := (&net.Dialer{}).DialContext(ctx, "udp", host)
	if err != nil {
		return err
	}
	defer c.Close()
	const control, handshake, version, extension, induction = 1 << 31, 0, 4, 2, 1
	ask := make([]byte, 0, 64)
	for _, v := range []uint32{
		control | handshake<<16, 0, 0, 0, // type, additional info, time, to whom: not known yet
		version, extension, 1, 1500, 8192, induction, // … initial sequence number, MTU, flow window
		1, 0, 0, 0, 0, 0, // our socket, cookie, our address
	} {
		ask = binary.BigEndian.AppendUint32(ask, v)
	}
	const again = 250 * time.Millisecond // a lost datagram is no answer
	answer := make([]byte, 1500)
	for ctx.Err() == nil {
		if _, err := c.Write(ask); err != nil {
			return err
		}
		if err := c.SetReadDeadline(time.Now().Add(again)); err != nil {
			return err
		}
		n, err := c.Read(answer)
		switch {
		case err == nil && n >= 64 && binary.BigEndian.Uint32(answer) == control|handshake<<16:
			return nil
		case err != nil && !errors.Is(err, os.ErrDeadlineExceeded):
			return fmt.Errorf("no SRT listener: %w", err)
		}
	}
	return timedOut(ctx, ctx.Err())
}

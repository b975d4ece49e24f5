package stream

import (
	"context"
	"fmt"
	"time"

	"mediad/api/audit"
	"mediad/store/db"
	"mediad/store/event"
)

// maxDisconnects are kept of a stream.
const maxDisconnects = 100

// toldAgain is how long after a refusal the same of the same stream is an event again: an encoder tries each few seconds, and whoever has an old
// key as often as they like.
const toldAgain = 10 * time.Second

// Disconnect is why a publisher left, or was not let in.
type Disconnect struct {
	StreamID string
	At       time.Time
	Protocol string
	Remote   string // with or without a port
	Code     string
	Detail   string
	// Refused: it was not let in.
	Refused bool
}

// NoteDisconnect stores d, its address masked, and forgets the oldest of its stream.
func (s *Service) NoteDisconnect(ctx context.Context, d Disconnect) error {
	id, err := db.NewID()
	if err != nil {
		return fmt.Errorf("stream: id: %w", err)
	}
	row := db.Disconnect{
		ID: id, StreamID: d.StreamID, At: db.At(d.At), Protocol: d.Protocol, Remote: MaskAddr(d.Remote), Code: d.Code, Detail: d.Detail,
	}
	err = s.db.Tx(ctx, func(q db.Queries) error {
		before, err := q.ListDisconnects(row.StreamID, 1)
		if err == nil {
			err = q.AddDisconnect(row, maxDisconnects)
		}
		known := len(before) > 0 && before[0].Code == row.Code && row.At-before[0].At < db.Millis(toldAgain.Milliseconds())
		if err != nil || !d.Refused || known {
			return err
		}
		return s.tell(q, event.PublishRefused, db.Session{StreamID: d.StreamID}, d.At, map[string]any{
			"reason": d.Code, "protocol": d.Protocol, "remote": row.Remote,
		})
	})
	if err != nil {
		return fmt.Errorf("stream: note disconnect: %w", err)
	}
	return nil
}

// Disconnects lists the newest first.
func (s *Service) Disconnects(ctx context.Context, streamID string) ([]db.Disconnect, error) {
	return s.db.Read(ctx).ListDisconnects(streamID, maxDisconnects)
}

// NoteEnd keeps the record of who ended a broadcast.
func (s *Service) NoteEnd(ctx context.Context, row db.Stream, reason string) error {
	if s.audit == nil {
		return nil
	}
	return s.audit.Write(ctx, audit.Entry{Action: "stream.end", TargetType: "stream", TargetID: row.ID, Reason: reason})
}

// NoteKick keeps the record of a publisher that was cut.
func (s *Service) NoteKick(ctx context.Context, row db.Stream) error {
	if s.audit == nil {
		return nil
	}
	return s.audit.Write(ctx, audit.Entry{Action: "stream.kick", TargetType: "stream", TargetID: row.ID})
}

// Detail says for its owner why a key was refused, which the publisher is not told.
func (r *Refusal) Detail() string {
	switch r.Reason {
	case "expired":
		return "The stream key has expired."
	case "revoked":
		return "The stream key was revoked."
	case "disabled":
		return "The stream is disabled."
	case "suspended":
		return "The account of the stream's owner is suspended."
	case "no_streamer":
		return "The stream's owner is no streamer any more."
	case brokenProtocol:
		return "The stream's rules do not let this protocol in."
	case brokenBitrate:
		return "The encoder sends more than the stream's rules allow."
	case brokenSessions:
		return "Its owner has as many broadcasts on air as the site allows."
	}
	return "The stream key is not valid."
}

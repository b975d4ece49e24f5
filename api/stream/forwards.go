package stream

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"mediad/api/audit"
	"mediad/api/reseal"
	"mediad/store/db"
)

const (
	// MaxForwards is to how many servers a stream is forwarded: each is sent all that its publisher sends.
	MaxForwards = 5
	// maxForwardURL bounds the address of one, the key in it.
	maxForwardURL = 2048
)

// Forward is a server that a stream is forwarded to.
type Forward struct {
	ID        string
	Shown     string // its address without the key
	CreatedAt db.Millis
}

// ForwardTarget is one with all that is needed to call it.
type ForwardTarget struct{ ID, URL string }

func forwardPurpose(id string) string { return "stream_forwards.url " + id }

// SealedForwards are the columns that this package seals.
func SealedForwards() []reseal.Column {
	return []reseal.Column{{
		SealedColumn: db.SealedColumn{Table: "stream_forwards", Column: "url_enc", Keys: []string{"id"}},
		Purpose:      func(v db.SealedValue) string { return forwardPurpose(v.Key1) },
	}}
}

// AddForward has a stream forwarded to one more server. key, where it is not in the address already, is put behind it.
func (s *Service) AddForward(ctx context.Context, of db.Stream, address, key string) (Forward, error) {
	full, err := s.forwardURL(address, key)
	if err != nil {
		return Forward{}, err
	}
	shown, err := s.forwarding.Shown(full)
	if err != nil {
		return Forward{}, invalid("url", "invalid_format", err.Error())
	}
	id, err := db.NewID()
	if err != nil {
		return Forward{}, fmt.Errorf("stream: id: %w", err)
	}
	row := db.StreamForward{ID: id, StreamID: of.ID, URLEnc: s.secrets.Seal(forwardPurpose(id), full), CreatedAt: db.At(s.now())}
	err = s.db.Tx(ctx, func(q db.Queries) error {
		if _, err := existing(q.FindStream(of.ID)); err != nil {
			return err
		}
		have, err := q.ListForwards(of.ID)
		if err != nil {
			return err
		}
		if len(have) >= MaxForwards {
			return &LimitError{"forwards", MaxForwards}
		}
		for _, one := range have {
			if there, err := s.secrets.Open(forwardPurpose(one.ID), one.URLEnc); err == nil && there == full {
				return invalid("url", "not_unique", "the stream is forwarded there already")
			}
		}
		if err := q.CreateForward(row); err != nil {
			return err
		}
		return s.note(ctx, q, forwardEntry("stream_forward.create", of.ID, id, shown))
	})
	if err != nil {
		return Forward{}, found(err)
	}
	s.changed(ctx, of.ID)
	s.log.InfoContext(ctx, "stream is forwarded", "stream", of.Slug, "target", shown)
	return Forward{ID: id, Shown: shown, CreatedAt: row.CreatedAt}, nil
}

func forwardEntry(action, streamID, id, shown string) audit.Entry {
	return audit.Entry{Action: action, TargetType: "stream", TargetID: streamID, After: map[string]string{"forward_id": id, "target": shown}}
}

func invalid(name, code, message string) error {
	return &Invalid{Fields: []InvalidField{{Name: name, Code: code, Message: message}}}
}

// forwardURL puts an address and a key together, and refuses what can be seen to lead where nobody is to be called.
func (s *Service) forwardURL(address, key string) (string, error) {
	address, key = strings.TrimSpace(address), strings.TrimSpace(key)
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Hostname() == "" || strings.ContainsFunc(address+key, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return "", invalid("url", "invalid_format", "an address that begins with rtmp, rtmps or srt, with a host, and of RTMP an application")
	case len(address)+len(key) > maxForwardURL:
		return "", &Invalid{Fields: []InvalidField{{Name: "url", Code: "too_long", Message: fmt.Sprintf("at most %d characters", maxForwardURL), Max: maxForwardURL}}}
	case key != "" && (u.Scheme == "srt" || u.RawQuery != "" || u.Fragment != "" || strings.ContainsAny(key, "#")):
		return "", invalid("key", "invalid_format", "a key stands behind an rtmp or rtmps address without a query; of SRT it is the streamid in the address")
	case u.Scheme == "srt" && tooLate(u.Query().Get("latency")):
		return "", invalid("url", "out_of_range", "a latency of at most 8000000 microseconds: so long everything is kept")
	case u.Fragment != "": // it would let certificates go unchecked
		return "", invalid("url", "invalid_format", "an address without #")
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	addr, err := netip.ParseAddr(host)
	if err == nil && !s.forwarding.Allowed(addr) || (host == "localhost" || strings.HasSuffix(host, ".localhost")) && !s.forwarding.Allowed(netip.AddrFrom4([4]byte{127, 0, 0, 1})) {
		return "", invalid("url", "invalid_format", "a public address: this one cannot be reached by everybody")
	}
	if key != "" {
		address = strings.TrimRight(address, "/") + "/" + key
	}
	return address, nil
}

// tooLate says of an SRT latency, in microseconds, that it is over eight seconds.
func tooLate(latency string) bool {
	n, err := strconv.Atoi(latency)
	return err == nil && n > 8_000_000
}

// Forwards lists those of a stream, the oldest first.
func (s *Service) Forwards(ctx context.Context, streamID string) ([]Forward, error) {
	rows, err := s.db.Read(ctx).ListForwards(streamID)
	if err != nil {
		return nil, err
	}
	out := make([]Forward, 0, len(rows))
	for _, row := range rows {
		out = append(out, Forward{ID: row.ID, Shown: s.shown(row), CreatedAt: row.CreatedAt})
	}
	return out, nil
}

// shown is a target without its key; where the master key that it was sealed with is gone, nothing but that.
func (s *Service) shown(row db.StreamForward) string {
	const lost = "(sealed with a key that is gone)"
	full, err := s.secrets.Open(forwardPurpose(row.ID), row.URLEnc)
	if err != nil {
		return lost
	}
	if shown, err := s.forwarding.Shown(full); err == nil {
		return shown
	}
	return lost
}

// DeleteForward ends one; ErrNotFound if the stream has none of that id.
func (s *Service) DeleteForward(ctx context.Context, of db.Stream, id string) error {
	err := s.db.Tx(ctx, func(q db.Queries) error {
		if err := q.DeleteForward(of.ID, id); err != nil {
			return err
		}
		return s.note(ctx, q, audit.Entry{
			Action: "stream_forward.delete", TargetType: "stream", TargetID: of.ID, Before: map[string]string{"forward_id": id},
		})
	})
	if err != nil {
		return found(err)
	}
	s.changed(ctx, of.ID)
	return nil
}

// ForwardTargets are those of streams, by id of the stream. What cannot be read any more is left out.
func (s *Service) ForwardTargets(ctx context.Context, streamIDs []string) (map[string][]ForwardTarget, error) {
	rows, err := s.db.Read(ctx).ListForwardsOf(streamIDs)
	if err != nil {
		return nil, err
	}
	out := make(map[string][]ForwardTarget)
	for _, row := range rows {
		full, err := s.secrets.Open(forwardPurpose(row.ID), row.URLEnc)
		if err != nil {
			continue
		}
		out[row.StreamID] = append(out[row.StreamID], ForwardTarget{row.ID, full})
	}
	return out, nil
}

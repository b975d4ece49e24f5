package stream

import (
	"context"
	"fmt"
	"time"

	"mediad/api/audit"
	"mediad/api/text"
	"mediad/store/db"
)

// keepDead is how long a dead key stays visible, so that its owner sees what it was.
const keepDead = 30 * 24 * time.Hour

// Rotate is how a stream's keys are replaced.
type Rotate struct {
	Label string
	// Grace is how long the old keys still work; 0 to 1 h.
	Grace time.Duration
	// ExpiresAt ends the new key. Zero: never.
	ExpiresAt time.Time
}

// RotateKey gives the stream a new key and lets every other die. The secret is nowhere else.
func (s *Service) RotateKey(ctx context.Context, idOrSlug string, r Rotate) (key db.StreamKey, secret string, err error) {
	var bad Invalid
	if r.Grace < 0 || r.Grace > maxGrace {
		bad.add("grace_s", "out_of_range", "0 to 3600")
	}
	if text.Len(r.Label) > MaxLabel {
		bad.tooLong("label", MaxLabel, "characters")
	}
	if len(bad.Fields) > 0 {
		return db.StreamKey{}, "", &bad
	}
	row, err := s.Find(ctx, idOrSlug)
	if err != nil {
		return db.StreamKey{}, "", err
	}
	var expires *db.Millis
	if !r.ExpiresAt.IsZero() {
		expires = db.AtPtr(r.ExpiresAt)
	}
	if key, secret, err = s.newKey(row.ID, r.Label, expires); err != nil {
		return db.StreamKey{}, "", err
	}
	now := s.now()
	err = s.db.Tx(ctx, func(q db.Queries) error {
		if err := q.RevokeStreamKeys(row.ID, db.At(now.Add(r.Grace))); err != nil {
			return err
		}
		if err := q.DeleteDeadStreamKeys(row.ID, db.At(now.Add(-keepDead))); err != nil {
			return err
		}
		if err := q.CreateStreamKey(key); err != nil {
			return err
		}
		return s.note(ctx, q, keyEntry("stream_key.rotate", row.ID, key))
	})
	if err != nil {
		return db.StreamKey{}, "", fmt.Errorf("stream: rotate key: %w", err)
	}
	s.keys.revoke(row.ID, db.At(now.Add(r.Grace)), func(id string) bool { return id != key.ID })
	s.changed(ctx, row.ID)
	s.log.InfoContext(ctx, "stream key rotated", "stream", row.Slug, "key_id", key.ID, "grace", r.Grace)
	return key, secret, nil
}

// AddKey gives the stream one more key. A zero expires: it has no end. The secret is nowhere else.
func (s *Service) AddKey(ctx context.Context, streamID, label string, expires time.Time) (key db.StreamKey, secret string, err error) {
	var bad Invalid
	if text.Len(text.Line(label)) > MaxLabel {
		bad.tooLong("label", MaxLabel, "characters")
	}
	now := s.now()
	var at *db.Millis
	if !expires.IsZero() {
		if at = db.AtPtr(expires); !expires.After(now) {
			bad.add("expires_at", "out_of_range", "a moment to come")
		}
	}
	if len(bad.Fields) > 0 {
		return db.StreamKey{}, "", &bad
	}
	if key, secret, err = s.newKey(streamID, label, at); err != nil {
		return db.StreamKey{}, "", err
	}
	err = s.db.Tx(ctx, func(q db.Queries) error {
		row, err := existing(q.FindStream(streamID))
		if err != nil {
			return err
		}
		owner, err := q.FindOpenUser(row.OwnerID)
		if err != nil {
			return err
		}
		keys, err := q.ListStreamKeys(streamID)
		if err != nil {
			return err
		}
		if most := allowed(owner.Limits.StreamKeys, s.maxKeys); len(lasting(keys, db.At(now))) >= most {
			return &LimitError{"keys", most}
		}
		if err := q.CreateStreamKey(key); err != nil {
			return err
		}
		return s.note(ctx, q, keyEntry("stream_key.create", streamID, key))
	})
	if err != nil {
		return db.StreamKey{}, "", found(err)
	}
	s.log.InfoContext(ctx, "stream key made", "stream_id", streamID, "key_id", key.ID)
	return key, secret, nil
}

// lasting are the keys that are alive and that no rotation has given up.
func lasting(keys []db.StreamKey, now db.Millis) []db.StreamKey {
	var all []db.StreamKey
	for _, k := range keys {
		if k.RevokedAt == nil && !k.Expired(now) {
			all = append(all, k)
		}
	}
	return all
}

// RevokeKey takes a key back; ErrNotFound if the stream has none of that id that is alive. A publisher with it is cut when its key is looked
// at next.
func (s *Service) RevokeKey(ctx context.Context, streamID, keyID string) error {
	now := db.At(s.now())
	err := s.db.Tx(ctx, func(q db.Queries) error {
		if err := q.RevokeStreamKey(streamID, keyID, now); err != nil {
			return err
		}
		return s.note(ctx, q, audit.Entry{
			Action: "stream_key.revoke", TargetType: "stream", TargetID: streamID, Before: map[string]string{"key_id": keyID},
		})
	})
	if err != nil {
		return found(err)
	}
	s.keys.revoke(streamID, now, func(id string) bool { return id == keyID })
	s.changed(ctx, streamID)
	s.log.InfoContext(ctx, "stream key revoked", "stream_id", streamID, "key_id", keyID)
	return nil
}

func keyEntry(action, streamID string, key db.StreamKey) audit.Entry {
	return audit.Entry{
		Action: action, TargetType: "stream", TargetID: streamID, After: map[string]string{"key_id": key.ID, "hint": key.Hint},
	}
}

// Keys lists the stream's keys, the oldest first, dead ones as well.
func (s *Service) Keys(ctx context.Context, idOrSlug string) ([]db.StreamKey, error) {
	row, err := s.Find(ctx, idOrSlug)
	if err != nil {
		return nil, err
	}
	return s.db.Read(ctx).ListStreamKeys(row.ID)
}

// LiveKey is the newest key that opens the stream now; ErrNotFound if none does.
func (s *Service) LiveKey(ctx context.Context, idOrSlug string) (db.StreamKey, error) {
	keys, err := s.Keys(ctx, idOrSlug)
	if err != nil {
		return db.StreamKey{}, err
	}
	now := db.At(s.now())
	for i := len(keys) - 1; i >= 0; i-- {
		if keys[i].AliveAt(now) {
			return keys[i], nil
		}
	}
	return db.StreamKey{}, fmt.Errorf("stream: no key: %w", ErrNotFound)
}

func (s *Service) newKey(streamID, label string, expires *db.Millis) (db.StreamKey, string, error) {
	id, err := db.NewID()
	if err != nil {
		return db.StreamKey{}, "", fmt.Errorf("stream: id: %w", err)
	}
	secret := newSecret()
	return db.StreamKey{
		ID: id, StreamID: streamID, Label: text.Line(label), Hash: hashSecret(secret), Hint: hint(secret),
		ExpiresAt: expires, CreatedAt: db.At(s.now()),
	}, secret, nil
}

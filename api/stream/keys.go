package stream

import (
	"context"
	"fmt"
	"time"

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
	if r.Grace < 0 || r.Grace > time.Hour {
		bad.add("grace_s", "out_of_range", "0 to 3600")
	}
	if text.Len(r.Label) > MaxLabel {
		bad.add("label", "too_long", "at most 40 characters")
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
		return q.CreateStreamKey(key)
	})
	if err != nil {
		return db.StreamKey{}, "", fmt.Errorf("stream: rotate key: %w", err)
	}
	s.keys.forgetStream(row.ID)
	s.changed(ctx, row.ID)
	s.log.InfoContext(ctx, "stream key rotated", "stream", row.Slug, "key_id", key.ID, "grace", r.Grace)
	return key, secret, nil
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

package db

import (
	"errors"

	"gorm.io/gorm/clause"
)

// Idempotent is a row of idempotency: a call that may be made again.
type Idempotent struct {
	Caller    string
	Route     string
	Key       string
	BodyHash  string
	Claim     string
	BusyUntil Millis
	AnswerEnc string // sealed; "" while it runs
	ExpiresAt Millis
}

// TableName implements gorm's Tabler.
func (Idempotent) TableName() string { return "idempotency" }

// ClaimIdempotent takes i's place for its claim if nobody has it, or who had it is gone. Otherwise it returns the row that is there.
func (q Queries) ClaimIdempotent(i Idempotent, now Millis) (Idempotent, error) {
	column := func(name string) clause.Column { return clause.Column{Table: "idempotency", Name: name} }
	result := q.g.Clauses(clause.OnConflict{
		Columns:   []clause.Column{{Name: "caller"}, {Name: "route"}, {Name: "key"}},
		DoUpdates: clause.AssignmentColumns([]string{"body_hash", "claim", "busy_until", "answer_enc", "expires_at"}),
		Where: clause.Where{Exprs: []clause.Expression{clause.Or(
			clause.Lte{Column: column("expires_at"), Value: now},
			clause.And(clause.Eq{Column: column("answer_enc"), Value: ""}, clause.Lte{Column: column("busy_until"), Value: now}),
		)}},
	}).Create(&i)
	if result.Error != nil || result.RowsAffected == 1 {
		return i, wrap("claim idempotency key", result.Error)
	}
	var found Idempotent
	err := q.g.Take(&found, "caller = ? AND route = ? AND key = ?", i.Caller, i.Route, i.Key).Error
	return found, wrap("claim idempotency key", err)
}

// AnswerIdempotent stores the answer of a claim.
func (q Queries) AnswerIdempotent(i Idempotent) error {
	return one("answer idempotency key", q.g.Model(&Idempotent{}).
		Where("caller = ? AND route = ? AND key = ? AND claim = ?", i.Caller, i.Route, i.Key, i.Claim).
		UpdateColumns(map[string]any{"answer_enc": i.AnswerEnc, "expires_at": i.ExpiresAt}))
}

// ReleaseIdempotent gives a claim up.
func (q Queries) ReleaseIdempotent(i Idempotent) error {
	err := one("release idempotency key", q.g.
		Where("caller = ? AND route = ? AND key = ? AND claim = ?", i.Caller, i.Route, i.Key, i.Claim).Delete(&Idempotent{}))
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// DeleteIdempotent deletes those that expired before a moment.
func (q Queries) DeleteIdempotent(before Millis) (int64, error) {
	gone := q.g.Where("expires_at < ?", before).Delete(&Idempotent{})
	return gone.RowsAffected, wrap("delete idempotency keys", gone.Error)
}

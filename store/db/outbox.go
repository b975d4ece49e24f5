package db

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Event is a row of outbox: something happened, and others are to know.
type Event struct {
	// Seq is the order of events with the same key.
	Seq        int64 `gorm:"primaryKey"`
	ID         string
	Type       string
	Key        string // what it is about, "stream:ID"
	OwnerID    string // whose webhooks get it; "" for the site's alone
	ActorID    string // who did it; "" for the system
	Data       string // JSON
	OccurredAt Millis
	SentAt     *Millis
}

// TableName implements gorm's Tabler.
func (Event) TableName() string { return "outbox" }

// Emit writes an event, which is handed on if the transaction is stored. ID is made where it is missing.
func (q Queries) Emit(e Event) (err error) {
	if e.ID == "" {
		if e.ID, err = NewID(); err != nil {
			return fmt.Errorf("db: emit: %w", err)
		}
	}
	err = q.g.Exec("INSERT INTO outbox (id, type, key, owner_id, actor_id, data, occurred_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
		e.ID, e.Type, e.Key, e.OwnerID, e.ActorID, e.Data, e.OccurredAt).Error
	if err == nil && q.emitted != nil {
		emitted := q.emitted
		q.AfterCommit(func() {
			select {
			case emitted <- struct{}{}:
			default:
			}
		})
	}
	return wrap("emit "+e.Type, err)
}

// Emitted holds a token when this process has stored an event since it was last taken out.
func (d *DB) Emitted() <-chan struct{} { return d.emitted }

// ListUnsent lists events that were not handed on, in order, behind a number.
func (q Queries) ListUnsent(after int64, limit int) ([]Event, error) {
	var found []Event
	err := q.g.Where("sent_at IS NULL AND seq > ?", after).Order("seq").Limit(limit).Find(&found).Error
	return found, wrap("list unsent", err)
}

// MarkSent notes that events were handed on.
func (q Queries) MarkSent(seqs []int64, now Millis) error {
	return wrap("mark sent", q.g.Model(&Event{}).Where("seq IN ?", seqs).UpdateColumn("sent_at", now).Error)
}

// DeleteSent deletes events that were handed on before a moment, limit at most, and says how many.
func (q Queries) DeleteSent(before Millis, limit int) (int64, error) {
	var some []int64
	err := q.g.Model(&Event{}).Where("sent_at IS NOT NULL AND sent_at < ?", before).Order("sent_at").Limit(limit).Pluck("seq", &some).Error
	if err != nil || len(some) == 0 {
		return 0, wrap("delete sent", err)
	}
	result := q.g.Where("seq IN ?", some).Delete(&Event{})
	return result.RowsAffected, wrap("delete sent", result.Error)
}

// relayLock is the number of the lock of who hands events on: "outbox" in ASCII.
const relayLock = 0x6f7574626f78

// leadLimit bounds each question of who leads: whoever asks a server that does not answer any more is to find another connection.
const leadLimit = 2 * time.Second

// Lead is held by the one node of all that hands events on.
type Lead struct {
	conn *sql.Conn // nil on SQLite, which has one process
}

// LeadRelay tries to become that node; nil: another is. It must be ended.
func (d *DB) LeadRelay(ctx context.Context) (*Lead, error) {
	if d.engine == SQLite {
		return &Lead{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, leadLimit)
	defer cancel()
	conn, err := d.writes.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("db: lead: %w", err)
	}
	var locked bool
	if err := conn.QueryRowContext(ctx, "SELECT pg_try_advisory_lock($1)", int64(relayLock)).Scan(&locked); err != nil || !locked {
		_ = conn.Close()
		return nil, wrap("lead", err)
	}
	return &Lead{conn}, nil
}

// Holds says whether it is held still: the lock ends with its connection.
func (l *Lead) Holds(ctx context.Context) bool {
	if l.conn == nil {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, leadLimit)
	defer cancel()
	return l.conn.PingContext(ctx) == nil
}

// End gives it back.
func (l *Lead) End(ctx context.Context) {
	if l.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectLimit)
	defer cancel()
	_, _ = l.conn.ExecContext(ctx, "SELECT pg_advisory_unlock($1)", int64(relayLock))
	_ = l.conn.Close()
}

// Package audit keeps the record of what matters to the safety of a site: who did what to whom, when, from where, and whether it was allowed.
//
// Rows are only added. Each names the hash of the row before it on the same node and day, and the last hash of a day that is over is sealed, so
// that who changes the database behind the program's back can be told.
package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"mediad/api/caller"
	"mediad/api/problem"
	"mediad/api/redact"
	"mediad/store/db"
	"mediad/store/seal"
)

// Outcomes of an act.
const (
	OK     = "ok"
	Denied = "denied"
)

// Entry is one act. What the context knows is added to it: caller, address, request.
type Entry struct {
	// Action is a word for what was done, such as "login" or "password.change".
	Action string
	// Actor, where it is not the caller of the context: at a login there is none yet.
	Actor *caller.Caller
	// TargetType and TargetID say to what.
	TargetType, TargetID string
	// Before and After are what changed, masked by whoever writes it; nil: nothing.
	Before, After any
	Reason        string
	// Outcome; "": OK.
	Outcome string
}

// Options of New.
type Options struct {
	DB *db.DB
	// Node names this process in the chain. "": mediad.
	Node string
	// Secrets seals the days.
	Secrets *seal.Ring
	// Now is the clock. nil: time.Now.
	Now func() time.Time
}

// Log writes the record. Its methods may be called from any goroutine.
type Log struct {
	db      *db.DB
	node    string
	secrets *seal.Ring
	now     func() time.Time
}

// New makes the log.
func New(o Options) *Log {
	if o.Node == "" {
		o.Node = "mediad"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Log{db: o.DB, node: o.Node, secrets: o.Secrets, now: o.Now}
}

// Add writes e as the last statement of a transaction: it stands if the act does.
func (l *Log) Add(ctx context.Context, q db.Queries, e Entry) error {
	row, err := l.row(ctx, e)
	if err == nil {
		err = l.tell(q, e, row)
	}
	if err != nil {
		return err
	}
	return q.AppendAudit(row)
}

// Write writes e in a transaction of its own.
func (l *Log) Write(ctx context.Context, e Entry) error {
	return l.db.Tx(ctx, func(q db.Queries) error { return l.Add(ctx, q, e) })
}

func (l *Log) row(ctx context.Context, e Entry) (db.Audit, error) {
	id, err := db.NewID()
	if err != nil {
		return db.Audit{}, fmt.Errorf("audit: id: %w", err)
	}
	who := caller.Of(ctx)
	if e.Actor != nil {
		who = *e.Actor
	}
	if who.Via == caller.Key {
		who.UserID = who.KeyID
	}
	if who.Via == "" {
		who.Via = caller.System
	}
	if e.Outcome == "" {
		e.Outcome = OK
	}
	before, err := encode(e.Before)
	if err != nil {
		return db.Audit{}, err
	}
	after, err := encode(e.After)
	if err != nil {
		return db.Audit{}, err
	}
	return db.Audit{
		ID: id, At: db.At(l.now()), Node: l.node, ActorID: who.UserID, ActorRole: string(who.Role), Via: string(who.Via),
		IP: caller.PeerOf(ctx).Masked(), RequestID: redact.Text(problem.RequestID(ctx)), Action: e.Action, TargetType: e.TargetType, TargetID: e.TargetID,
		Before: before, After: after, Reason: redact.Text(e.Reason), Outcome: e.Outcome,
	}, nil
}

func encode(v any) (string, error) {
	if v == nil {
		return "", nil
	}
	text, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("audit: %w", err)
	}
	return string(redact.Bytes(text)), nil
}

// sealPurpose names a day to the seal.
func sealPurpose(d db.AuditDay) string { return "audit " + d.Node + " " + d.Day }

// SealDays seals the days that are over.
func (l *Log) SealDays(ctx context.Context) error {
	days, err := l.db.Read(ctx).OpenAuditDays(l.now().UTC().Format("2006-01-02"))
	if err != nil {
		return err
	}
	for _, d := range days {
		sealed := l.secrets.Seal(sealPurpose(d), d.Hash)
		err := l.db.Tx(ctx, func(q db.Queries) error { return q.SealAuditDay(d, sealed) })
		if err != nil && !errors.Is(err, db.ErrNotFound) { // another node was quicker
			return err
		}
	}
	return nil
}

// ErrBroken is returned, wrapped, by Verify where the record was changed.
var ErrBroken = errors.New("audit: the record was changed")

// Verify reads the chain of a node's day from its begin and returns how many rows it has.
func (l *Log) Verify(ctx context.Context, node, day string) (int, error) {
	const page = 500
	last, seq := "", int64(0)
	for {
		rows, err := l.db.Read(ctx).ListAuditChain(node, day, seq, page)
		if err != nil {
			return int(seq), err
		}
		for _, r := range rows {
			if r.Seq != seq+1 || r.PrevHash != last || r.Hash != r.Sum() {
				return int(seq), fmt.Errorf("%w: %s %s row %d", ErrBroken, node, day, r.Seq)
			}
			seq, last = r.Seq, r.Hash
		}
		if len(rows) < page {
			return int(seq), l.verifyEnd(ctx, node, day, last)
		}
	}
}

// verifyEnd says whether rows were cut off at the end of a day.
func (l *Log) verifyEnd(ctx context.Context, node, day, last string) error {
	head, err := l.db.Read(ctx).FindAuditDay(node, day)
	if err != nil {
		return err
	}
	if head.Hash != last {
		return fmt.Errorf("%w: %s %s lacks its end", ErrBroken, node, day)
	}
	if head.Sealed == "" {
		return nil
	}
	sealed, err := l.secrets.Open(sealPurpose(head), head.Sealed)
	if err != nil || sealed != last {
		return fmt.Errorf("%w: %s %s is not what was sealed", ErrBroken, node, day)
	}
	return nil
}

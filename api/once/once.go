// Package once lets a call be made again without its effect: who sends an Idempotency-Key gets the first answer for a day.
//
//	Begin ─► row is new: the call runs ─► 2xx: Keep, sealed · else: Release, it may be tried again with its key
//	      └► row is there: its answer · 409 while it runs · 422 for another body
//
// A call whose process dies keeps its place for a minute. Whether it had its effect nobody can tell then, so what moves money looks at its key in
// its own transaction too.
package once

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"time"

	"mediad/api/problem"
	"mediad/store/db"
	"mediad/store/seal"
	"mediad/store/sweep"
)

const (
	// life is how long an answer is kept.
	life = 24 * time.Hour
	// busy is how long a call may run: longer than any request is let.
	busy = time.Minute
	// maxAnswer in bytes: what can be sealed. Answers to what creates are a few hundred.
	maxAnswer     = 40 << 10
	sweepInterval = time.Minute
	// closing bounds what is written once the call has run, whether its caller is still there or not.
	closing = 5 * time.Second
)

// Options of New.
type Options struct {
	DB      *db.DB
	Secrets *seal.Ring
	// Now is the clock. nil: time.Now.
	Now func() time.Time
	// Log; nil: none.
	Log *slog.Logger
}

// Service keeps answers. Its methods may be called from any goroutine.
type Service struct{ o Options }

// New makes the service.
func New(o Options) *Service {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{o}
}

// Call is what makes two calls the same.
type Call struct {
	// Caller is a user or a server key; "": whoever has Address.
	Caller, Address string
	// Operation by its id, and the path with its parameters.
	Operation, Path string
	Key             string
	Query           string
	Body            []byte
}

// Answer is what is kept of one.
type Answer struct {
	Status int               `json:"status"`
	Header map[string]string `json:"header"`
	Body   []byte            `json:"body"`
}

// Claim is the right to run a call.
type Claim struct{ row db.Idempotent }

// ValidKey says whether a key is 1 to 255 visible characters of ASCII.
func ValidKey(key string) bool {
	if key == "" || len(key) > 255 {
		return false
	}
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' {
			return false
		}
	}
	return true
}

func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(p))
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil))
}

func purpose(r db.Idempotent) string { return "idempotency " + r.Caller + " " + r.Route + " " + r.Key }

// Begin gives the right to run a call, or else the answer that it had. What it refuses is a problem.
func (s *Service) Begin(ctx context.Context, c Call) (*Claim, *Answer, error) {
	claim, err := db.NewID()
	if err != nil {
		return nil, nil, err
	}
	now := s.o.Now()
	row := db.Idempotent{
		Caller: c.Caller, Route: c.Operation, Key: digest(c.Path, c.Key), BodyHash: digest(c.Query, string(c.Body)), Claim: claim,
		BusyUntil: db.At(now.Add(busy)), ExpiresAt: db.At(now.Add(life)),
	}
	if row.Caller == "" {
		row.Caller = s.o.Secrets.Index("idempotency.caller", c.Address)
	}
	var found db.Idempotent
	err = s.o.DB.Tx(ctx, func(q db.Queries) (err error) {
		found, err = q.ClaimIdempotent(row, db.At(now))
		return err
	})
	switch {
	case err != nil:
		return nil, nil, err
	case found.Claim == claim:
		return &Claim{row}, nil, nil
	case found.BodyHash != row.BodyHash:
		return nil, nil, problem.New(problem.IdempotencyKeyReused, "The Idempotency-Key was used for another body. Take a new one for another call.")
	case found.AnswerEnc == "":
		return nil, nil, problem.New(problem.IdempotencyInProgress, "The first call with this Idempotency-Key still runs.").Retry(time.Second)
	}
	text, err := s.o.Secrets.Open(purpose(found), found.AnswerEnc)
	if err != nil {
		return nil, nil, err
	}
	var a Answer
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		return nil, nil, err
	}
	return nil, &a, nil
}

// Keep stores the answer of a call that had its effect.
func (s *Service) Keep(ctx context.Context, c *Claim, a Answer) {
	text, err := json.Marshal(a)
	if err == nil && len(text) > maxAnswer {
		s.o.Log.ErrorContext(ctx, "an answer is too large to be given again", "operation", c.row.Route, "bytes", len(text))
		return // its place is kept for a while
	}
	row := c.row
	row.AnswerEnc = s.o.Secrets.Seal(purpose(row), string(text))
	s.close(ctx, err, func(q db.Queries) error { return q.AnswerIdempotent(row) })
}

// Release gives the right back: the call had no effect.
func (s *Service) Release(ctx context.Context, c *Claim) {
	s.close(ctx, nil, func(q db.Queries) error { return q.ReleaseIdempotent(c.row) })
}

func (s *Service) close(ctx context.Context, err error, fn func(q db.Queries) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closing)
	defer cancel()
	if err == nil {
		err = s.o.DB.Tx(ctx, fn)
	}
	if err != nil {
		s.o.Log.ErrorContext(ctx, "the outcome of a call with an Idempotency-Key was not stored", "error", err, "request_id", problem.RequestID(ctx))
	}
}

// Sweep deletes what has expired, and tells how many answers.
func (s *Service) Sweep(ctx context.Context) (gone int64, err error) {
	err = s.o.DB.Tx(ctx, func(q db.Queries) (err error) {
		gone, err = q.DeleteIdempotent(db.At(s.o.Now()))
		return err
	})
	return gone, err
}

// Run sweeps until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	return sweep.Each(ctx, sweepInterval, s.o.Log, "answers that have expired were not deleted", s.Sweep)
}

package auth

import (
	"context"
	"net/netip"
	"time"

	"mediad/api/caller"
	"mediad/api/problem"
	"mediad/store/db"
)

const (
	// freeTries are those without waiting, of one account from one network within guessWindow; freeEverywhere from everywhere.
	freeTries      = 5
	freeEverywhere = 50
	guessWindow    = 15 * time.Minute
	// maxWait is the longest wait between tries.
	maxWait = 15 * time.Minute
)

// guess is a try at a password that has been counted as a failure, until it is known to be none. Counting first keeps tries at the same time
// from being more than those one after the other.
type guess struct {
	here, everywhere string // subjects
}

// guessing counts a try at the password of an account; a problem if it has to wait. account is an id, or stands for what nobody has. typed is the
// name that was given, as account.LoginName spells it. One network is counted by that alone, whether anybody has the name or not: a count shared by
// the name and the address of an account would tell that they are one's, and spellings counted otherwise where nobody has the name, that somebody has it.
func (s *Service) guessing(ctx context.Context, account, typed string) (guess, error) {
	g := guess{
		here:       s.secrets.Index("login failures here", typed+"\n"+network(caller.PeerOf(ctx).Addr)),
		everywhere: s.secrets.Index("login failures", account),
	}
	now := s.now()
	var wait time.Duration
	err := s.db.Tx(ctx, func(q db.Queries) error {
		wait = 0
		// Always in this order, so that two tries never wait for each other.
		everywhere, err := q.HoldLoginFailure(g.everywhere)
		if err != nil {
			return err
		}
		here, err := q.HoldLoginFailure(g.here)
		if err != nil {
			return err
		}
		wait = max(everywhere.BlockedUntil.Time().Sub(now), here.BlockedUntil.Time().Sub(now))
		if wait > 0 {
			return nil
		}
		if err := q.SaveLoginFailure(count(everywhere, freeEverywhere, now)); err != nil {
			return err
		}
		return q.SaveLoginFailure(count(here, freeTries, now))
	})
	if err != nil {
		return guess{}, err
	}
	if wait > 0 {
		return guess{}, problem.New(problem.LoginThrottled, "Too many failed tries. Wait before the next one.").Retry(wait)
	}
	return g, nil
}

// count adds a failure: each behind the free ones doubles the wait.
func count(f db.LoginFailure, free int64, now time.Time) db.LoginFailure {
	if f.ExpiresAt <= db.At(now) {
		f.Failures = 0
	}
	f.Failures++
	until := now
	if n := f.Failures - free + 1; n > 0 {
		until = now.Add(min(time.Second<<min(n, 20), maxWait))
		f.BlockedUntil = db.At(until)
	}
	f.ExpiresAt = db.At(until.Add(guessWindow))
	return f
}

// right takes the count back, and forgets the failures from this network. Those from everywhere stay: they are an attacker's, who must not get
// new tries by the owner's coming.
func (g guess) right(q db.Queries, now time.Time) error {
	if err := g.undo(q, g.everywhere, freeEverywhere, now); err != nil {
		return err
	}
	here, err := q.HoldLoginFailure(g.here)
	if err != nil {
		return err
	}
	here.Failures, here.BlockedUntil = 0, 0
	return q.SaveLoginFailure(here)
}

// neither takes the count back and forgets nothing: the password was right, but more is asked for.
func (g guess) neither(q db.Queries, now time.Time) error {
	if err := g.undo(q, g.everywhere, freeEverywhere, now); err != nil {
		return err
	}
	return g.undo(q, g.here, freeTries, now)
}

func (g guess) undo(q db.Queries, subject string, free int64, now time.Time) error {
	f, err := q.HoldLoginFailure(subject)
	if err != nil {
		return err
	}
	f.Failures = max(f.Failures-1, 0)
	if f.Failures < free {
		f.BlockedUntil = 0
	} else {
		f.BlockedUntil = min(f.BlockedUntil, db.At(now))
	}
	return q.SaveLoginFailure(f)
}

// network is what one attacker has many addresses of: an IPv4 /24, an IPv6 /48.
func network(addr netip.Addr) string {
	bits := 24
	if addr.Is6() {
		bits = 48
	}
	prefix, err := addr.WithZone("").Prefix(bits)
	if err != nil {
		return "unknown"
	}
	return prefix.String()
}

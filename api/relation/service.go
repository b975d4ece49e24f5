// Package relation has the rules over what users have to do with each other: who follows whom, who blocks whom, and who moderates whose channel.
package relation

import (
	"context"
	"errors"
	"time"

	"mediad/api/account"
	"mediad/api/audit"
	"mediad/api/caller"
	"mediad/api/problem"
	"mediad/store/db"
	"mediad/store/event"
)

// MaxModerators of a channel.
const MaxModerators = 50

// Options of New.
type Options struct {
	DB *db.DB
	// Record adds an entry to the audit log as the last statement of a transaction.
	Record func(ctx context.Context, q db.Queries, e audit.Entry) error
	// Blocked is told of a user who blocked another, once the rows say so: what others hold of that user's is good no more. nil: nobody.
	Blocked func(ctx context.Context, userID string)
	// Now is the clock. nil: time.Now.
	Now func() time.Time
}

// Service holds the rules. Its methods may be called from any goroutine.
type Service struct {
	db     *db.DB
	record func(ctx context.Context, q db.Queries, e audit.Entry) error
	told   func(ctx context.Context, userID string)
	now    func() time.Time
}

// New makes the service.
func New(o Options) *Service {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Blocked == nil {
		o.Blocked = func(context.Context, string) {}
	}
	return &Service{db: o.DB, record: o.Record, told: o.Blocked, now: o.Now}
}

// Follow makes the caller follow a user and returns how many do. notify "": as it is, or all.
func (s *Service) Follow(ctx context.Context, userID, notify string) (followers int64, err error) {
	who := caller.Of(ctx).UserID
	if who == userID {
		return 0, problem.New(problem.SelfTarget, "Nobody follows themselves.")
	}
	err = s.db.Tx(ctx, func(q db.Queries) error {
		if err := bothOpen(q, who, userID); err != nil {
			return err
		}
		if err := refuseBlocked(q, who, userID); err != nil {
			return err
		}
		f := db.Follow{Follower: who, Followee: userID, Notify: notify, CreatedAt: db.At(s.now())}
		if notify == "" {
			before, err := q.FindFollow(who, userID)
			switch f.Notify = before.Notify; {
			case errors.Is(err, db.ErrNotFound):
				f.Notify = db.NotifyAll
			case err != nil:
				return err
			}
		}
		made, err := q.Follow(f)
		if err == nil && made {
			err = s.emit(ctx, q, event.FollowCreated, f)
		}
		if err != nil {
			return err
		}
		u, err := q.FindUser(userID)
		followers = u.FollowersCount
		return err
	})
	return followers, err
}

// bothOpen refuses what would tie an account to one that is closed: found open by the handler, it may have been closed since.
func bothOpen(q db.Queries, who, other string) error {
	if _, err := q.FindOpenUser(who); err != nil {
		return err
	}
	_, err := q.FindOpenUser(other)
	if errors.Is(err, db.ErrClosed) {
		return account.NoUser()
	}
	return err
}

func refuseBlocked(q db.Queries, who, userID string) error {
	switch blocked, err := q.Blocks(userID, who); {
	case err != nil:
		return err
	case blocked:
		return problem.New(problem.BlockedByUser, "The user has blocked you.")
	}
	switch blocks, err := q.Blocks(who, userID); {
	case err != nil:
		return err
	case blocks:
		p := problem.New(problem.InvalidState, "You have blocked the user. End that first.")
		p.State = "blocked"
		return p
	}
	return nil
}

// Unfollow ends it, where it is so.
func (s *Service) Unfollow(ctx context.Context, userID string) error {
	who := caller.Of(ctx).UserID
	return s.db.Tx(ctx, func(q db.Queries) error {
		if gone, err := q.Unfollow(who, userID); err != nil || !gone {
			return err
		}
		return s.emit(ctx, q, event.FollowDeleted, db.Follow{Follower: who, Followee: userID})
	})
}

// Block makes the caller block a user: neither follows the other any more, and what the other holds of the caller's, that is not for everybody, is
// good no more.
func (s *Service) Block(ctx context.Context, userID string) error {
	who := caller.Of(ctx).UserID
	if who == userID {
		return problem.New(problem.SelfTarget, "Nobody blocks themselves.")
	}
	err := s.db.Tx(ctx, func(q db.Queries) error {
		if err := bothOpen(q, who, userID); err != nil {
			return err
		}
		made, ended, err := q.Block(db.Block{UserID: who, OtherID: userID, CreatedAt: db.At(s.now())})
		if err != nil || !made {
			return err
		}
		for _, f := range ended {
			if err := s.emit(ctx, q, event.FollowDeleted, f); err != nil {
				return err
			}
		}
		return event.Emit(q, event.Event{
			Type: event.BlockCreated, Key: event.User(who), ActorID: who, Data: map[string]string{"user_id": who, "other_id": userID},
		}, s.now())
	})
	if err == nil {
		s.told(ctx, who)
	}
	return err
}

// emit tells that somebody follows, or no more.
func (s *Service) emit(ctx context.Context, q db.Queries, kind string, f db.Follow) error {
	return event.Emit(q, event.Event{
		Type: kind, Key: event.User(f.Followee), OwnerID: f.Followee, ActorID: caller.Of(ctx).UserID,
		Data: map[string]string{"follower": f.Follower, "followee": f.Followee},
	}, s.now())
}

// Unblock ends it, where it is so.
func (s *Service) Unblock(ctx context.Context, userID string) error {
	return s.db.Tx(ctx, func(q db.Queries) error { return q.Unblock(caller.Of(ctx).UserID, userID) })
}

// AddModerator lets another user moderate the channel of a user.
func (s *Service) AddModerator(ctx context.Context, channel, other string) error {
	if err := ownChannel(ctx, channel); err != nil {
		return err
	}
	if channel == other {
		return problem.New(problem.SelfTarget, "Everybody moderates their own channel anyway.")
	}
	return s.db.Tx(ctx, func(q db.Queries) error {
		if err := bothOpen(q, channel, other); err != nil {
			return err
		}
		there, err := q.ModeratesChannel(channel, other)
		if err != nil || there {
			return err
		}
		n, err := q.CountChannelMods(channel)
		if err != nil {
			return err
		}
		if n >= MaxModerators {
			p := problem.New(problem.LimitReached, "The channel has as many moderators as it may have.")
			p.Max = MaxModerators
			return p
		}
		if err := q.AddChannelMod(db.ChannelMod{UserID: channel, OtherID: other, CreatedAt: db.At(s.now())}); err != nil {
			return err
		}
		return s.record(ctx, q, audit.Entry{Action: "channel.moderator.add", TargetType: "user", TargetID: channel, After: map[string]string{"moderator": other}})
	})
}

// RemoveModerator ends it, where it is so.
func (s *Service) RemoveModerator(ctx context.Context, channel, other string) error {
	if err := ownChannel(ctx, channel); err != nil {
		return err
	}
	return s.db.Tx(ctx, func(q db.Queries) error {
		there, err := q.ModeratesChannel(channel, other)
		if err != nil || !there {
			return err
		}
		if err := q.RemoveChannelMod(channel, other); err != nil {
			return err
		}
		return s.record(ctx, q, audit.Entry{Action: "channel.moderator.remove", TargetType: "user", TargetID: channel, Before: map[string]string{"moderator": other}})
	})
}

// ownChannel refuses who does not own the channel and is no admin.
func ownChannel(ctx context.Context, channel string) error {
	if who := caller.Of(ctx); who.UserID == channel || who.Role.AtLeast(caller.Admin) {
		return nil
	}
	return problem.New(problem.Forbidden, "Only the owner of the channel may say who moderates it.")
}

// MayModerate refuses who does not moderate the channel: its owner, its moderators and those of the site do.
func (s *Service) MayModerate(ctx context.Context, channel string) error {
	who := caller.Of(ctx)
	if who.MayRead(channel) {
		return nil
	}
	moderates, err := s.db.Read(ctx).ModeratesChannel(channel, who.UserID)
	if err == nil && !moderates {
		return problem.New(problem.Forbidden, "Only who moderates the channel may see that.")
	}
	return err
}

// Follows says whether one user follows another.
func (s *Service) Follows(ctx context.Context, follower, followee string) (bool, error) {
	_, err := s.db.Read(ctx).FindFollow(follower, followee)
	if errors.Is(err, db.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Moderates says whether a user moderates the channel of another.
func (s *Service) Moderates(ctx context.Context, user, owner string) (bool, error) {
	return s.db.Read(ctx).ModeratesChannel(owner, user)
}

package stream

import (
	"context"

	"mediad/api/audit"
	"mediad/api/caller"
	"mediad/api/problem"
	"mediad/store/db"
)

// Relations tells who is what to whom.
type Relations interface {
	// Follows says whether one user follows another.
	Follows(ctx context.Context, follower, followee string) (bool, error)
	// Moderates says whether a user moderates the channel of another.
	Moderates(ctx context.Context, user, owner string) (bool, error)
}

type strangers struct{}

func (strangers) Follows(context.Context, string, string) (bool, error)   { return false, nil }
func (strangers) Moderates(context.Context, string, string) (bool, error) { return false, nil }

// MayWatch says whether the caller of the context may know of what belongs to the owner and has the visibility; an API token needs the scope
// for what is not open to everybody. Who moderates a channel sees what its followers see.
func MayWatch(ctx context.Context, r Relations, visibility, ownerID string, scope caller.Scope) (bool, error) {
	if visibility == "public" || visibility == "unlisted" {
		return true, nil
	}
	who := caller.Of(ctx)
	switch {
	case !who.SignedIn() || !who.Has(scope):
		return false, nil
	case who.MayRead(ownerID):
		return true, nil
	case visibility != "followers" || r == nil:
		return false, nil
	}
	may, err := r.Follows(ctx, who.UserID, ownerID)
	if err != nil || may {
		return may, err
	}
	return r.Moderates(ctx, who.UserID, ownerID)
}

// Visible finds what the caller may see. Whatever else there is does not exist. What it refuses is a problem.
func (s *Service) Visible(ctx context.Context, idOrSlug string) (db.Stream, error) {
	row, err := s.Find(ctx, idOrSlug)
	if err != nil {
		return db.Stream{}, refusal(err)
	}
	may, err := MayWatch(ctx, s.relations, row.Visibility, row.OwnerID, caller.StreamsRead)
	if err != nil {
		return db.Stream{}, err
	}
	if !may {
		return db.Stream{}, refusal(ErrNotFound)
	}
	if who := caller.Of(ctx); row.Visibility == "private" && who.UserID != row.OwnerID {
		return row, s.noteRead(ctx, row)
	}
	return row, nil
}

// noteRead keeps the record of who looks at what is private to somebody else.
func (s *Service) noteRead(ctx context.Context, row db.Stream) error {
	if s.audit == nil {
		return nil
	}
	return s.audit.Write(ctx, audit.Entry{Action: "stream.read", TargetType: "stream", TargetID: row.ID})
}

// Owned finds a stream that the caller may change: its owner as long as they are a streamer, or an admin. What it refuses is a problem.
func (s *Service) Owned(ctx context.Context, idOrSlug string) (db.Stream, error) {
	row, err := s.Visible(ctx, idOrSlug)
	if err != nil {
		return db.Stream{}, err
	}
	who := caller.Of(ctx)
	switch {
	case who.Role.AtLeast(caller.Admin):
		return row, nil
	case who.UserID != row.OwnerID:
		return db.Stream{}, problem.New(problem.Forbidden, "The stream is somebody else's.")
	case !who.Role.AtLeast(caller.Streamer):
		p := problem.New(problem.RoleRequired, "The account's role does not allow this.")
		p.Role = string(caller.Streamer)
		return db.Stream{}, p
	}
	return row, nil
}

// Overseen finds a stream of whose broadcast the caller may see how it is: its owner, moderators of the channel, moderators of the site. What it
// refuses is a problem.
func (s *Service) Overseen(ctx context.Context, idOrSlug string) (db.Stream, error) {
	row, err := s.Visible(ctx, idOrSlug)
	if err != nil {
		return db.Stream{}, err
	}
	who := caller.Of(ctx)
	if who.MayRead(row.OwnerID) {
		return row, nil
	}
	may, err := s.relations.Moderates(ctx, who.UserID, row.OwnerID)
	if err == nil && !may {
		err = problem.New(problem.Forbidden, "Only its owner and moderators may see this.")
	}
	return row, err
}

func (h *handlers) visible(ctx context.Context, idOrSlug string) (db.Stream, error) {
	return h.service.Visible(ctx, idOrSlug)
}

func (h *handlers) owned(ctx context.Context, idOrSlug string) (db.Stream, error) {
	return h.service.Owned(ctx, idOrSlug)
}

func (h *handlers) overseen(ctx context.Context, idOrSlug string) (db.Stream, error) {
	return h.service.Overseen(ctx, idOrSlug)
}

package video

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"mediad/api/account"
	"mediad/api/audit"
	"mediad/api/caller"
	"mediad/api/problem"
	"mediad/api/text"
	"mediad/store/db"
	"mediad/store/event"
)

const (
	// maxDescription is in characters.
	maxDescription = 5000
	// MaxReason is how long the reason of a deletion may be, in characters.
	MaxReason = 500
)

// Edit is a change of what an owner may change of a video.
type Edit struct {
	// Version is what the caller has read; 0: whatever it is.
	Version int64
	// Change gets the row as it is; what it leaves there is cleaned, checked and stored. It may run several times.
	Change func(v *db.Video)
}

// Update makes the change; where nothing would be another, the row stays as it is, and nobody is told. What the caller may not know of is ErrNotFound; other refusals are problems.
func (s *Service) Update(ctx context.Context, id string, e Edit) (db.Video, error) {
	if _, err := s.Visible(ctx, id); err != nil {
		return db.Video{}, err
	}
	var before, after db.Video
	err := s.db.Tx(ctx, func(q db.Queries) error {
		var err error
		if before, err = s.manageable(ctx, q, id, e.Version, false); err != nil {
			return err
		}
		row := before
		e.Change(&row)
		if before.KeptVisibility != "" { // somebody is leaving whose it is: what it was is kept for their return
			row.Visibility = before.Visibility
		}
		if err := tidy(&row); err != nil {
			return err
		}
		if after = row; reflect.DeepEqual(row, before) {
			return nil
		}
		if err := q.SaveVideo(row, before.Version, db.At(s.now())); err != nil {
			return err
		}
		if after, err = q.FindVideo(id); err != nil {
			return err
		}
		if err := s.tellChange(ctx, q, event.VideoUpdated, after, ""); err != nil {
			return err
		}
		if before.Visibility != "public" && after.Visibility == "public" {
			if err := s.tellChange(ctx, q, event.VideoPublished, after, ""); err != nil {
				return err
			}
		}
		return s.note(ctx, q, audit.Entry{
			Action: "video.update", TargetType: "video", TargetID: id, Before: changeable(before), After: changeable(after),
		})
	})
	if err != nil {
		return db.Video{}, missing(err)
	}
	if after.Version != before.Version {
		s.changed(ctx, id)
	}
	return after, nil
}

// Delete takes a video from everyone. Its media goes after a week, as far as no clip needs it.
func (s *Service) Delete(ctx context.Context, id string, version int64, reason string) error {
	v, err := s.Visible(ctx, id)
	if err != nil {
		return err
	}
	who := caller.Of(ctx)
	var bad account.Invalid
	switch reason = text.Clean(reason); {
	case text.Len(reason) > MaxReason:
		bad.Add("reason", "too_long", fmt.Sprintf("at most %d characters", MaxReason), MaxReason)
	case reason == "" && who.UserID != v.OwnerID && !ownsChannel(who, v) && who.Role.AtLeast(caller.Moderator):
		bad.Add("reason", "required", "why what is somebody else's is deleted", 0)
	}
	if len(bad.Fields) > 0 {
		return account.Refusal(&bad)
	}
	err = s.db.Tx(ctx, func(q db.Queries) error {
		row, err := s.manageable(ctx, q, id, version, true)
		if err != nil {
			return err
		}
		if err := q.DeleteVideo(id, db.At(s.now())); err != nil {
			return err
		}
		if err := s.tellChange(ctx, q, event.VideoDeleted, row, "deleted"); err != nil {
			return err
		}
		return s.note(ctx, q, audit.Entry{
			Action: "video.delete", TargetType: "video", TargetID: id, Reason: reason, Before: changeable(row),
		})
	})
	if err != nil {
		return missing(err)
	}
	s.changed(ctx, id)
	s.log.InfoContext(ctx, "video deleted", "video", id)
	return nil
}

// manageable finds a video that the caller may change: its owner's, and moderators of the site any but those of moderators and admins; deleting also
// the owner of the channel that a clip is out of.
func (s *Service) manageable(ctx context.Context, q db.Queries, id string, version int64, deleting bool) (db.Video, error) {
	v, err := q.FindVideo(id)
	switch {
	case err != nil:
		return v, err
	case v.DeletedAt != nil || v.State != db.VideoReady:
		return v, ErrNotFound
	}
	who := caller.Of(ctx)
	own := who.UserID == v.OwnerID || deleting && ownsChannel(who, v)
	switch {
	case own:
	case !who.Role.AtLeast(caller.Moderator):
		return v, problem.New(problem.Forbidden, "The video is somebody else's.")
	case !who.Role.AtLeast(caller.Admin):
		owner, err := q.FindUser(v.OwnerID)
		if err != nil {
			return v, err
		}
		if caller.Role(owner.Role).AtLeast(caller.Moderator) {
			p := problem.New(problem.RoleRequired, "Only admins act on what is moderators' and admins'.")
			p.Role = string(caller.Admin)
			return v, p
		}
	}
	if version != 0 && version != v.Version {
		return v, problem.New(problem.VersionMismatch, "The video was changed meanwhile. Read it again.")
	}
	return v, nil
}

func ownsChannel(who caller.Caller, v db.Video) bool {
	return v.ChannelID != nil && who.SignedIn() && *v.ChannelID == who.UserID
}

// tidy brings what was written into its stored form, and says what is wrong with it.
func tidy(v *db.Video) error {
	var bad account.Invalid
	v.Title, v.Description = text.Line(v.Title), text.Clean(v.Description)
	switch n := text.Len(v.Title); {
	case n == 0:
		bad.Add("title", "too_short", "1 to 120 characters", 0)
	case n > maxTitle:
		bad.Add("title", "too_long", fmt.Sprintf("at most %d characters", maxTitle), maxTitle)
	}
	if text.Len(v.Description) > maxDescription {
		bad.Add("description", "too_long", fmt.Sprintf("at most %d characters", maxDescription), maxDescription)
	}
	switch {
	case !slices.Contains(visibilities, v.Visibility):
		bad.Add("visibility", "invalid_enum", "public, unlisted, followers or private", 0)
	case v.ChannelID != nil && !within(v.Visibility, v.Widest):
		bad.Add("visibility", "out_of_range", "no wider than what it was cut out of: "+v.Widest, 0)
	}
	if len(bad.Fields) > 0 {
		return account.Refusal(&bad)
	}
	return nil
}

// changeable is what the record says of a video: what decides who may watch.
func changeable(v db.Video) map[string]any {
	return map[string]any{"kind": v.Kind, "owner_id": v.OwnerID, "visibility": v.Visibility}
}

// tellChange emits that a video was changed or deleted.
func (s *Service) tellChange(ctx context.Context, q db.Queries, kind string, v db.Video, reason string) error {
	data := map[string]any{"video_id": v.ID, "owner_id": v.OwnerID, "state": v.State, "visibility": v.Visibility}
	if reason != "" {
		data["reason"] = reason
	}
	return event.Emit(q, event.Event{Type: kind, Key: event.Video(v.ID), OwnerID: v.OwnerID, ActorID: caller.Of(ctx).UserID, Data: data}, s.now())
}

// note writes into the audit log, where there is one, as the last statement of a transaction.
func (s *Service) note(ctx context.Context, q db.Queries, e audit.Entry) error {
	if s.audit == nil {
		return nil
	}
	return s.audit.Add(ctx, q, e)
}

// missing says of a row that is gone that there is no such video.
func missing(err error) error {
	if errors.Is(err, db.ErrNotFound) {
		return ErrNotFound
	}
	return err
}

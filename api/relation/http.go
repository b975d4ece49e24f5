package relation

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"mediad/api/account"
	"mediad/api/caller"
	"mediad/api/page"
	"mediad/api/problem"
	"mediad/store/db"
)

// HTTP is what the routes need beside the service.
type HTTP struct {
	Service  *Service
	Accounts *account.Service
	Views    *account.Views
	Cursors  page.Codec
	Log      *slog.Logger
}

type handlers struct{ HTTP }

// Register mounts the routes of relations.
func Register(api huma.API, o HTTP) {
	h := &handlers{o}
	write := func(id, method, path, summary, description string, more ...problem.Code) huma.Operation {
		status := http.StatusNoContent
		if id == "followUser" {
			status = http.StatusOK
		}
		return problem.Document(api, huma.Operation{
			OperationID: id, Method: method, Path: "/api/v1" + path, Tags: []string{"relations"}, Summary: summary, Description: description, DefaultStatus: status,
		}, append(more, problem.Unauthenticated, problem.ScopeMissing, problem.NotFound, problem.InvalidParameter)...)
	}
	list := func(id, path, summary string, more ...problem.Code) huma.Operation {
		return problem.Document(api, huma.Operation{
			OperationID: id, Method: http.MethodGet, Path: "/api/v1" + path, Tags: []string{"relations"}, Summary: summary, Description: "The newest first.",
		}, append(more, problem.InvalidCursor, problem.InvalidParameter, problem.ValidationFailed)...)
	}
	huma.Register(api, write("followUser", http.MethodPut, "/users/{user}/follow", "Follow a user",
		"Without notify what the caller wants to be told of stays, or is all.",
		problem.SelfTarget, problem.BlockedByUser, problem.InvalidState, problem.MalformedJSON, problem.UnsupportedMediaType, problem.ValidationFailed),
		problem.Handle(o.Log, h.follow))
	huma.Register(api, write("unfollowUser", http.MethodDelete, "/users/{user}/follow", "Follow a user no more", ""), problem.Handle(o.Log, h.unfollow))
	huma.Register(api, write("blockUser", http.MethodPut, "/users/{user}/block", "Block a user", "Neither follows the other any more.", problem.SelfTarget),
		problem.Handle(o.Log, h.block))
	huma.Register(api, write("unblockUser", http.MethodDelete, "/users/{user}/block", "Block a user no more", ""), problem.Handle(o.Log, h.unblock))
	huma.Register(api, list("listFollowers", "/users/{user}/followers", "Who follows a user", problem.NotFound), problem.Handle(o.Log, h.followers))
	huma.Register(api, list("listFollowing", "/users/{user}/following", "Whom a user follows", problem.NotFound), problem.Handle(o.Log, h.following))
	huma.Register(api, list("listBlocks", "/me/blocks", "Whom the caller blocks", problem.Unauthenticated, problem.ScopeMissing), problem.Handle(o.Log, h.blocks))
	huma.Register(api, list("listChannelModerators", "/channels/{user}/moderators", "Who moderates a channel",
		problem.Unauthenticated, problem.ScopeMissing, problem.Forbidden, problem.NotFound), problem.Handle(o.Log, h.moderators))
	huma.Register(api, write("addChannelModerator", http.MethodPut, "/channels/{user}/moderators/{other}", "Let a user moderate a channel", "At most 50 may.",
		problem.Forbidden, problem.SelfTarget, problem.LimitReached), problem.Handle(o.Log, h.addModerator))
	huma.Register(api, write("removeChannelModerator", http.MethodDelete, "/channels/{user}/moderators/{other}", "Let a user moderate a channel no more", "",
		problem.Forbidden), problem.Handle(o.Log, h.removeModerator))
}

// named finds the user of a path.
func (h *handlers) named(ctx context.Context, user string) (db.User, error) {
	u, err := h.Accounts.Named(ctx, user)
	if errors.Is(err, account.ErrNotFound) {
		return db.User{}, account.NoUser()
	}
	return u, err
}

// UserInput names a user.
type UserInput struct {
	User string `path:"user" doc:"Id or @username" example:"@anna"`
}

// FollowBody says how.
type FollowBody struct {
	Notify string `json:"notify,omitempty" enum:"all,live,none" doc:"What the caller wants to be told of" example:"live"`
}

type followInput struct {
	UserInput
	Body *FollowBody
}

// FollowedBody is what came of it.
type FollowedBody struct {
	Following      bool  `json:"following" example:"true"`
	FollowersCount int64 `json:"followers_count" doc:"Of the user" minimum:"0" example:"121"`
}

type followedOutput struct{ Body FollowedBody }

func (h *handlers) follow(ctx context.Context, in *followInput) (*followedOutput, error) {
	u, err := h.named(ctx, in.User)
	if err != nil {
		return nil, err
	}
	notify := ""
	if in.Body != nil {
		notify = in.Body.Notify
	}
	n, err := h.Service.Follow(ctx, u.ID, notify)
	if err != nil {
		return nil, err
	}
	return &followedOutput{Body: FollowedBody{Following: true, FollowersCount: n}}, nil
}

func (h *handlers) unfollow(ctx context.Context, in *UserInput) (*struct{}, error) {
	return h.toUser(ctx, in, h.Service.Unfollow)
}

func (h *handlers) block(ctx context.Context, in *UserInput) (*struct{}, error) {
	return h.toUser(ctx, in, h.Service.Block)
}

func (h *handlers) unblock(ctx context.Context, in *UserInput) (*struct{}, error) {
	return h.toUser(ctx, in, h.Service.Unblock)
}

func (h *handlers) toUser(ctx context.Context, in *UserInput, do func(ctx context.Context, userID string) error) (*struct{}, error) {
	u, err := h.named(ctx, in.User)
	if err != nil {
		return nil, err
	}
	return nil, do(ctx, u.ID)
}

type moderatorInput struct {
	UserInput
	Other string `path:"other" doc:"Id or @username" example:"@bert"`
}

func (h *handlers) addModerator(ctx context.Context, in *moderatorInput) (*struct{}, error) {
	return h.moderator(ctx, in, h.Service.AddModerator)
}

func (h *handlers) removeModerator(ctx context.Context, in *moderatorInput) (*struct{}, error) {
	return h.moderator(ctx, in, h.Service.RemoveModerator)
}

func (h *handlers) moderator(ctx context.Context, in *moderatorInput, do func(ctx context.Context, channel, other string) error) (*struct{}, error) {
	channel, err := h.named(ctx, in.User)
	if err != nil {
		return nil, err
	}
	if err := ownChannel(ctx, channel.ID); err != nil {
		return nil, err
	}
	other, err := h.named(ctx, in.Other)
	if err != nil {
		return nil, err
	}
	return nil, do(ctx, channel.ID, other.ID)
}

// PageInput names a page.
type PageInput struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"20" doc:"How many"`
	Cursor string `query:"cursor" doc:"next_cursor of the page before"`
}

type listInput struct {
	UserInput
	PageInput
}

// ListBody is a page of users.
type ListBody struct {
	Items      []account.UserBody `json:"items" nullable:"false"`
	NextCursor *string            `json:"next_cursor" doc:"null: this was the last page"`
}

type listOutput struct{ Body ListBody }

func (h *handlers) followers(ctx context.Context, in *listInput) (*listOutput, error) {
	u, err := h.Accounts.Seen(ctx, in.User)
	if err != nil {
		return nil, err
	}
	return h.list(ctx, "followers "+u.ID, u.ID, in.PageInput, db.Queries.ListFollowers)
}

func (h *handlers) following(ctx context.Context, in *listInput) (*listOutput, error) {
	u, err := h.Accounts.Seen(ctx, in.User)
	if err != nil {
		return nil, err
	}
	if show := u.Settings.Privacy.ShowFollowing; show != nil && !*show && !caller.Of(ctx).MayRead(u.ID) {
		return nil, problem.New(problem.NotFound, "The user does not show whom they follow.")
	}
	return h.list(ctx, "following "+u.ID, u.ID, in.PageInput, db.Queries.ListFollowing)
}

func (h *handlers) blocks(ctx context.Context, in *PageInput) (*listOutput, error) {
	who := caller.Of(ctx).UserID
	return h.list(ctx, "blocks "+who, who, *in, db.Queries.ListBlocks)
}

func (h *handlers) moderators(ctx context.Context, in *listInput) (*listOutput, error) {
	u, err := h.named(ctx, in.User)
	if err != nil {
		return nil, err
	}
	if err := h.Service.MayModerate(ctx, u.ID); err != nil {
		return nil, err
	}
	return h.list(ctx, "moderators "+u.ID, u.ID, in.PageInput, db.Queries.ListChannelMods)
}

// list is one page of what find lists of a user.
func (h *handlers) list(ctx context.Context, name, userID string, in PageInput,
	find func(q db.Queries, userID string, after db.Related, limit int) ([]db.Related, error),
) (*listOutput, error) {
	var after db.Related
	if in.Cursor != "" {
		if err := h.Cursors.Open(name, in.Cursor, &after); err != nil {
			return nil, problem.New(problem.InvalidCursor, "The cursor was altered, or belongs to another list. Start again without it.")
		}
	}
	found, err := find(h.Service.db.Read(ctx), userID, after, in.Limit+1)
	if err != nil {
		return nil, err
	}
	out := &listOutput{}
	if len(found) > in.Limit {
		found = found[:in.Limit]
		next, err := h.Cursors.Seal(name, found[in.Limit-1])
		if err != nil {
			return nil, err
		}
		out.Body.NextCursor = &next
	}
	ids := make([]string, len(found))
	for i, f := range found {
		ids[i] = f.ID
	}
	out.Body.Items, err = h.Views.ByID(ctx, ids)
	return out, err
}

package account

import (
	"context"
	"log/slog"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"mediad/api/audit"
	"mediad/api/caller"
	"mediad/api/patch"
	"mediad/api/problem"
	"mediad/store/db"
)

// HTTP is what the routes need beside the service.
type HTTP struct {
	Service *Service
	Views   *Views
	// Prove says whether a password is the caller's.
	Prove    func(ctx context.Context, password string) error
	Pictures *Pictures
	// EmailChanged is told of each user with a new address.
	EmailChanged func(ctx context.Context, userID string)
	// ApproveStreamers: viewers wait for an admin instead of becoming streamers at once.
	ApproveStreamers func() (bool, error)
	Log              *slog.Logger
}

type handlers struct {
	HTTP
	service *Service
}

// Register mounts the routes of users.
func Register(api huma.API, o HTTP) {
	h := &handlers{HTTP: o, service: o.Service}
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "getMe", Method: http.MethodGet, Path: "/api/v1/me", Tags: []string{"users"}, Summary: "The caller's own account",
	}, problem.Unauthenticated, problem.ScopeMissing), problem.Handle(o.Log, h.me))
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "updateMe", Method: http.MethodPatch, Path: "/api/v1/me", Tags: []string{"users"}, Summary: "Change the caller's own account",
		Description: "A JSON merge patch: what is absent stays, null clears. A new email needs current_password, and no API token may set it.",
	}, problem.Unauthenticated, problem.ScopeMissing, problem.EmailTaken, problem.BadCredentials, problem.LoginThrottled, problem.VersionMismatch,
		problem.MalformedJSON, problem.UnsupportedMediaType, problem.ValidationFailed), problem.Handle(o.Log, h.update))
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "becomeStreamer", Method: http.MethodPost, Path: "/api/v1/me/streamer", Tags: []string{"users"}, Summary: "Become a streamer",
		Description: "At once, or when an admin has agreed: then the answer is 202.",
		Responses: map[string]*huma.Response{"202": {Description: "Accepted: an admin will look at it", Content: map[string]*huma.MediaType{
			"application/json": {Schema: api.OpenAPI().Components.Schemas.Schema(ownType, true, "OwnBody")},
		}}},
	}, problem.Unauthenticated, problem.ScopeMissing, problem.InvalidState, problem.MalformedJSON, problem.UnsupportedMediaType,
		problem.ValidationFailed), problem.Handle(o.Log, h.becomeStreamer))
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "getUser", Method: http.MethodGet, Path: "/api/v1/users/{user}", Tags: []string{"users"}, Summary: "One user",
		Description: "By id, or by @username in any case.",
	}, problem.NotFound, problem.InvalidParameter), problem.Handle(o.Log, h.get))
	h.registerPictures(api)
}

var ownType = reflect.TypeFor[OwnBody]()

type ownOutput struct {
	Status int
	ETag   string `header:"ETag" hidden:"true"`
	Body   OwnBody
}

func (h *handlers) own(ctx context.Context, u db.User) (*ownOutput, error) {
	body, err := h.Views.Own(ctx, u)
	if err != nil {
		return nil, err
	}
	return &ownOutput{Status: http.StatusOK, ETag: patch.VersionTag(u.Version), Body: body}, nil
}

func (h *handlers) me(ctx context.Context, _ *struct{}) (*ownOutput, error) {
	u, err := h.service.Own(ctx)
	if err != nil {
		return nil, Refusal(err)
	}
	return h.own(ctx, u)
}

// PatchBody is what may be changed.
type PatchBody struct {
	DisplayName     patch.Field[string]        `json:"display_name,omitempty" doc:"Plain text, 1 to 50 characters; null: the username" example:"Anna"`
	Bio             patch.Field[string]        `json:"bio,omitempty" doc:"Plain text, up to 1000 characters" example:"Chess, mostly blitz."`
	Links           patch.Field[[]LinkBody]    `json:"links,omitempty" doc:"Up to 5, in the place of those there are"`
	Email           patch.Field[string]        `json:"email,omitempty" doc:"null: none" example:"anna@example.com"`
	CurrentPassword string                     `json:"current_password,omitempty" doc:"Needed where email changes" example:"correct horse battery"`
	Settings        patch.Field[SettingsPatch] `json:"settings,omitempty" doc:"null: the defaults"`
}

// SettingsPatch changes settings.
type SettingsPatch struct {
	Locale   patch.Field[string]        `json:"locale,omitempty" example:"en"`
	Privacy  patch.Field[PrivacyPatch]  `json:"privacy,omitempty"`
	Playback patch.Field[PlaybackPatch] `json:"playback,omitempty"`
}

// PrivacyPatch changes what others see.
type PrivacyPatch struct {
	ShowFollowing patch.Field[bool] `json:"show_following,omitempty" example:"true"`
	ShowLikes     patch.Field[bool] `json:"show_likes,omitempty" example:"true"`
	History       patch.Field[bool] `json:"history,omitempty" example:"true"`
}

// PlaybackPatch changes how a user likes to watch.
type PlaybackPatch struct {
	Autoplay   patch.Field[bool]   `json:"autoplay,omitempty" example:"true"`
	LowLatency patch.Field[bool]   `json:"low_latency,omitempty" example:"true"`
	Quality    patch.Field[string] `json:"quality,omitempty" doc:"Up to 20 characters" example:"auto"`
}

type updateInput struct {
	IfMatch string `header:"If-Match" doc:"The ETag of what is changed; 412 if it was changed meanwhile"`
	Body    PatchBody
}

func (h *handlers) update(ctx context.Context, in *updateInput) (*ownOutput, error) {
	who := caller.Of(ctx)
	e := Edit{Change: func(u *db.User) { in.Body.apply(u) }}
	var err error
	if e.Version, err = patch.Matched(in.IfMatch); err != nil {
		return nil, err
	}
	if in.Body.Email.Present {
		if who.Via == caller.Token {
			return nil, problem.New(problem.ScopeMissing, "An API token cannot change the address. Sign in for that.")
		}
		if in.Body.CurrentPassword == "" { // it is no guess
			var bad Invalid
			bad.Add("current_password", "required", "needed where email changes", 0)
			return nil, Refusal(&bad)
		}
		if err := h.Prove(ctx, in.Body.CurrentPassword); err != nil {
			return nil, err
		}
		address := in.Body.Email.Value
		e.Address = &address
	}
	changed := false
	e.Then = func(q db.Queries, before, after db.User) error {
		changed = before.EmailEnc != after.EmailEnc
		if !changed {
			return nil
		}
		masked, err := h.masked(before, after)
		if err != nil {
			return err
		}
		return h.service.Record(ctx, q, audit.Entry{
			Action: "email.change", TargetType: "user", TargetID: after.ID, Before: masked[0], After: masked[1],
		})
	}
	u, err := h.service.Edit(ctx, who.UserID, e)
	if err != nil {
		return nil, Refusal(err)
	}
	if changed && u.EmailEnc != "" {
		h.EmailChanged(ctx, u.ID)
	}
	return h.own(ctx, u)
}

func (h *handlers) masked(users ...db.User) ([]map[string]string, error) {
	all := make([]map[string]string, len(users))
	for i, u := range users {
		email, err := h.service.EmailOf(u)
		if err != nil {
			return nil, err
		}
		all[i] = map[string]string{"email": MaskEmail(email)}
	}
	return all, nil
}

func (b PatchBody) apply(u *db.User) {
	b.DisplayName.Apply(&u.DisplayName)
	if b.DisplayName.Null {
		u.DisplayName = u.Username
	}
	b.Bio.Apply(&u.Bio)
	if b.Links.Present {
		u.Links = make([]db.Link, 0, len(b.Links.Value))
		for _, l := range b.Links.Value {
			u.Links = append(u.Links, db.Link(l))
		}
	}
	if b.Settings.Null {
		u.Settings = db.Settings{}
	}
	s := b.Settings.Value
	s.Locale.ApplyPtr(&u.Settings.Locale)
	if s.Privacy.Null {
		u.Settings.Privacy = db.Privacy{}
	}
	s.Privacy.Value.ShowFollowing.ApplyPtr(&u.Settings.Privacy.ShowFollowing)
	s.Privacy.Value.ShowLikes.ApplyPtr(&u.Settings.Privacy.ShowLikes)
	s.Privacy.Value.History.ApplyPtr(&u.Settings.Privacy.History)
	if s.Playback.Null {
		u.Settings.Playback = db.Playback{}
	}
	s.Playback.Value.Autoplay.ApplyPtr(&u.Settings.Playback.Autoplay)
	s.Playback.Value.LowLatency.ApplyPtr(&u.Settings.Playback.LowLatency)
	s.Playback.Value.Quality.ApplyPtr(&u.Settings.Playback.Quality)
}

// StreamerBody may say why.
type StreamerBody struct {
	Note string `json:"note,omitempty" doc:"For who decides, up to 500 characters" example:"I play chess on Fridays."`
}

type streamerInput struct{ Body *StreamerBody }

func (h *handlers) becomeStreamer(ctx context.Context, in *streamerInput) (*ownOutput, error) {
	who := caller.Of(ctx)
	var note string
	var err error
	if in.Body != nil {
		if note, err = Note(in.Body.Note); err != nil {
			return nil, Refusal(err)
		}
	}
	u, err := h.service.Find(ctx, who.UserID)
	if err != nil {
		return nil, Refusal(err)
	}
	if Role(u.Role).AtLeast(Streamer) {
		p := problem.New(problem.InvalidState, "You are a streamer already.")
		p.State = u.Role
		return nil, p
	}
	approve, err := h.ApproveStreamers()
	if err != nil {
		return nil, err
	}
	status := http.StatusOK
	if approve {
		status, err = http.StatusAccepted, h.service.RequestStreamer(ctx, u.ID, note)
	} else {
		err = h.service.SetRole(ctx, u.ID, Streamer)
	}
	if err != nil {
		return nil, Refusal(err)
	}
	if u, err = h.service.Find(ctx, u.ID); err != nil {
		return nil, Refusal(err)
	}
	out, err := h.own(ctx, u)
	if err != nil {
		return nil, err
	}
	out.Status = status
	return out, nil
}

type userInput struct {
	User string `path:"user" doc:"Id or @username" example:"@anna"`
}

type userOutput struct {
	ETag string `header:"ETag" hidden:"true"`
	Body UserBody
}

func (h *handlers) get(ctx context.Context, in *userInput) (*userOutput, error) {
	u, err := h.service.Seen(ctx, in.User)
	if err != nil {
		return nil, err
	}
	bodies, err := h.Views.Public(ctx, u)
	if err != nil {
		return nil, err
	}
	return &userOutput{ETag: patch.VersionTag(u.Version), Body: bodies[0]}, nil
}

// NoUser is the refusal of a user who is not there for the caller.
func NoUser() *problem.Problem {
	return problem.New(problem.NotFound, "There is no user of that name or id.")
}

package account

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"mediad/api/caller"
	"mediad/api/picture"
	"mediad/store/db"
)

// LiveBody is what a user is broadcasting.
type LiveBody struct {
	Stream  string `json:"stream" doc:"Slug" example:"main"`
	Title   string `json:"title" example:"Blitz on Friday"`
	Viewers int    `json:"viewers" minimum:"0" example:"12"`
}

// Maybe is a value or null. nil: null.
type Maybe[T any] struct{ Value *T }

// MarshalJSON implements json.Marshaler.
func (m Maybe[T]) MarshalJSON() ([]byte, error) { return json.Marshal(m.Value) }

// Schema implements huma.SchemaProvider: that of the value, or null.
func (m Maybe[T]) Schema(r huma.Registry) *huma.Schema {
	s := *huma.SchemaFromType(r, reflect.TypeFor[T]())
	s.Nullable = true
	return &s
}

// MeBody is what the caller has to do with a user.
type MeBody struct {
	Following  bool    `json:"following" example:"true"`
	Notify     *string `json:"notify" doc:"What the caller wants to be told of: all, live, none; null: does not follow" example:"all"`
	FollowedBy bool    `json:"followed_by" example:"false"`
	Blocked    bool    `json:"blocked" doc:"By the caller" example:"false"`
	// IsChannelMod: the caller moderates the user's channel.
	IsChannelMod bool `json:"is_channel_mod" doc:"The caller moderates the user's channel" example:"false"`
}

// Views shows users as the API has them: with what is counted, what is on air, and what the caller has to do with them.
type Views struct {
	service *Service
	onAir   func(ctx context.Context) (map[string]LiveBody, error)
	base    string // of URLs
}

// NewViews makes them. onAir tells who broadcasts what by user, of what everyone may find; URLs begin with publicURL.
func NewViews(s *Service, publicURL string, onAir func(ctx context.Context) (map[string]LiveBody, error)) *Views {
	return &Views{service: s, onAir: onAir, base: strings.TrimSuffix(publicURL, "/")}
}

// pictureURL is where the picture of that name is.
func (v *Views) pictureURL(name string) string { return v.base + picture.Path + name }

// picture is that for a body; null where there is none.
func (v *Views) picture(name string) *string {
	if name == "" {
		return nil
	}
	at := v.pictureURL(name)
	return &at
}

// Public shows at most 100 users as the caller may see them, in their order.
func (v *Views) Public(ctx context.Context, users ...db.User) ([]UserBody, error) {
	q, who := v.service.db.Read(ctx), caller.Of(ctx)
	ids := make([]string, len(users))
	for i, u := range users {
		ids[i] = u.ID
	}
	videos, err := q.CountVideos(ids)
	if err != nil {
		return nil, err
	}
	live, err := v.onAir(ctx)
	if err != nil {
		return nil, err
	}
	var relations db.Relations
	if who.SignedIn() && !slices.Equal(ids, []string{who.UserID}) { // nobody is anything to themselves
		if relations, err = q.FindRelations(who.UserID, ids); err != nil {
			return nil, err
		}
	}
	bodies := make([]UserBody, 0, len(users))
	for _, u := range users {
		b := public(u)
		b.VideosCount, b.AvatarURL, b.BannerURL = videos[u.ID], v.picture(u.Avatar), v.picture(u.Banner)
		if on, ok := live[u.ID]; ok {
			b.Live.Value = &on
		}
		if who.SignedIn() {
			b.Me = &MeBody{FollowedBy: relations.FollowedBy[u.ID], Blocked: relations.Blocked[u.ID], IsChannelMod: relations.Moderates[u.ID]}
			if notify, ok := relations.Following[u.ID]; ok {
				b.Me.Following, b.Me.Notify = true, &notify
			}
		}
		bodies = append(bodies, b)
	}
	return bodies, nil
}

// ByID shows those of ids that have an account, in the order of ids.
func (v *Views) ByID(ctx context.Context, ids []string) ([]UserBody, error) {
	found, err := v.service.db.RecallUsers(ctx, ids)
	if err != nil {
		return nil, err
	}
	rows := make(map[string]db.User, len(found))
	for _, u := range found {
		if !u.Closed() {
			rows[u.ID] = u
		}
	}
	users := make([]db.User, 0, len(ids))
	for _, id := range ids {
		if u, ok := rows[id]; ok {
			users = append(users, u)
		}
	}
	return v.Public(ctx, users...)
}

// Own shows the user as they see themselves.
func (v *Views) Own(ctx context.Context, u db.User) (OwnBody, error) {
	bodies, err := v.Public(ctx, u)
	if err != nil {
		return OwnBody{}, err
	}
	return v.service.own(ctx, u, bodies[0])
}

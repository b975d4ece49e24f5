package account

import (
	"context"
	"errors"

	"mediad/api/caller"
	"mediad/api/problem"
	"mediad/store/db"
)

// UserBody is a user as everyone may see them.
type UserBody struct {
	ID          string     `json:"id" doc:"UUIDv7" format:"uuid" example:"0198f2a0-0000-7000-8000-000000000001"`
	CreatedAt   string     `json:"created_at" format:"date-time" example:"2026-03-01T12:00:00.000Z"`
	UpdatedAt   string     `json:"updated_at" format:"date-time" example:"2026-03-01T12:00:00.000Z"`
	Username    string     `json:"username" pattern:"^[a-z0-9_]{3,32}$" example:"anna"`
	DisplayName string     `json:"display_name" doc:"Plain text, 1 to 50 characters" example:"Anna"`
	Bio         string     `json:"bio" doc:"Plain text, up to 1000 characters" example:"Chess, mostly blitz."`
	Links       []LinkBody `json:"links" nullable:"false" doc:"Up to 5"`
	AvatarURL   *string    `json:"avatar_url" doc:"JPEG or PNG, square; it never changes. null: none" example:"/pictures/4be1f3c4a1f03be7d3e62e31e7cb46d70f3a9c21.jpg"`
	BannerURL   *string    `json:"banner_url" doc:"JPEG or PNG, three times as wide as high; null: none" example:"/pictures/9d0cf7d3be64f1a0c1d05c43dd1b3ab87c21e04f.jpg"`
	IsStreamer  bool       `json:"is_streamer" doc:"May publish streams" example:"true"`
	Verified    bool       `json:"verified" doc:"The site vouches for who it is" example:"false"`

	FollowersCount int64 `json:"followers_count" minimum:"0" example:"120"`
	FollowingCount int64 `json:"following_count" minimum:"0" example:"7"`
	VideosCount    int64 `json:"videos_count" doc:"Public ones" minimum:"0" example:"3"`
	// Live is what everyone may find of what the user broadcasts.
	Live Maybe[LiveBody] `json:"live" doc:"null: nothing that everyone may find"`
	Me   *MeBody         `json:"me,omitempty" doc:"What the caller has to do with the user; absent for who is not signed in"`
}

// LinkBody stands on a profile.
type LinkBody struct {
	Label string `json:"label" doc:"Plain text, up to 30 characters" example:"Website"`
	URL   string `json:"url" doc:"http or https" example:"https://example.com/anna"`
}

// OwnBody is a user as they see themselves.
type OwnBody struct {
	UserBody
	Email         *string      `json:"email" doc:"null: none" example:"anna@example.com"`
	EmailVerified bool         `json:"email_verified" example:"true"`
	Role          string       `json:"role" doc:"viewer, streamer, moderator, admin" example:"streamer"`
	Permissions   []string     `json:"permissions" nullable:"false" doc:"What the role allows" example:"[\"interact\",\"stream\"]"`
	TwoFactor     bool         `json:"two_factor" doc:"A second factor is asked for at logins" example:"false"`
	Quota         QuotaBody    `json:"quota"`
	Settings      SettingsBody `json:"settings"`
	// MustChangePassword: everything else is refused until then.
	MustChangePassword bool `json:"must_change_password" doc:"Nothing else is allowed until the password is changed" example:"false"`
	// StreamerRequested: the wish waits for an admin.
	StreamerRequested bool `json:"streamer_requested" doc:"POST /me/streamer waits for an admin" example:"false"`
}

// SettingsBody is what a user has chosen, with the defaults for the rest.
type SettingsBody struct {
	Locale   *string      `json:"locale" doc:"BCP 47; null: the browser's" example:"en"`
	Privacy  PrivacyBody  `json:"privacy"`
	Playback PlaybackBody `json:"playback"`
}

// PrivacyBody is what others see.
type PrivacyBody struct {
	ShowFollowing bool `json:"show_following" example:"true"`
	ShowLikes     bool `json:"show_likes" example:"true"`
	History       bool `json:"history" doc:"What was watched is remembered" example:"true"`
}

// PlaybackBody is how a user likes to watch.
type PlaybackBody struct {
	Autoplay   bool   `json:"autoplay" example:"true"`
	LowLatency bool   `json:"low_latency" example:"true"`
	Quality    string `json:"quality" doc:"auto, or the name of a quality" example:"auto"`
}

// public is what the row of the user tells everyone.
func public(u db.User) UserBody {
	b := UserBody{
		ID: u.ID, CreatedAt: problem.Stamp(u.CreatedAt.Time()), UpdatedAt: problem.Stamp(u.UpdatedAt.Time()), Username: u.Username,
		DisplayName: u.DisplayName, Bio: u.Bio, Links: make([]LinkBody, 0, len(u.Links)), IsStreamer: Role(u.Role).AtLeast(Streamer),
		Verified: u.VerifiedAt != nil, FollowersCount: u.FollowersCount, FollowingCount: u.FollowingCount,
	}
	for _, l := range u.Links {
		b.Links = append(b.Links, LinkBody(l))
	}
	return b
}

// own adds to what everyone sees of the user what they alone do.
func (s *Service) own(ctx context.Context, u db.User, seen UserBody) (OwnBody, error) {
	email, err := s.EmailOf(u)
	if err != nil {
		return OwnBody{}, err
	}
	t, err := s.db.Read(ctx).FindTOTP(u.ID)
	if err != nil && !errors.Is(err, db.ErrNotFound) {
		return OwnBody{}, err
	}
	quota, err := s.quota(ctx, u)
	if err != nil {
		return OwnBody{}, err
	}
	b := OwnBody{
		UserBody: seen, Quota: quota, EmailVerified: u.EmailVerifiedAt != nil, Role: u.Role, Permissions: permissions(Role(u.Role)),
		TwoFactor: t.ConfirmedAt != nil, MustChangePassword: u.MustChangePassword, StreamerRequested: u.StreamerRequestedAt != nil,
		Settings: SettingsBody{
			Locale: u.Settings.Locale,
			Privacy: PrivacyBody{
				ShowFollowing: or(u.Settings.Privacy.ShowFollowing, true), ShowLikes: or(u.Settings.Privacy.ShowLikes, true),
				History: or(u.Settings.Privacy.History, true),
			},
			Playback: PlaybackBody{
				Autoplay: or(u.Settings.Playback.Autoplay, true), LowLatency: or(u.Settings.Playback.LowLatency, true),
				Quality: or(u.Settings.Playback.Quality, "auto"),
			},
		},
	}
	if email != "" {
		b.Email = &email
	}
	return b, nil
}

func or[T any](value *T, otherwise T) T {
	if value == nil {
		return otherwise
	}
	return *value
}

// permissions are the rows of the table of roles, in a word each.
func permissions(r Role) []string {
	var all []string
	for _, p := range []struct {
		word  string
		least caller.Role
	}{{"interact", Viewer}, {"upload", Streamer}, {"stream", Streamer}, {"webhooks", Streamer}, {"moderate", Moderator}, {"administer", Admin}} {
		if r.AtLeast(p.least) {
			all = append(all, p.word)
		}
	}
	return all
}

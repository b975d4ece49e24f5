package db

import (
	"encoding/json"
	"fmt"
	"slices"

	"gorm.io/gorm"
)

// User is a row of users.
type User struct {
	ID                 string
	Username           string
	DisplayName        string
	PasswordHash       string
	Role               string
	MustChangePassword bool
	EmailEnc           string  // sealed; "" is none
	EmailBidx          *string // keyed index of the address
	EmailVerifiedAt    *Millis
	State              string
	SuspendedUntil     *Millis
	SuspendedReason    string
	SessionVersion     int64 // sessions of another version are dead
	Bio                string
	Links              []Link   `gorm:"serializer:json"`
	Settings           Settings `gorm:"serializer:json"`
	VerifiedAt         *Millis
	// StreamerRequestedAt is set while a viewer waits to be made a streamer.
	StreamerRequestedAt *Millis
	StreamerNote        string
	// FollowersCount and FollowingCount are how many rows of follows there are.
	FollowersCount int64
	FollowingCount int64
	Avatar, Banner string // names of pictures; "" is none
	Limits         Limits `gorm:"serializer:json"`
	// EraseAt is set while the user is leaving: when the account is erased.
	EraseAt   *Millis
	CreatedAt Millis `gorm:"autoCreateTime:false"`
	UpdatedAt Millis `gorm:"autoUpdateTime:false"`
	Version   int64
}

// TableName implements gorm's Tabler.
func (User) TableName() string { return "users" }

// States of a user.
const (
	UserActive    = "active"
	UserSuspended = "suspended"
	UserLeaving   = "leaving" // gone for everyone, and may come back for a while
	UserErased    = "erased"  // the row alone is left, as others refer to it
)

// Closed says that nobody has the account any more: they are leaving, or it is erased.
func (u User) Closed() bool { return u.State != UserActive && u.State != UserSuspended }

// SuspendedAt says whether the user is kept out at that moment.
func (u User) SuspendedAt(now Millis) bool {
	return u.State == UserSuspended && (u.SuspendedUntil == nil || *u.SuspendedUntil > now)
}

// Link stands on a profile.
type Link struct {
	Label string `json:"label"`
	URL   string `json:"url"`
}

// Settings are what a user has chosen. nil: the default.
type Settings struct {
	Locale   *string  `json:"locale,omitempty"`
	Privacy  Privacy  `json:"privacy,omitzero"`
	Playback Playback `json:"playback,omitzero"`
}

// Privacy is what others see of a user.
type Privacy struct {
	ShowFollowing *bool `json:"show_following,omitempty"`
	ShowLikes     *bool `json:"show_likes,omitempty"`
	History       *bool `json:"history,omitempty"`
}

// Playback is how a user likes to watch.
type Playback struct {
	Autoplay   *bool   `json:"autoplay,omitempty"`
	LowLatency *bool   `json:"low_latency,omitempty"`
	Quality    *string `json:"quality,omitempty"`
}

// Limits are what an admin allows a user in the place of the site's limits. nil: as the site has it.
type Limits struct {
	StorageBytes *int64 `json:"storage_bytes,omitempty"`
	UploadsADay  *int64 `json:"uploads_a_day,omitempty"`
	FileBytes    *int64 `json:"file_bytes,omitempty"`
	DurationS    *int64 `json:"duration_s,omitempty"`
	Streams      *int64 `json:"streams,omitempty"`
	StreamKeys   *int64 `json:"stream_keys,omitempty"` // of one stream
	Webhooks     *int64 `json:"webhooks,omitempty"`
	APITokens    *int64 `json:"api_tokens,omitempty"`
}

// CreateUser inserts u; ErrDuplicate if the name or the address is taken.
func (q Queries) CreateUser(u User) error {
	if u.State == "" {
		u.State = UserActive
	}
	u.SessionVersion = max(u.SessionVersion, 1)
	if u.Links == nil {
		u.Links = []Link{}
	}
	return wrap("create user", q.g.Create(&u).Error)
}

// FindUserByEmail finds by any of the keyed indexes of an address.
func (q Queries) FindUserByEmail(bidx []string) (User, error) {
	var u User
	err := q.g.Take(&u, "email_bidx IN ?", bidx).Error
	return u, wrap("find user", err)
}

// FindUser finds by id.
func (q Queries) FindUser(id string) (User, error) {
	var u User
	err := q.g.Take(&u, "id = ?", id).Error
	return u, wrap("find user", err)
}

// FindOpenUser finds by id an account that somebody has; ErrClosed and ErrNotFound for one that is closed. What is made for a user is made in a
// transaction that asks this, so that nothing of it is left behind by one that closes the account.
func (q Queries) FindOpenUser(id string) (User, error) {
	u, err := q.FindUser(id)
	if err == nil && u.Closed() {
		err = fmt.Errorf("%w: %w", ErrClosed, ErrNotFound)
	}
	return u, err
}

// FindUserByName finds by username, which is lower-case.
func (q Queries) FindUserByName(username string) (User, error) {
	var u User
	err := q.g.Take(&u, "username = ?", username).Error
	return u, wrap("find user", err)
}

// FindUsers finds those of ids that exist, in no order.
func (q Queries) FindUsers(ids []string) ([]User, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var found []User
	err := q.g.Find(&found, "id IN ?", ids).Error
	return found, wrap("find users", err)
}

// FirstUserOfRole finds the one made first whose account is not closed.
func (q Queries) FirstUserOfRole(role string) (User, error) {
	var u User
	err := q.g.Where("role = ? AND state IN ?", role, []string{UserActive, UserSuspended}).Order("id").Take(&u).Error
	return u, wrap("first user of a role", err)
}

// CountUsersOfRole counts.
func (q Queries) CountUsersOfRole(role string) (int64, error) {
	var n int64
	err := q.g.Model(&User{}).Where("role = ?", role).Count(&n).Error
	return n, wrap("count users", err)
}

// CountOtherActiveUsersOfRole counts those beside one user who are not suspended.
func (q Queries) CountOtherActiveUsersOfRole(role, beside string) (int64, error) {
	var n int64
	err := q.g.Model(&User{}).Where("role = ? AND id <> ? AND state = ?", role, beside, UserActive).Count(&n).Error
	return n, wrap("count users", err)
}

// UserFilter narrows a list of users. Zero values do not narrow.
type UserFilter struct {
	// Prefix is that of the username, in lower case.
	Prefix string
	// Emails are indexes of an address.
	Emails      []string
	Role, State string
	// Oldest: the oldest first instead of the newest; by name where there is a Prefix.
	Oldest bool
	// After is the id, or with a Prefix the username, behind which the list goes on.
	After string
}

// SearchUsers lists users who are not erased.
func (q Queries) SearchUsers(f UserFilter, limit int) ([]User, error) {
	g, order, plus := q.g, "id DESC", ""
	if f.Prefix != "" && q.g.Name() == string(SQLite) {
		plus = "+" // keeps it from the index of roles, which does not order by name
	}
	switch {
	case f.Prefix != "":
		g, order = g.Where("username >= ? AND username < ? AND username > ?", f.Prefix, f.Prefix+"~", f.After), "username" // no username has a ~
	case f.Oldest:
		g, order = g.Where("id > ?", f.After), "id"
	default:
		if f.After == "" {
			f.After = afterEveryID
		}
		g = g.Where("id < ?", f.After)
	}
	if f.Emails != nil {
		g = g.Where("email_bidx IN ?", f.Emails)
	}
	if f.Role != "" {
		g = g.Where(plus+"role = ?", f.Role)
	}
	if f.State != "" {
		g = g.Where("state = ?", f.State)
	} else {
		g = g.Where("state <> 'erased'") // a parameter might be any state, of which PostgreSQL expects all rows to be
	}
	var found []User
	err := g.Order(order).Limit(limit).Find(&found).Error
	return found, wrap("search users", err)
}

// ListStreamerRequests lists who has waited to be made a streamer since later than a moment, the longest first. It returns more than limit
// where several began to wait in the same millisecond, so that a list goes on behind all of them.
func (q Queries) ListStreamerRequests(after Millis, limit int) ([]User, error) {
	open := []string{UserActive, UserSuspended}
	var found []User
	err := q.g.Where("streamer_requested_at IS NOT NULL AND streamer_requested_at > ? AND state IN ?", after, open).
		Order("streamer_requested_at").Limit(limit).Find(&found).Error
	if err != nil || len(found) < limit {
		return found, wrap("list requests of streamers", err)
	}
	last := *found[limit-1].StreamerRequestedAt
	found = slices.DeleteFunc(found, func(u User) bool { return *u.StreamerRequestedAt == last })
	var same []User
	err = q.g.Where("streamer_requested_at = ? AND state IN ?", last, open).Find(&same).Error
	return append(found, same...), wrap("list requests of streamers", err)
}

// SetUserMarks says whether the site vouches for the user, and whether the password has to be changed first.
func (q Queries) SetUserMarks(id string, verified *Millis, mustChange bool, now Millis) error {
	return one("set marks of user", q.updateUser(id, map[string]any{"verified_at": verified, "must_change_password": mustChange}, now))
}

// ListUsers lists by id after the given one ("" from the start), oldest first.
func (q Queries) ListUsers(after string, limit int) ([]User, error) {
	var found []User
	err := q.g.Where("id > ?", after).Order("id").Limit(limit).Find(&found).Error
	return found, wrap("list users", err)
}

// SetPassword replaces the hash. Every session of the user is dead from then on.
func (q Queries) SetPassword(id, hash string, mustChange bool, now Millis) error {
	return one("set password", q.updateUser(id, map[string]any{
		"password_hash": hash, "must_change_password": mustChange, "session_version": gorm.Expr("session_version + 1"),
	}, now))
}

// RehashPassword replaces a hash by one of the same password, if it is still that one.
func (q Queries) RehashPassword(id, old, hash string) error {
	return one("rehash password", q.user(id).Where("password_hash = ?", old).UpdateColumn("password_hash", hash))
}

// EndSessions makes every session of the user dead.
func (q Queries) EndSessions(id string) error {
	return one("end sessions", q.user(id).UpdateColumn("session_version", gorm.Expr("session_version + 1")))
}

// SetRole changes the role. A wait for it is over.
func (q Queries) SetRole(id, role string, now Millis) error {
	return one("set role", q.updateUser(id, map[string]any{"role": role, "streamer_requested_at": nil, "streamer_note": ""}, now))
}

// RequestStreamer notes that the user waits to be made a streamer.
func (q Queries) RequestStreamer(id, note string, now Millis) error {
	return one("request streamer", q.updateUser(id, map[string]any{"streamer_requested_at": now, "streamer_note": note}, now))
}

// SuspendUser keeps the user out until a moment, nil: for good. Every session of the user is dead from then on.
func (q Queries) SuspendUser(id string, until *Millis, reason string, now Millis) error {
	return one("suspend user", q.updateUser(id, map[string]any{
		"state": UserSuspended, "suspended_until": until, "suspended_reason": reason, "session_version": gorm.Expr("session_version + 1"),
	}, now))
}

// ReleaseUser lets a suspended user in again.
func (q Queries) ReleaseUser(id string, now Millis) error {
	return one("release user", q.updateUser(id, map[string]any{"state": UserActive, "suspended_until": nil, "suspended_reason": ""}, now))
}

// SaveProfile stores what a user may change of u: name, bio, links, settings and address. ErrNotFound if its version is not the one given any
// more, ErrDuplicate if the address is taken.
func (q Queries) SaveProfile(u User, version int64, now Millis) error {
	links, settings, err := u.encoded()
	if err != nil {
		return err
	}
	return one("save profile", q.user(u.ID).Where("version = ?", version).UpdateColumns(versioned(map[string]any{
		"display_name": u.DisplayName, "bio": u.Bio, "links": links, "settings": settings,
		"email_enc": u.EmailEnc, "email_bidx": u.EmailBidx, "email_verified_at": u.EmailVerifiedAt,
	}, now)))
}

// encoded writes the lists of u as their columns have them.
func (u User) encoded() (links, settings string, err error) {
	if u.Links == nil {
		u.Links = []Link{}
	}
	l, err := json.Marshal(u.Links)
	if err != nil {
		return "", "", fmt.Errorf("db: links: %w", err)
	}
	s, err := json.Marshal(u.Settings)
	if err != nil {
		return "", "", fmt.Errorf("db: settings: %w", err)
	}
	return string(l), string(s), nil
}

// VerifyEmail notes that the address with that index is the user's, if it still is the one of the account.
func (q Queries) VerifyEmail(id, bidx string, now Millis) error {
	return one("verify email", q.user(id).Where("email_bidx = ?", bidx).
		UpdateColumns(versioned(map[string]any{"email_verified_at": now}, now)))
}

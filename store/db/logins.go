package db

import "gorm.io/gorm/clause"

// Login is a row of sessions: one person on one device. Its refresh tokens are one family.
type Login struct {
	ID         string
	UserID     string
	Version    int64 // User.SessionVersion at the time
	Transport  string
	DeviceName string
	IPEnc      string // sealed; "" once it is erased
	AgentEnc   string
	CreatedAt  Millis `gorm:"autoCreateTime:false"`
	LastSeenAt Millis
	ExpiresAt  Millis
	EndedAt    *Millis
	EndReason  string
}

// TableName implements gorm's Tabler.
func (Login) TableName() string { return "sessions" }

// AliveAt says whether the login still holds for u, whose it is.
func (l Login) AliveAt(now Millis, u User) bool {
	return l.EndedAt == nil && l.Version == u.SessionVersion && l.ExpiresAt > now
}

// CreateLogin inserts l.
func (q Queries) CreateLogin(l Login) error { return wrap("create login", q.g.Create(&l).Error) }

// FindLogin finds by id.
func (q Queries) FindLogin(id string) (Login, error) {
	var l Login
	err := q.g.Take(&l, "id = ?", id).Error
	return l, wrap("find login", err)
}

// ListLogins lists the living logins of a user of that version, newest first, with ids smaller than before ("" from the newest).
func (q Queries) ListLogins(userID string, version int64, before string, now Millis, limit int) ([]Login, error) {
	g := q.g.Where("user_id = ? AND version = ? AND ended_at IS NULL AND expires_at > ?", userID, version, now)
	if before != "" {
		g = g.Where("id < ?", before)
	}
	var found []Login
	err := g.Order("id DESC").Limit(limit).Find(&found).Error
	return found, wrap("list logins", err)
}

// LastTraced finds the login of a user that was used last of those whose address is not erased yet, whether it lives or was ended since.
func (q Queries) LastTraced(userID string) (Login, error) {
	var l Login
	err := q.g.Where("user_id = ? AND ip_enc <> ''", userID).Order("last_seen_at DESC").Take(&l).Error
	return l, wrap("find login", err)
}

// LastSeen tells when some users were last here, by user.
func (q Queries) LastSeen(userIDs []string) (map[string]Millis, error) {
	seen := map[string]Millis{}
	if len(userIDs) == 0 {
		return seen, nil
	}
	var rows []struct {
		UserID string
		At     Millis
	}
	err := q.g.Model(&Login{}).Select("user_id", "max(last_seen_at) AS at").Where("user_id IN ?", userIDs).Group("user_id").Find(&rows).Error
	for _, r := range rows {
		seen[r.UserID] = r.At
	}
	return seen, wrap("last seen", err)
}

// SeeLogin notes when and from where a login was used last.
func (q Queries) SeeLogin(id, ipEnc, agentEnc string, now Millis) error {
	return one("see login", q.g.Model(&Login{}).Where("id = ?", id).
		UpdateColumns(map[string]any{"last_seen_at": now, "ip_enc": ipEnc, "agent_enc": agentEnc}))
}

// RenewLogin gives a login the version of its user, so that it outlives what ended the others.
func (q Queries) RenewLogin(id string, version int64) error {
	return one("renew login", q.g.Model(&Login{}).Where("id = ?", id).UpdateColumn("version", version))
}

// EndLogin ends one that lives.
func (q Queries) EndLogin(id, reason string, now Millis) error {
	return one("end login", q.g.Model(&Login{}).Where("id = ? AND ended_at IS NULL", id).
		UpdateColumns(map[string]any{"ended_at": now, "end_reason": reason}))
}

// EraseLoginTraces erases address and agent of logins that were not used since.
func (q Queries) EraseLoginTraces(before Millis) (int64, error) {
	erased := q.g.Model(&Login{}).Where("ip_enc <> '' AND last_seen_at < ?", before).
		UpdateColumns(map[string]any{"ip_enc": "", "agent_enc": ""})
	return erased.RowsAffected, wrap("erase traces of logins", erased.Error)
}

// EachSeen calls each with the user of every login that was used since, a page of rows at a time.
func (q Queries) EachSeen(since Millis, each func(userID string)) error {
	for {
		var page []Login
		err := q.g.Select("id", "user_id", "last_seen_at").Where("ip_enc <> '' AND last_seen_at >= ?", since).
			Order("last_seen_at").Limit(seenPage).Find(&page).Error
		if err != nil {
			return wrap("users seen", err)
		}
		for _, l := range page {
			each(l.UserID)
		}
		if len(page) < seenPage {
			return nil
		}
		if last := page[len(page)-1].LastSeenAt; last > since {
			since = last // those of the same millisecond come twice
		} else {
			since++ // a page full of one millisecond
		}
	}
}

// seenPage bounds a statement of EachSeen.
const seenPage = 2000

// DeleteLogins deletes those that expired before a moment, at most limit, with their refresh tokens, and says how many there were.
func (q Queries) DeleteLogins(before Millis, limit int) (int, error) {
	var ids []string
	if err := q.g.Model(&Login{}).Where("expires_at < ?", before).Limit(limit).Pluck("id", &ids).Error; err != nil {
		return 0, wrap("delete logins", err)
	}
	if len(ids) == 0 {
		return 0, nil
	}
	if err := q.g.Where("family IN ?", ids).Delete(&RefreshToken{}).Error; err != nil {
		return 0, wrap("delete refresh tokens", err)
	}
	return len(ids), wrap("delete logins", q.g.Where("id IN ?", ids).Delete(&Login{}).Error)
}

// RefreshToken is a row of refresh_tokens. The token is nowhere, only its hash.
type RefreshToken struct {
	ID         string
	UserID     string
	Family     string // the login's id
	Generation int64
	Hash       string
	UsedAt     *Millis
	ExpiresAt  Millis
	CreatedAt  Millis `gorm:"autoCreateTime:false"`
}

// TableName implements gorm's Tabler.
func (RefreshToken) TableName() string { return "refresh_tokens" }

// CreateRefreshToken inserts t.
func (q Queries) CreateRefreshToken(t RefreshToken) error {
	return wrap("create refresh token", q.g.Create(&t).Error)
}

// FindRefreshToken finds by hash.
func (q Queries) FindRefreshToken(hash string) (RefreshToken, error) {
	var t RefreshToken
	err := q.g.Take(&t, "hash = ?", hash).Error
	return t, wrap("find refresh token", err)
}

// FindGeneration finds the token of a family and generation.
func (q Queries) FindGeneration(family string, generation int64) (RefreshToken, error) {
	var t RefreshToken
	err := q.g.Take(&t, "family = ? AND generation = ?", family, generation).Error
	return t, wrap("find refresh token", err)
}

// UseRefreshToken marks a token as replaced, and says whether this call did: of any number at the same time one does.
func (q Queries) UseRefreshToken(id string, now Millis) (bool, error) {
	result := q.g.Model(&RefreshToken{}).Where("id = ? AND used_at IS NULL", id).UpdateColumn("used_at", now)
	return result.RowsAffected == 1, wrap("use refresh token", result.Error)
}

// LoginFailure is a row of login_failures.
type LoginFailure struct {
	Subject      string
	Failures     int64
	BlockedUntil Millis
	ExpiresAt    Millis
}

// TableName implements gorm's Tabler.
func (LoginFailure) TableName() string { return "login_failures" }

// HoldLoginFailure reads the row of a subject, made if need be, and keeps others from it until the transaction ends.
func (q Queries) HoldLoginFailure(subject string) (LoginFailure, error) {
	f := LoginFailure{Subject: subject}
	err := q.g.Clauses(clause.OnConflict{
		Columns:   []clause.Column{{Name: "subject"}},
		DoUpdates: clause.AssignmentColumns([]string{"subject"}), // changes nothing, but locks
	}).Create(&f).Error
	if err != nil {
		return f, wrap("hold login failure", err)
	}
	err = q.g.Take(&f, "subject = ?", subject).Error
	return f, wrap("hold login failure", err)
}

// SaveLoginFailure stores what HoldLoginFailure gave.
func (q Queries) SaveLoginFailure(f LoginFailure) error {
	return one("save login failure", q.g.Model(&LoginFailure{}).Where("subject = ?", f.Subject).
		UpdateColumns(map[string]any{"failures": f.Failures, "blocked_until": f.BlockedUntil, "expires_at": f.ExpiresAt}))
}

// DeleteLoginFailures deletes those that no longer count.
func (q Queries) DeleteLoginFailures(before Millis) (int64, error) {
	gone := q.g.Where("expires_at < ?", before).Delete(&LoginFailure{})
	return gone.RowsAffected, wrap("delete login failures", gone.Error)
}

package db

import "gorm.io/gorm"

// Kinds of one-time codes.
const (
	CodePasswordReset = "password_reset"
	CodeEmailVerify   = "email_verify"
)

// OneTimeCode is a row of one_time_codes. The code is nowhere, only its hash.
type OneTimeCode struct {
	Hash      string
	UserID    string
	Kind      string
	Subject   string
	UsedAt    *Millis
	ExpiresAt Millis
	CreatedAt Millis `gorm:"autoCreateTime:false"`
}

// TableName implements gorm's Tabler.
func (OneTimeCode) TableName() string { return "one_time_codes" }

// ReplaceOneTimeCode inserts c, and lets those of the same user and kind die.
func (q Queries) ReplaceOneTimeCode(c OneTimeCode) error {
	if err := q.g.Where("user_id = ? AND kind = ?", c.UserID, c.Kind).Delete(&OneTimeCode{}).Error; err != nil {
		return wrap("delete one-time codes", err)
	}
	return wrap("create one-time code", q.g.Create(&c).Error)
}

// FindOneTimeCode finds by hash, whether it is still good or not.
func (q Queries) FindOneTimeCode(hash, kind string) (OneTimeCode, error) {
	var c OneTimeCode
	err := q.g.Take(&c, "hash = ? AND kind = ?", hash, kind).Error
	return c, wrap("find one-time code", err)
}

// UseOneTimeCode uses one up and returns it; ErrNotFound if there is none that is good.
func (q Queries) UseOneTimeCode(hash, kind string, now Millis) (OneTimeCode, error) {
	result := q.g.Model(&OneTimeCode{}).Where("hash = ? AND kind = ? AND used_at IS NULL AND expires_at > ?", hash, kind, now).UpdateColumn("used_at", now)
	if err := one("use one-time code", result); err != nil {
		return OneTimeCode{}, err
	}
	var c OneTimeCode
	err := q.g.Take(&c, "hash = ?", hash).Error
	return c, wrap("use one-time code", err)
}

// DeleteOneTimeCodes deletes those that expired before a moment.
func (q Queries) DeleteOneTimeCodes(before Millis) (int64, error) {
	gone := q.g.Where("expires_at < ?", before).Delete(&OneTimeCode{})
	return gone.RowsAffected, wrap("delete one-time codes", gone.Error)
}

// Invite is a row of invites. The code is nowhere, only its hash and last four characters.
type Invite struct {
	ID        string
	Hash      string
	Hint      string
	UsesLeft  int64
	CreatedBy *string
	ExpiresAt *Millis
	CreatedAt Millis `gorm:"autoCreateTime:false"`
}

// TableName implements gorm's Tabler.
func (Invite) TableName() string { return "invites" }

// CreateInvite inserts i.
func (q Queries) CreateInvite(i Invite) error { return wrap("create invite", q.g.Create(&i).Error) }

// UseInvite takes one use of it; ErrNotFound if there is none left.
func (q Queries) UseInvite(hash string, now Millis) error {
	return one("use invite", q.g.Model(&Invite{}).Where("hash = ? AND uses_left > 0 AND (expires_at IS NULL OR expires_at > ?)", hash, now).
		UpdateColumn("uses_left", gorm.Expr("uses_left - 1")))
}

// FindInvite finds by id.
func (q Queries) FindInvite(id string) (Invite, error) {
	var i Invite
	err := q.g.Take(&i, "id = ?", id).Error
	return i, wrap("find invite", err)
}

// ListInvites lists the newest first, with ids smaller than before ("" from the newest).
func (q Queries) ListInvites(before string, limit int) ([]Invite, error) {
	if before == "" {
		before = afterEveryID
	}
	var found []Invite
	err := q.g.Where("id < ?", before).Order("id DESC").Limit(limit).Find(&found).Error
	return found, wrap("list invites", err)
}

// DeleteInvite deletes one.
func (q Queries) DeleteInvite(id string) error {
	return one("delete invite", q.g.Where("id = ?", id).Delete(&Invite{}))
}

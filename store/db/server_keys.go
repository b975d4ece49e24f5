package db

import (
	"gorm.io/gorm/clause"
)

// ServerKey is a row of server_keys.
type ServerKey struct {
	ID         string
	Label      string
	SecretEnc  string // sealed
	Hint       string
	CreatedBy  string
	LastUsedAt *Millis
	CreatedAt  Millis `gorm:"autoCreateTime:false"`
}

// TableName implements gorm's Tabler.
func (ServerKey) TableName() string { return "server_keys" }

// CreateServerKey inserts k.
func (q Queries) CreateServerKey(k ServerKey) error {
	return wrap("create server key", q.g.Create(&k).Error)
}

// FindServerKey finds by id.
func (q Queries) FindServerKey(id string) (ServerKey, error) {
	var k ServerKey
	err := q.g.Take(&k, "id = ?", id).Error
	return k, wrap("find server key", err)
}

// ListServerKeys lists the newest first, with ids smaller than before ("" from the newest).
func (q Queries) ListServerKeys(before string, limit int) ([]ServerKey, error) {
	if before == "" {
		before = "g" // behind every id
	}
	var found []ServerKey
	err := q.g.Where("id < ?", before).Order("id DESC").Limit(limit).Find(&found).Error
	return found, wrap("list server keys", err)
}

// DeleteServerKey deletes by id. Its nonces expire by themselves.
func (q Queries) DeleteServerKey(id string) error {
	return one("delete server key", q.g.Where("id = ?", id).Delete(&ServerKey{}))
}

// TouchServerKey notes the last use.
func (q Queries) TouchServerKey(id string, now Millis) error {
	return one("touch server key", q.g.Model(&ServerKey{}).Where("id = ?", id).UpdateColumn("last_used_at", now))
}

type nonce struct {
	ServerKeyID string
	Nonce       string
	ExpiresAt   Millis
}

// TableName implements gorm's Tabler.
func (nonce) TableName() string { return "nonces" }

// UseNonce notes that a key used a number, and says whether it was new: of any number of calls at the same time it is to one.
func (q Queries) UseNonce(keyID, number string, now, expires Millis) (bool, error) {
	result := q.g.Clauses(clause.OnConflict{
		Columns:   []clause.Column{{Name: "server_key_id"}, {Name: "nonce"}},
		DoUpdates: clause.AssignmentColumns([]string{"expires_at"}),
		Where:     clause.Where{Exprs: []clause.Expression{clause.Lte{Column: clause.Column{Table: "nonces", Name: "expires_at"}, Value: now}}},
	}).Create(&nonce{ServerKeyID: keyID, Nonce: number, ExpiresAt: expires})
	return result.RowsAffected == 1, wrap("use nonce", result.Error)
}

// DeleteNonces deletes those that expired before a moment.
func (q Queries) DeleteNonces(before Millis) (int64, error) {
	gone := q.g.Where("expires_at < ?", before).Delete(&nonce{})
	return gone.RowsAffected, wrap("delete nonces", gone.Error)
}

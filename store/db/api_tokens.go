package db

// APIToken is a row of api_tokens. The token is nowhere, only its hash and last four characters.
type APIToken struct {
	ID         string
	UserID     string
	Label      string
	Hash       string
	Hint       string
	Scopes     []string `gorm:"serializer:json"`
	ExpiresAt  *Millis
	LastUsedAt *Millis
	CreatedAt  Millis `gorm:"autoCreateTime:false"`
}

// TableName implements gorm's Tabler.
func (APIToken) TableName() string { return "api_tokens" }

// CreateAPIToken inserts t.
func (q Queries) CreateAPIToken(t APIToken) error {
	return wrap("create API token", q.g.Create(&t).Error)
}

// FindAPIToken finds by hash.
func (q Queries) FindAPIToken(hash string) (APIToken, error) {
	var t APIToken
	err := q.g.Take(&t, "hash = ?", hash).Error
	return t, wrap("find API token", err)
}

// FindAPITokenOf finds one of a user by id.
func (q Queries) FindAPITokenOf(userID, id string) (APIToken, error) {
	var t APIToken
	err := q.g.Take(&t, "id = ? AND user_id = ?", id, userID).Error
	return t, wrap("find API token", err)
}

// CountAPITokens counts those of a user.
func (q Queries) CountAPITokens(userID string) (int64, error) {
	var n int64
	err := q.g.Model(&APIToken{}).Where("user_id = ?", userID).Count(&n).Error
	return n, wrap("count API tokens", err)
}

// ListAPITokens lists those of a user, newest first, with ids smaller than before ("" from the newest).
func (q Queries) ListAPITokens(userID, before string, limit int) ([]APIToken, error) {
	g := q.g.Where("user_id = ?", userID)
	if before != "" {
		g = g.Where("id < ?", before)
	}
	var found []APIToken
	err := g.Order("id DESC").Limit(limit).Find(&found).Error
	return found, wrap("list API tokens", err)
}

// DeleteAPIToken deletes one of a user.
func (q Queries) DeleteAPIToken(userID, id string) error {
	return one("delete API token", q.g.Where("id = ? AND user_id = ?", id, userID).Delete(&APIToken{}))
}

// TouchAPIToken notes the last use.
func (q Queries) TouchAPIToken(id string, now Millis) error {
	return one("touch API token", q.g.Model(&APIToken{}).Where("id = ?", id).UpdateColumn("last_used_at", now))
}

package db

// SigningKey is a row of signing_keys.
type SigningKey struct {
	ID         string // kid
	PublicKey  string
	PrivateEnc string // sealed
	SignsFrom  Millis
	ExpiresAt  *Millis // nil: the newest
	CreatedAt  Millis  `gorm:"autoCreateTime:false"`
}

// TableName implements gorm's Tabler.
func (SigningKey) TableName() string { return "signing_keys" }

// CreateSigningKey inserts k.
func (q Queries) CreateSigningKey(k SigningKey) error {
	return wrap("create signing key", q.g.Create(&k).Error)
}

// maxSigningKeys is far above what a site has that rotates its keys each hour.
const maxSigningKeys = 100

// ListSigningKeys lists those that verify at a moment, oldest first. There are two or three.
func (q Queries) ListSigningKeys(now Millis) ([]SigningKey, error) {
	var newest, older []SigningKey
	if err := q.g.Where("expires_at > ?", now).Order("expires_at").Limit(maxSigningKeys).Find(&older).Error; err != nil {
		return nil, wrap("list signing keys", err)
	}
	err := q.g.Where("expires_at IS NULL").Find(&newest).Error
	return append(older, newest...), wrap("list signing keys", err)
}

// RetireSigningKeys lets the keys that have no end yet verify until a moment.
func (q Queries) RetireSigningKeys(until Millis) error {
	return wrap("retire signing keys", q.g.Model(&SigningKey{}).Where("expires_at IS NULL").UpdateColumn("expires_at", until).Error)
}

// DeleteSigningKeys deletes those that expired before a moment.
func (q Queries) DeleteSigningKeys(before Millis) (int64, error) {
	gone := q.g.Where("expires_at < ?", before).Delete(&SigningKey{})
	return gone.RowsAffected, wrap("delete signing keys", gone.Error)
}

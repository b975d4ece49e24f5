package db

// StreamKey is a row of stream_keys. The secret is nowhere, only its hash and last four characters.
type StreamKey struct {
	ID         string
	StreamID   string
	Label      string
	Hash       string
	Hint       string
	ExpiresAt  *Millis
	RevokedAt  *Millis
	LastUsedAt *Millis
	LastIP     string
	CreatedAt  Millis `gorm:"autoCreateTime:false"`
}

// TableName implements gorm's Tabler.
func (StreamKey) TableName() string { return "stream_keys" }

// AliveAt says whether the key opens its stream at that moment, as far as it alone decides.
func (k StreamKey) AliveAt(now Millis) bool {
	return !k.Revoked(now) && !k.Expired(now)
}

// Expired says whether its time is over.
func (k StreamKey) Expired(now Millis) bool { return k.ExpiresAt != nil && *k.ExpiresAt <= now }

// Revoked says whether it was taken back. The moment may lie ahead, where a rotation left a grace.
func (k StreamKey) Revoked(now Millis) bool { return k.RevokedAt != nil && *k.RevokedAt <= now }

// CreateStreamKey inserts k.
func (q Queries) CreateStreamKey(k StreamKey) error {
	return wrap("create stream key", q.g.Create(&k).Error)
}

// FindStreamKeyByHash finds by the hash of the secret.
func (q Queries) FindStreamKeyByHash(hash string) (StreamKey, error) {
	var k StreamKey
	err := q.g.Take(&k, "hash = ?", hash).Error
	return k, wrap("find stream key", err)
}

// FindStreamKeys finds those of ids that exist, in no order.
func (q Queries) FindStreamKeys(ids []string) ([]StreamKey, error) {
	var found []StreamKey
	for len(ids) > 0 {
		n := min(len(ids), inList)
		var some []StreamKey
		if err := q.g.Find(&some, "id IN ?", ids[:n]).Error; err != nil {
			return nil, wrap("find stream keys", err)
		}
		found, ids = append(found, some...), ids[n:]
	}
	return found, nil
}

// ListStreamKeys lists the keys of a stream, oldest first, revoked and expired ones as well.
func (q Queries) ListStreamKeys(streamID string) ([]StreamKey, error) {
	var found []StreamKey
	err := q.g.Where("stream_id = ?", streamID).Order("id").Find(&found).Error
	return found, wrap("list stream keys", err)
}

// RevokeStreamKeys takes every key of the stream back from at on. A key that was to die earlier still does.
func (q Queries) RevokeStreamKeys(streamID string, at Millis) error {
	err := q.g.Model(&StreamKey{}).
		Where("stream_id = ? AND (revoked_at IS NULL OR revoked_at > ?)", streamID, at).
		UpdateColumn("revoked_at", at).Error
	return wrap("revoke stream keys", err)
}

// DeleteDeadStreamKeys deletes keys of the stream that died before the given moment.
func (q Queries) DeleteDeadStreamKeys(streamID string, before Millis) error {
	err := q.g.Where("stream_id = ? AND (revoked_at < ? OR expires_at < ?)", streamID, before, before).
		Delete(&StreamKey{}).Error
	return wrap("delete stream keys", err)
}

// TouchStreamKey notes the last use.
func (q Queries) TouchStreamKey(id string, at Millis, maskedIP string) error {
	return one("touch stream key", q.g.Model(&StreamKey{}).Where("id = ?", id).
		UpdateColumns(map[string]any{"last_used_at": at, "last_ip": maskedIP}))
}

package db

// Export is a row of exports.
type Export struct {
	ID         string
	UserID     string
	State      string
	BlobKey    string
	Bytes      int64
	FinishedAt *Millis
	ExpiresAt  *Millis
	CreatedAt  Millis `gorm:"autoCreateTime:false"`
}

// TableName implements gorm's Tabler.
func (Export) TableName() string { return "exports" }

// States of an export.
const (
	ExportQueued  = "queued"
	ExportRunning = "running"
	ExportReady   = "ready"
	ExportFailed  = "failed"
)

// CreateExport inserts e.
func (q Queries) CreateExport(e Export) error {
	return wrap("create export", q.g.Create(&e).Error)
}

// FindExport finds by id.
func (q Queries) FindExport(id string) (Export, error) {
	var e Export
	err := q.g.Take(&e, "id = ?", id).Error
	return e, wrap("find export", err)
}

// ListExports lists those of a user, the newest first, with ids smaller than before ("" from the newest).
func (q Queries) ListExports(userID, before string, limit int) ([]Export, error) {
	if before == "" {
		before = afterEveryID
	}
	var found []Export
	err := q.g.Where("user_id = ? AND id < ?", userID, before).Order("id DESC").Limit(limit).Find(&found).Error
	return found, wrap("list exports", err)
}

// SetExportState says how far an export is that is not finished; ErrNotFound if it is, or is not there any more.
func (q Queries) SetExportState(id, state string, now Millis) error {
	columns := map[string]any{"state": state}
	if state == ExportFailed {
		columns["finished_at"] = now
	}
	return one("set export", q.g.Model(&Export{}).Where("id = ? AND state IN ?", id, []string{ExportQueued, ExportRunning}).UpdateColumns(columns))
}

// FinishExport notes what an export has become; ErrNotFound if it is not being made any more.
func (q Queries) FinishExport(id, key string, bytes int64, now, expires Millis) error {
	return one("finish export", q.g.Model(&Export{}).Where("id = ? AND state IN ?", id, []string{ExportQueued, ExportRunning}).UpdateColumns(map[string]any{
		"state": ExportReady, "blob_key": key, "bytes": bytes, "finished_at": now, "expires_at": expires,
	}))
}

// DeleteExports deletes those of a user and returns where they are stored.
func (q Queries) DeleteExports(userID string) (keys []string, err error) {
	err = q.g.Model(&Export{}).Where("user_id = ? AND blob_key <> ''", userID).Pluck("blob_key", &keys).Error
	if err != nil {
		return nil, wrap("delete exports", err)
	}
	return keys, wrap("delete exports", q.g.Where("user_id = ?", userID).Delete(&Export{}).Error)
}

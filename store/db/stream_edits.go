package db

import "gorm.io/gorm"

// SaveStream stores what an owner may change of a stream, where it is still of that version; else ErrNotFound. ErrDuplicate: the slug is taken.
func (q Queries) SaveStream(s Stream, version int64, now Millis) error {
	err := one("save stream", q.stream(s.ID).Where("version = ?", version).UpdateColumns(versioned(map[string]any{
		"slug": s.Slug, "slug_norm": NormSlug(s.Slug), "title": s.Title, "description": s.Description, "category": s.Category, "language": s.Language,
		"visibility": s.Visibility, "mature": s.Mature, "latency": s.Latency, "record": s.Record, "replay_visibility": s.ReplayVisibility,
		"dvr_s": s.DVRS, "resume_window_s": s.ResumeWindowS, "max_viewers": s.MaxViewers,
		"policy_epoch":      gorm.Expr("policy_epoch + CASE WHEN visibility = ? THEN 0 ELSE 1 END", s.Visibility),
		"publish_protocols": s.PublishProtocols, "publish_max_bitrate_bps": s.PublishMaxBitrateBPS,
	}, now)))
	if err != nil {
		return err
	}
	if err := q.g.Set(rowOf, s.ID).Where("stream_id = ?", s.ID).Delete(&StreamTag{}).Error; err != nil {
		return wrap("save stream: tags", err)
	}
	return q.createTags(s)
}

// DeleteStream takes a stream away from everyone: it is found no more, nobody publishes to it, its keys are dead, and
// it is forwarded nowhere.
func (q Queries) DeleteStream(id string, now Millis) error {
	columns := map[string]any{"deleted_at": now, "disabled_at": now, "disabled_reason": "", "policy_epoch": nextEpoch()}
	if err := one("delete stream", q.updateStream(id, columns, now)); err != nil {
		return err
	}
	if err := q.g.Where("stream_id = ?", id).Delete(&StreamForward{}).Error; err != nil {
		return wrap("delete stream: forwards", err)
	}
	return q.RevokeStreamKeys(id, now)
}

// ListStreamsOf lists the streams of an owner, the newest first, from a smaller id than before on; "": from the newest.
func (q Queries) ListStreamsOf(owner, before string, limit int) ([]Stream, error) {
	if before == "" {
		before = afterEveryID
	}
	var found []Stream
	err := q.g.Where("owner_id = ? AND id < ? AND deleted_at IS NULL", owner, before).Order("id DESC").Limit(limit).Find(&found).Error
	if err != nil {
		return nil, wrap("list streams", err)
	}
	return found, q.loadTags(found)
}

// ListKeysOf lists the keys of up to 100 streams, by stream and the oldest first, dead ones as well.
func (q Queries) ListKeysOf(streamIDs []string) ([]StreamKey, error) {
	var found []StreamKey
	err := q.g.Where("stream_id IN ?", streamIDs).Order("stream_id, id").Find(&found).Error
	return found, wrap("list stream keys", err)
}

// RevokeStreamKey takes back one key of a stream that is not dead at that moment; else ErrNotFound.
func (q Queries) RevokeStreamKey(streamID, id string, at Millis) error {
	return one("revoke stream key", q.g.Model(&StreamKey{}).
		Where("id = ? AND stream_id = ? AND (revoked_at IS NULL OR revoked_at > ?) AND (expires_at IS NULL OR expires_at > ?)", id, streamID, at, at).
		UpdateColumn("revoked_at", at))
}

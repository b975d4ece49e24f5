package db

import (
	"encoding/json"
	"fmt"
)

// Usage is what a user has of what is limited.
type Usage struct {
	StorageBytes int64 // what is stored of replays, clips and uploads that are not deleted
	UploadsToday int64
	Streams      int64
	APITokens    int64
}

// UsageOf counts; day is when today began.
func (q Queries) UsageOf(userID string, day Millis) (Usage, error) {
	var u Usage
	// A replay takes what its recording does: more than is shown of it.
	err := q.g.Table("videos v").Joins("LEFT JOIN recordings r ON r.session_id = v.session_id AND r.first_msn = v.first_msn").
		Select("CAST(COALESCE(SUM(CASE WHEN v.deleted_at IS NOT NULL THEN 0 WHEN v.kind = 'replay' AND r.bytes > v.bytes THEN r.bytes ELSE v.bytes END), 0) "+
			"AS BIGINT) AS storage_bytes, "+
			"CAST(COALESCE(SUM(CASE WHEN v.kind = 'upload' AND v.created_at >= ? THEN 1 ELSE 0 END), 0) AS BIGINT) AS uploads_today, "+
			"(SELECT count(*) FROM streams WHERE owner_id = ? AND deleted_at IS NULL) AS streams, "+
			"(SELECT count(*) FROM api_tokens WHERE user_id = ?) AS api_tokens", day, userID, userID).
		Where("v.owner_id = ?", userID).Take(&u).Error
	return u, wrap("usage of a user", err)
}

// SetLimits stores what an admin allows.
func (q Queries) SetLimits(id string, l Limits, now Millis) error {
	text, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("db: limits: %w", err)
	}
	return one("set limits", q.updateUser(id, map[string]any{"limits": string(text)}, now))
}

// SetAvatar stores the name of a picture; "" is none.
func (q Queries) SetAvatar(id, name string, now Millis) error {
	return one("set avatar", q.updateUser(id, map[string]any{"avatar": name}, now))
}

// SetBanner is SetAvatar for the wide picture.
func (q Queries) SetBanner(id, name string, now Millis) error {
	return one("set banner", q.updateUser(id, map[string]any{"banner": name}, now))
}

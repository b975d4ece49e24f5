package db

import (
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// Mark is a row of watch_history: where a user left a video.
type Mark struct {
	UserID     string
	VideoID    string
	PositionMS int64  `gorm:"column:position_ms"`
	UpdatedAt  Millis `gorm:"autoUpdateTime:false"`
}

// TableName implements gorm's Tabler.
func (Mark) TableName() string { return "watch_history" }

// WatchLater is a row of watch_later.
type WatchLater struct {
	UserID    string
	VideoID   string
	CreatedAt Millis `gorm:"autoCreateTime:false"`
}

// TableName implements gorm's Tabler.
func (WatchLater) TableName() string { return "watch_later" }

// SaveMarks inserts marks or moves those that are there and no newer. Each is of another user or video.
func (q Queries) SaveMarks(marks []Mark) error {
	err := q.g.Clauses(clause.OnConflict{
		Columns:   []clause.Column{{Name: "user_id"}, {Name: "video_id"}},
		DoUpdates: clause.AssignmentColumns([]string{"position_ms", "updated_at"}),
		Where:     clause.Where{Exprs: []clause.Expression{clause.Expr{SQL: "watch_history.updated_at <= excluded.updated_at"}}},
	}).Create(&marks).Error
	return wrap("save marks", err)
}

// FindMarks finds those of a user at up to 100 videos.
func (q Queries) FindMarks(userID string, videoIDs []string) ([]Mark, error) {
	var found []Mark
	err := q.g.Find(&found, "user_id = ? AND video_id IN ?", userID, videoIDs).Error
	return found, wrap("find marks", err)
}

// ListMarks lists those of a user behind a position, whose ids are of videos, the newest first.
func (q Queries) ListMarks(userID string, after Related, limit int) ([]Mark, error) {
	after = behind(after)
	var found []Mark
	err := q.g.Where("user_id = ? AND (updated_at, video_id) < (?, ?)", userID, after.At, after.ID).Order("updated_at DESC, video_id DESC").Limit(limit).Find(&found).Error
	return found, wrap("list marks", err)
}

// DeleteMark deletes one, where it is there.
func (q Queries) DeleteMark(userID, videoID string) error {
	return wrap("delete mark", q.g.Where("user_id = ? AND video_id = ?", userID, videoID).Delete(&Mark{}).Error)
}

// DeleteMarks deletes all of a user but the newest so many.
func (q Queries) DeleteMarks(userID string, keep int) error {
	var at []Millis
	err := q.g.Model(&Mark{}).Where("user_id = ?", userID).Order("updated_at DESC").Offset(keep).Limit(1).Pluck("updated_at", &at).Error
	if err != nil || len(at) == 0 {
		return wrap("delete marks", err)
	}
	return wrap("delete marks", q.g.Where("user_id = ? AND updated_at <= ?", userID, at[0]).Delete(&Mark{}).Error)
}

// AddWatchLater inserts w, where it is not there.
func (q Queries) AddWatchLater(w WatchLater) error {
	return wrap("add to watch later", q.g.Clauses(clause.OnConflict{DoNothing: true}).Create(&w).Error)
}

// RemoveWatchLater deletes the row, where there is one.
func (q Queries) RemoveWatchLater(userID, videoID string) error {
	return wrap("remove from watch later", q.g.Where("user_id = ? AND video_id = ?", userID, videoID).Delete(&WatchLater{}).Error)
}

// FindWatchLater finds which of up to 100 videos a user wants to watch later.
func (q Queries) FindWatchLater(userID string, videoIDs []string) ([]WatchLater, error) {
	var found []WatchLater
	err := q.g.Find(&found, "user_id = ? AND video_id IN ?", userID, videoIDs).Error
	return found, wrap("find in watch later", err)
}

// CountWatchLater counts what a user wants to watch later.
func (q Queries) CountWatchLater(userID string) (int64, error) {
	var n int64
	err := q.g.Model(&WatchLater{}).Where("user_id = ?", userID).Count(&n).Error
	return n, wrap("count watch later", err)
}

// ListWatchLater lists it behind a position, whose ids are of videos, the newest first.
func (q Queries) ListWatchLater(userID string, after Related, limit int) ([]WatchLater, error) {
	after = behind(after)
	var found []WatchLater
	err := q.g.Where("user_id = ? AND (created_at, video_id) < (?, ?)", userID, after.At, after.ID).Order("created_at DESC, video_id DESC").Limit(limit).Find(&found).Error
	return found, wrap("list watch later", err)
}

// FindVideos finds up to 500 by id, in any order, deleted ones as well.
func (q Queries) FindVideos(ids []string) ([]Video, error) {
	var found []Video
	err := q.g.Find(&found, "id IN ?", ids).Error
	return found, wrap("find videos", err)
}

// ForgetWatching deletes what a user has watched and wants to watch, and takes them off their plays. Views stay, and do not name them.
func (q Queries) ForgetWatching(userID string) error {
	for _, rows := range []any{&Mark{}, &WatchLater{}} {
		if err := q.g.Where("user_id = ?", userID).Delete(rows).Error; err != nil {
			return wrap("forget watching", err)
		}
	}
	return wrap("forget watching", q.g.Model(&Play{}).Where("user_id = ?", userID).UpdateColumn("user_id", nil).Error)
}

// behind is a position in a list that begins with the newest.
func behind(after Related) Related {
	if after.ID == "" {
		return Related{ID: afterEveryID, At: maxMillis}
	}
	return after
}

// removeWatching deletes what people have had to do with a video.
func removeWatching(g *gorm.DB, videoID string) error {
	for _, rows := range []any{&View{}, &Mark{}, &WatchLater{}} {
		if err := g.Where("video_id = ?", videoID).Delete(rows).Error; err != nil {
			return err
		}
	}
	return nil
}

package db

import (
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// What is played.
const (
	PlayVideo  = "video"
	PlayStream = "stream"
)

// Play is a row of plays: what a player tells of itself.
type Play struct {
	ID            string
	Kind          string
	TargetID      string
	UserID        *string // nil: nobody who is signed in
	ViewerKey     string
	PrefixKey     string
	SessionID     string
	Player        string
	Referrer      string
	State         string
	PositionMS    int64 `gorm:"column:position_ms"`
	WatchedMS     int64 `gorm:"column:watched_ms"`
	Stalls        int64
	StallMS       int64 `gorm:"column:stall_ms"`
	DroppedFrames int64
	LatencyMS     *int64 `gorm:"column:latency_ms"`
	StartupMS     *int64 `gorm:"column:startup_ms"`
	Rendition     string
	BitrateBPS    int64 `gorm:"column:bitrate_bps"`
	Judged        bool
	CreatedAt     Millis `gorm:"autoCreateTime:false"`
	UpdatedAt     Millis `gorm:"autoUpdateTime:false"`
}

// TableName implements gorm's Tabler.
func (Play) TableName() string { return "plays" }

// View is a row of views.
type View struct {
	VideoID   string
	ViewerKey string
	Bucket    int64
	PrefixKey string
	At        Millis
}

// TableName implements gorm's Tabler.
func (View) TableName() string { return "views" }

// CreatePlay inserts p.
func (q Queries) CreatePlay(p Play) error { return wrap("create play", q.g.Create(&p).Error) }

// FindPlay finds by id.
func (q Queries) FindPlay(id string) (Play, error) {
	var p Play
	err := q.g.Take(&p, "id = ?", id).Error
	return p, wrap("find play", err)
}

// FindPlays finds up to 500 by id, in any order.
func (q Queries) FindPlays(ids []string) ([]Play, error) {
	var found []Play
	err := q.g.Find(&found, "id IN ?", ids).Error
	return found, wrap("find plays", err)
}

// SavePlays stores what beats have changed of up to 500 plays that are there.
func (q Queries) SavePlays(plays []Play) error {
	err := q.g.Clauses(clause.OnConflict{
		Columns: []clause.Column{{Name: "id"}},
		DoUpdates: clause.AssignmentColumns([]string{
			"session_id", "state", "position_ms", "watched_ms", "stalls", "stall_ms", "dropped_frames", "latency_ms", "startup_ms", "rendition",
			"bitrate_bps", "judged", "updated_at",
		}),
	}).Create(&plays).Error
	return wrap("save plays", err)
}

// WatchedBefore says whether a viewer has a play of a broadcast.
func (q Queries) WatchedBefore(sessionID, viewerKey string) (bool, error) {
	return anyRow("find play", q.g.Model(&Play{}).Where("session_id = ? AND viewer_key = ?", sessionID, viewerKey), "id")
}

// anyRow says whether there is one.
func anyRow(op string, g *gorm.DB, column string) (bool, error) {
	var some []string
	err := g.Limit(1).Pluck(column, &some).Error
	return len(some) > 0, wrap(op, err)
}

// Viewed says whether a viewer has had a view of a video after a moment, in one of two buckets.
func (q Queries) Viewed(v View, after Millis) (bool, error) {
	return anyRow("find view", q.g.Model(&View{}).
		Where("video_id = ? AND viewer_key = ? AND bucket IN ? AND at > ?", v.VideoID, v.ViewerKey, []int64{v.Bucket - 1, v.Bucket}, after), "video_id")
}

// CountViewsFrom counts the views that a video has had from a network after a moment.
func (q Queries) CountViewsFrom(videoID, prefixKey string, after Millis) (int64, error) {
	var n int64
	err := q.g.Model(&View{}).Where("video_id = ? AND prefix_key = ? AND prefix_key <> '' AND at > ?", videoID, prefixKey, after).Count(&n).Error
	return n, wrap("count views", err)
}

// CreateView inserts v and counts it at its video. made is false where it is there already, which changes nothing.
func (q Queries) CreateView(v View) (made bool, err error) {
	result := q.g.Clauses(clause.OnConflict{DoNothing: true}).Create(&v)
	if result.Error != nil || result.RowsAffected == 0 {
		return false, wrap("create view", result.Error)
	}
	return true, one("count view", q.g.Model(&Video{}).Where("id = ?", v.VideoID).UpdateColumn("views", gorm.Expr("views + 1")))
}

// Watched is what is known of those who watched a broadcast, or what is added to that.
type Watched struct {
	Peak    int   // there were so many at a time
	Viewers int   // who told that they watch
	MS      int64 // that they have watched
}

// FindWatched tells what is known of those who watched a session.
func (q Queries) FindWatched(sessionID string) (Watched, error) {
	var s Session
	err := q.g.Select("peak_viewers", "unique_viewers", "watch_ms").Take(&s, "id = ?", sessionID).Error
	return Watched{s.PeakViewers, s.UniqueViewers, s.WatchMS}, wrap("find watched", err)
}

// AddWatched adds to a session. Nothing where there is no such row.
func (q Queries) AddWatched(sessionID string, w Watched) error {
	return wrap("add watched", q.g.Model(&Session{}).Where("id = ?", sessionID).UpdateColumns(map[string]any{
		"peak_viewers": gorm.Expr("CASE WHEN peak_viewers < ? THEN ? ELSE peak_viewers END", w.Peak, w.Peak), "unique_viewers": gorm.Expr("unique_viewers + ?", w.Viewers),
		"watch_ms": gorm.Expr("watch_ms + ?", w.MS),
	}).Error)
}

// DeletePlays deletes plays that had their last beat before a moment, the oldest first, some hundreds of them. more says that there may be more.
func (q Queries) DeletePlays(before Millis) (gone int64, more bool, err error) {
	until, err := q.nth("plays", "updated_at", "updated_at < ?", before)
	if err != nil {
		return 0, false, wrap("delete plays", err)
	}
	some := q.g.Where("updated_at < ? AND updated_at <= ?", before, until).Delete(&Play{})
	return some.RowsAffected, until < before, wrap("delete plays", some.Error)
}

// UntraceViews forgets from which networks views before a moment came, the oldest first, some hundreds of them. more says that there may be more.
func (q Queries) UntraceViews(before Millis) (changed int64, more bool, err error) {
	until, err := q.nth("views", "at", "prefix_key <> '' AND at < ?", before)
	if err != nil {
		return 0, false, wrap("untrace views", err)
	}
	some := q.g.Model(&View{}).Where("prefix_key <> '' AND at < ? AND at <= ?", before, until).UpdateColumn("prefix_key", "")
	return some.RowsAffected, until < before, wrap("untrace views", some.Error)
}

// nth is the moment of a row that so many are in front of as one statement may change, or a late one where there are fewer.
func (q Queries) nth(table, column, where string, before Millis) (Millis, error) {
	const some = 500
	var at []Millis
	err := q.g.Table(table).Where(where, before).Order(column).Offset(some).Limit(1).Pluck(column, &at).Error
	if err != nil || len(at) == 0 {
		return before, err
	}
	return at[0], nil
}

package db

import (
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// The kinds of videos.
const (
	KindReplay = "replay"
	KindClip   = "clip"
)

// The states of videos that are used yet.
const (
	VideoProcessing = "processing" // it is being made
	VideoReady      = "ready"      // it can be played
)

// The states of a video's thumbnail and storyboard.
const (
	PicturesWanted = ""     // they are still to be made
	PicturesMade   = "made" // they are in the blob store
	PicturesNone   = "none" // there is nothing that they could be made of
)

// Video is a row of videos.
type Video struct {
	ID          string
	Kind        string
	OwnerID     string
	ChannelID   *string // of a clip out of another's broadcast: whose that is; its followers are the clip's
	StreamID    *string
	SessionID   *string
	FirstMSN    int64  `gorm:"column:first_msn"` // of a replay: the numbers of its stretch of the session, as its Recording has them
	LastMSN     int64  `gorm:"column:last_msn"`  // 0 is LastMSN where it is inserted
	FromNS      *int64 `gorm:"column:from_ns"`   // the stretch of the session, program dates in unix nanoseconds; of a whole session nil
	ToNS        *int64 `gorm:"column:to_ns"`
	Title       string
	Description string
	Category    string
	Language    string
	Visibility  string
	Widest      string // of such a clip: the widest visibility that it may have
	// KeptVisibility is what comes back if who is leaving does; "": nobody is.
	KeptVisibility string
	PolicyEpoch    int64 // rises with each change of who may watch
	Mature         bool
	State          string
	DurationMS     int64 `gorm:"column:duration_ms"`
	Width          int
	Height         int
	Bytes          int64
	Pictures       string
	Views          int64 // rows of views
	PublishedAt    *Millis
	DeletedAt      *Millis
	CreatedAt      Millis `gorm:"autoCreateTime:false"`
	UpdatedAt      Millis `gorm:"autoUpdateTime:false"`
	Version        int64
}

// TableName implements gorm's Tabler.
func (Video) TableName() string { return "videos" }

// InsertReplay inserts the replay of a session's stretch, unless there is one, and reports whether it did.
func (q Queries) InsertReplay(v Video) (bool, error) {
	v.Kind = KindReplay
	v.whole()
	result := q.g.Clauses(clause.OnConflict{DoNothing: true}).Create(&v)
	return result.RowsAffected > 0, wrap("insert replay", result.Error)
}

// whole lets a video whose stretch has no end be of all that follows.
func (v *Video) whole() {
	if v.LastMSN == 0 {
		v.LastMSN = LastMSN
	}
}

// InsertVideo inserts v.
func (q Queries) InsertVideo(v Video) error {
	v.whole()
	return wrap("insert video", q.g.Create(&v).Error)
}

// FindVideo finds by id, what is deleted as well.
func (q Queries) FindVideo(id string) (Video, error) {
	var v Video
	err := q.g.Take(&v, "id = ?", id).Error
	return v, wrap("find video", err)
}

// FindReplay finds the replay of a session's stretch by the stretch's first number, what is deleted as well.
func (q Queries) FindReplay(sessionID string, firstMSN int64) (Video, error) {
	var v Video
	err := q.g.Take(&v, "session_id = ? AND first_msn = ? AND kind = 'replay'", sessionID, firstMSN).Error
	return v, wrap("find replay", err)
}

// ListReplays lists the replays of sessions by session and stretch, what is deleted as well.
func (q Queries) ListReplays(sessionIDs []string) ([]Video, error) {
	var found []Video
	for len(sessionIDs) > 0 {
		n := min(len(sessionIDs), inList)
		var some []Video
		err := q.g.Where("session_id IN ? AND kind = 'replay'", sessionIDs[:n]).Order("session_id, first_msn").Find(&some).Error
		if err != nil {
			return nil, wrap("list replays", err)
		}
		found = append(found, some...)
		sessionIDs = sessionIDs[n:]
	}
	return found, nil
}

// VideoFilter narrows a list of videos, by one of Listed, StreamID and OwnerID at least. Zero values do not narrow.
type VideoFilter struct {
	// Listed leaves only what everyone finds in lists: public and ready.
	Listed   bool
	StreamID string
	OwnerID  string
	// Before is the id after which the list goes on: it holds smaller, that is older, ids.
	Before string
}

// ListClipsOf lists the clips of a stream that can be watched and have one of visibilities, the newest first, with ids smaller than before; "": from
// the newest.
func (q Queries) ListClipsOf(streamID string, visibilities []string, before string, limit int) ([]Video, error) {
	if before == "" {
		before = afterEveryID
	}
	var found []Video
	err := q.g.Where("stream_id = ? AND id < ? AND kind = 'clip' AND deleted_at IS NULL AND state = 'ready' AND visibility IN ?", streamID, before, visibilities).
		Order("id DESC").Limit(limit).Find(&found).Error
	return found, wrap("list clips of a stream", err)
}

// CountClips counts those that a user has cut out of the broadcasts of others, no further than most.
func (q Queries) CountClips(owner string, most int) (int, error) {
	var found []string
	err := q.g.Model(&Video{}).Where("owner_id = ? AND kind = 'clip' AND deleted_at IS NULL AND channel_id IS NOT NULL", owner).Limit(most).Pluck("id", &found).Error
	return len(found), wrap("count clips", err)
}

// SaveVideo stores what an owner may change of a video, where it is still of that version; else ErrNotFound.
func (q Queries) SaveVideo(v Video, version int64, now Millis) error {
	return one("save video", q.g.Model(&Video{}).Where("id = ? AND version = ? AND deleted_at IS NULL", v.ID, version).UpdateColumns(versioned(map[string]any{
		"title": v.Title, "description": v.Description, "mature": v.Mature, "visibility": v.Visibility,
		"policy_epoch": gorm.Expr("policy_epoch + CASE WHEN visibility = ? THEN 0 ELSE 1 END", v.Visibility),
	}, now)))
}

// ListVideos lists the newest first, without what is deleted.
func (q Queries) ListVideos(f VideoFilter, limit int) ([]Video, error) {
	g := q.g.Where("deleted_at IS NULL")
	switch {
	case f.StreamID != "":
		g = g.Where("stream_id = ?", f.StreamID)
	case f.OwnerID != "":
		g = g.Where("owner_id = ?", f.OwnerID)
	}
	if f.Listed {
		g = g.Where("visibility = 'public' AND state = 'ready'")
	}
	if f.Before != "" {
		g = g.Where("id < ?", f.Before)
	}
	var found []Video
	err := g.Order("id DESC").Limit(limit).Find(&found).Error
	return found, wrap("list videos", err)
}

// ListClips lists the clips of a session, those that are deleted left out.
func (q Queries) ListClips(sessionID string) ([]Video, error) {
	var found []Video
	err := q.g.Where("session_id = ? AND kind = 'clip' AND deleted_at IS NULL", sessionID).Find(&found).Error
	return found, wrap("list clips", err)
}

// ListReadyClips lists all clips that can be watched, oldest first, behind the one of that id.
func (q Queries) ListReadyClips(after string, limit int) ([]Video, error) {
	var found []Video
	err := q.g.Where("deleted_at IS NULL AND id > ? AND kind = 'clip' AND state = 'ready'", after).Order("id").Limit(limit).Find(&found).Error
	return found, wrap("list ready clips", err)
}

// ListGoneClips lists the clips that were deleted before a moment, and those whose making was begun before another and never ended.
func (q Queries) ListGoneClips(deleted, begun Millis, limit int) ([]Video, error) {
	var found []Video
	err := q.g.Where("kind = 'clip' AND deleted_at < ?", deleted).Order("deleted_at").Limit(limit).Find(&found).Error
	if err != nil {
		return nil, wrap("list deleted clips", err)
	}
	var left []Video
	err = q.g.Where("kind = 'clip' AND state = 'processing' AND deleted_at IS NULL AND created_at < ?", begun).Limit(limit).Find(&left).Error
	return append(found, left...), wrap("list unfinished clips", err)
}

// RemoveClip deletes a clip with its rows of segments and tracks, and what people have had to do with it.
func (q Queries) RemoveClip(id string) error {
	for _, rows := range []any{&Segment{}, &SessionTrack{}} {
		if err := q.g.Where("session_id = ?", id).Delete(rows).Error; err != nil {
			return wrap("remove clip", err)
		}
	}
	if err := removeWatching(q.g, id); err != nil {
		return wrap("remove clip", err)
	}
	return wrap("remove clip", q.g.Where("id = ? AND kind = 'clip'", id).Delete(&Video{}).Error)
}

// ListDeletedReplays lists the replays that were deleted before a moment and whose media is still there, of those that a node keeps; "": of all.
func (q Queries) ListDeletedReplays(node string, before Millis, limit int) ([]Video, error) {
	var found []Video
	// CROSS keeps SQLite from beginning with all recordings.
	g := q.g.Joins("CROSS JOIN recordings").
		Where("recordings.session_id = videos.session_id AND recordings.first_msn = videos.first_msn AND recordings.state = 'made'")
	if node != "" {
		g = g.Where("recordings.node = ?", node)
	}
	err := g.Where("videos.deleted_at < ? AND videos.kind = 'replay'", before).Order("videos.deleted_at").Limit(limit).Find(&found).Error
	return found, wrap("list deleted replays", err)
}

// FinishClip notes what a clip that was being made turned out to be, and lets it be seen: of v its stretch, length, size and
// bytes, and who may see it. If HideWorks hid it meanwhile it stays so, and who may see it then is what comes back.
// ErrNotFound if it is not being made any more.
func (q Queries) FinishClip(v Video, now Millis) error {
	kept := v.KeptVisibility
	if kept == "" {
		kept = v.Visibility
	}
	return one("finish clip", q.g.Model(&Video{}).Where("id = ? AND kind = 'clip' AND state = 'processing' AND deleted_at IS NULL", v.ID).
		UpdateColumns(versioned(map[string]any{
			"state": VideoReady, "from_ns": v.FromNS, "to_ns": v.ToNS, "duration_ms": v.DurationMS, "width": v.Width, "height": v.Height,
			"bytes": v.Bytes, "published_at": now, "widest": v.Widest,
			"visibility":      gorm.Expr("CASE WHEN kept_visibility <> '' THEN visibility ELSE ? END", v.Visibility),
			"kept_visibility": gorm.Expr("CASE WHEN kept_visibility <> '' THEN ? ELSE ? END", kept, v.KeptVisibility),
		}, now)))
}

// SetMedia notes how long a video is and what its media takes, where some of that was lost.
func (q Queries) SetMedia(id string, durationMS, bytes int64, now Millis) error {
	return one("set media", q.g.Model(&Video{}).Where("id = ?", id).
		UpdateColumns(versioned(map[string]any{"duration_ms": durationMS, "bytes": bytes}, now)))
}

// DeleteVideo lets nobody see a video any more.
func (q Queries) DeleteVideo(id string, now Millis) error {
	return one("delete video", q.g.Model(&Video{}).Where("id = ? AND deleted_at IS NULL", id).
		UpdateColumns(versioned(map[string]any{"deleted_at": now, "policy_epoch": nextEpoch()}, now)))
}

// ListChangedVideos lists replays and clips, what is deleted as well, in the order in which they were changed last: those behind the one of an
// id that was changed at a moment.
func (q Queries) ListChangedVideos(at Millis, id string, limit int) ([]Video, error) {
	var found []Video
	err := q.g.Where("kind IN ('replay', 'clip') AND (updated_at, id) > (?, ?)", at, id).Order("updated_at, id").Limit(limit).Find(&found).Error
	return found, wrap("list changed videos", err)
}

// ListWithoutPictures lists replays and clips whose pictures are wanted, oldest first, after the one of that id.
func (q Queries) ListWithoutPictures(after string, limit int) ([]Video, error) {
	var found []Video
	err := q.g.Where("pictures = '' AND kind IN ('replay', 'clip') AND state = 'ready' AND deleted_at IS NULL AND id > ?", after).
		Order("id").Limit(limit).Find(&found).Error
	return found, wrap("list videos without pictures", err)
}

// SetPictures notes what has become of a video's pictures.
func (q Queries) SetPictures(id, state string, now Millis) error {
	return one("set pictures", q.g.Model(&Video{}).Where("id = ?", id).
		UpdateColumns(versioned(map[string]any{"pictures": state}, now)))
}

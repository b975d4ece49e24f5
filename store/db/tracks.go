package db

import (
	"gorm.io/gorm/clause"
)

// SessionTrack is a row of session_tracks: how a rendition's segments of one epoch are decoded.
type SessionTrack struct {
	SessionID string
	Rendition string
	Epoch     int64
	Kind      string // video or audio
	Codec     string // its name, as h264
	Config    []byte // the codec's decoder configuration
	Init      []byte // the init segment
}

// TableName implements gorm's Tabler.
func (SessionTrack) TableName() string { return "session_tracks" }

// InsertTracks inserts rows that are not there yet. Within an epoch a rendition has one init segment, so a row that is there
// is the same one, sent again.
func (q Queries) InsertTracks(rows []SessionTrack) error {
	if len(rows) == 0 {
		return nil
	}
	err := q.g.Clauses(clause.OnConflict{DoNothing: true}).CreateInBatches(rows, segmentBatch).Error
	return wrap("insert tracks", err)
}

// ListTracks lists those of a session by rendition and epoch.
func (q Queries) ListTracks(sessionID string) ([]SessionTrack, error) {
	var found []SessionTrack
	err := q.g.Where("session_id = ?", sessionID).Order("rendition, epoch").Find(&found).Error
	return found, wrap("list tracks", err)
}

// ListTracksOf lists those of a session's epochs from one to another, by rendition and epoch.
func (q Queries) ListTracksOf(sessionID string, from, to int64) ([]SessionTrack, error) {
	var found []SessionTrack
	err := q.g.Where("session_id = ? AND epoch BETWEEN ? AND ?", sessionID, from, to).Order("rendition, epoch").Find(&found).Error
	return found, wrap("list tracks of epochs", err)
}

// SessionRendition is one of a session's renditions.
type SessionRendition struct{ Rendition, Kind string }

// ListRenditions lists the renditions of a session, or of a clip, by name.
func (q Queries) ListRenditions(sessionID string) ([]SessionRendition, error) {
	var found []SessionRendition
	err := q.g.Model(&SessionTrack{}).Select("rendition, MIN(kind) AS kind").Where("session_id = ?", sessionID).Group("rendition").Order("rendition").Find(&found).Error
	return found, wrap("list renditions", err)
}

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

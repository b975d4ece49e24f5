package db

import (
	"gorm.io/gorm/clause"
)

// The states of recordings.
const (
	RecordingRunning    = "running"    // the session is on air, or may come back
	RecordingEnded      = "ended"      // it is over, and its replay is still to be made
	RecordingMade       = "made"       // there is a replay
	RecordingEmpty      = "empty"      // nothing of it can be played
	RecordingUnrecorded = "unrecorded" // its files are not kept; its rows are there
	RecordingDeleting   = "deleting"   // what nobody uses of it goes
)

// Recording is a row of recordings: what is stored of a session.
type Recording struct {
	SessionID string
	StreamID  string
	State     string
	Bytes     int64
	Evicted   bool   // nothing of it is on the local disk any more
	UpdatedAt Millis `gorm:"autoUpdateTime:false"`
}

// TableName implements gorm's Tabler.
func (Recording) TableName() string { return "recordings" }

// BeginRecording inserts the recording of a session in the state running or unrecorded, unless it has one: a session that
// goes on after a restart.
func (q Queries) BeginRecording(r Recording) error {
	return wrap("begin recording", q.g.Clauses(clause.OnConflict{DoNothing: true}).Create(&r).Error)
}

// FindRecording finds by session.
func (q Queries) FindRecording(sessionID string) (Recording, error) {
	var r Recording
	err := q.g.Take(&r, "session_id = ?", sessionID).Error
	return r, wrap("find recording", err)
}

// SetRecording changes the state of a recording.
func (q Queries) SetRecording(sessionID, state string, now Millis) error {
	return one("set recording", q.g.Model(&Recording{}).Where("session_id = ?", sessionID).
		UpdateColumns(map[string]any{"state": state, "updated_at": now}))
}

// WeighRecording notes how many bytes of media a recording has.
func (q Queries) WeighRecording(sessionID string, bytes int64) error {
	return one("weigh recording", q.g.Model(&Recording{}).Where("session_id = ?", sessionID).
		UpdateColumns(map[string]any{"bytes": bytes}))
}

// SetEvicted notes that nothing of a recording is on the local disk any more.
func (q Queries) SetEvicted(sessionID string) error {
	return one("evict recording", q.g.Model(&Recording{}).Where("session_id = ?", sessionID).
		UpdateColumns(map[string]any{"evicted": true}))
}

// ListRecordings lists those of a state, oldest first, after the session of that id.
func (q Queries) ListRecordings(state, after string, limit int) ([]Recording, error) {
	var found []Recording
	err := q.g.Where("state = ? AND session_id > ?", state, after).Order("session_id").Limit(limit).Find(&found).Error
	return found, wrap("list recordings", err)
}

// DeleteRecording deletes a recording with its rows of tracks.
func (q Queries) DeleteRecording(sessionID string) error {
	if err := q.g.Where("session_id = ?", sessionID).Delete(&SessionTrack{}).Error; err != nil {
		return wrap("delete tracks", err)
	}
	return wrap("delete recording", q.g.Where("session_id = ?", sessionID).Delete(&Recording{}).Error)
}

// ListRecordingsOf lists those of a stream, oldest first, after the session of that id.
func (q Queries) ListRecordingsOf(streamID, after string, limit int) ([]Recording, error) {
	var found []Recording
	err := q.g.Where("stream_id = ? AND session_id > ?", streamID, after).Order("session_id").Limit(limit).Find(&found).Error
	return found, wrap("list recordings of a stream", err)
}

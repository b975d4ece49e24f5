package db

import (
	"gorm.io/gorm/clause"
)

// The states of recordings.
const (
	RecordingRunning = "running" // the session is on air, or may come back
	RecordingEnded   = "ended"   // it is over, and its replay is still to be made
	RecordingMade    = "made"    // there is a replay
	RecordingEmpty   = "empty"   // nothing of it can be played
)

// Recording is a row of recordings: a session whose files are kept.
type Recording struct {
	SessionID string
	StreamID  string
	State     string
	UpdatedAt Millis `gorm:"autoUpdateTime:false"`
}

// TableName implements gorm's Tabler.
func (Recording) TableName() string { return "recordings" }

// BeginRecording inserts a running recording, unless the session has one: a session that goes on after a restart.
func (q Queries) BeginRecording(sessionID, streamID string, now Millis) error {
	r := Recording{SessionID: sessionID, StreamID: streamID, State: RecordingRunning, UpdatedAt: now}
	return wrap("begin recording", q.g.Clauses(clause.OnConflict{DoNothing: true}).Create(&r).Error)
}

// SetRecording changes the state of a recording.
func (q Queries) SetRecording(sessionID, state string, now Millis) error {
	return one("set recording", q.g.Model(&Recording{}).Where("session_id = ?", sessionID).
		UpdateColumns(map[string]any{"state": state, "updated_at": now}))
}

// ListRecordings lists those of a state, oldest first, after the session of that id.
func (q Queries) ListRecordings(state, after string, limit int) ([]Recording, error) {
	var found []Recording
	err := q.g.Where("state = ? AND session_id > ?", state, after).Order("session_id").Limit(limit).Find(&found).Error
	return found, wrap("list recordings", err)
}

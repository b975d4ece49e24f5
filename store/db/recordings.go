package db

import (
	"errors"
	"math"

	"gorm.io/gorm"
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

// LastMSN is the last number of a stretch that ends with its session.
const LastMSN = math.MaxInt64

// Recording is a row of recordings: what is stored of a session, or of a stretch of one that lasts. A session's stretches follow each
// other without a gap between their numbers; the last one, and it alone, ends with LastMSN.
type Recording struct {
	SessionID string
	FirstMSN  int64 `gorm:"column:first_msn"` // 0: it begins with the session
	LastMSN   int64 `gorm:"column:last_msn"`
	StreamID  string
	State     string
	Bytes     int64
	Evicted   bool   // nothing of it is on the local disk any more
	UpdatedAt Millis `gorm:"autoUpdateTime:false"` // when its state changed last
	Node      string // that keeps it
}

// TableName implements gorm's Tabler.
func (Recording) TableName() string { return "recordings" }

// BeginRecording inserts the recording of a whole session in the state running or unrecorded, unless it has one: a session that
// goes on after a restart.
func (q Queries) BeginRecording(r Recording) error {
	_, err := q.LastStretch(r.SessionID)
	if !errors.Is(err, ErrNotFound) {
		return err
	}
	r.FirstMSN, r.LastMSN = 0, LastMSN
	return wrap("begin recording", q.g.Clauses(clause.OnConflict{DoNothing: true}).Create(&r).Error)
}

// CutRecording ends the last stretch of a session in front of a number, in a state, and begins the next one with it.
func (q Queries) CutRecording(last Recording, next int64, state string, bytes int64, now Millis) error {
	err := one("cut recording", q.g.Model(&Recording{}).
		Where("session_id = ? AND first_msn = ? AND last_msn = ?", last.SessionID, last.FirstMSN, int64(LastMSN)).
		UpdateColumns(map[string]any{"first_msn": next}))
	if err != nil {
		return err
	}
	last.LastMSN, last.State, last.Bytes, last.UpdatedAt = next-1, state, bytes, now
	return wrap("insert stretch", q.g.Create(&last).Error)
}

// FindRecording finds by session and first number.
func (q Queries) FindRecording(sessionID string, firstMSN int64) (Recording, error) {
	var r Recording
	err := q.g.Take(&r, "session_id = ? AND first_msn = ?", sessionID, firstMSN).Error
	return r, wrap("find recording", err)
}

// LastStretch finds the recording with which a session ends, or goes on.
func (q Queries) LastStretch(sessionID string) (Recording, error) {
	var r Recording
	err := q.g.Where("session_id = ? AND last_msn = ?", sessionID, int64(LastMSN)).Take(&r).Error
	return r, wrap("last stretch", err)
}

// ListStretches lists the recordings of a session, the first one first.
func (q Queries) ListStretches(sessionID string) ([]Recording, error) {
	var found []Recording
	err := q.g.Where("session_id = ?", sessionID).Order("first_msn").Find(&found).Error
	return found, wrap("list stretches", err)
}

// EndRecording notes that a recorded session is over. ErrNotFound where it was noted before, or nothing is recorded.
func (q Queries) EndRecording(sessionID string, now Millis) error {
	return one("end recording", q.g.Model(&Recording{}).Where("session_id = ? AND last_msn = ? AND state = ?", sessionID, int64(LastMSN), RecordingRunning).
		UpdateColumns(map[string]any{"state": RecordingEnded, "updated_at": now}))
}

// SetRecording changes the state of a recording.
func (q Queries) SetRecording(sessionID string, firstMSN int64, state string, now Millis) error {
	return one("set recording", q.recording(sessionID, firstMSN).UpdateColumns(map[string]any{"state": state, "updated_at": now}))
}

// WeighRecording notes how many bytes of media a recording has.
func (q Queries) WeighRecording(sessionID string, firstMSN, bytes int64) error {
	return one("weigh recording", q.recording(sessionID, firstMSN).UpdateColumns(map[string]any{"bytes": bytes}))
}

// SetEvicted notes that nothing of a recording is on the local disk any more.
func (q Queries) SetEvicted(sessionID string, firstMSN int64) error {
	return one("evict recording", q.recording(sessionID, firstMSN).UpdateColumns(map[string]any{"evicted": true}))
}

// SetKept notes that a session's recordings are on the local disk.
func (q Queries) SetKept(sessionID string) error {
	return wrap("keep recordings", q.g.Model(&Recording{}).Where("session_id = ?", sessionID).UpdateColumns(map[string]any{"evicted": false}).Error)
}

// ListRecordings lists those of a state, by when they came into it, the oldest first, after one that was listed; the zero Recording: from
// the beginning.
func (q Queries) ListRecordings(state string, after Recording, limit int) ([]Recording, error) {
	var found []Recording
	err := q.g.Where("state = ? AND (updated_at, session_id, first_msn) > (?, ?, ?)", state, after.UpdatedAt, after.SessionID, after.FirstMSN).
		Order("updated_at, session_id, first_msn").Limit(limit).Find(&found).Error
	return found, wrap("list recordings", err)
}

// ListRecordingsOf is the same of those that a node keeps; "": of all.
func (q Queries) ListRecordingsOf(node, state string, after Recording, limit int) ([]Recording, error) {
	if node == "" {
		return q.ListRecordings(state, after, limit)
	}
	var found []Recording
	err := q.g.Where("node = ? AND state = ? AND (updated_at, session_id, first_msn) > (?, ?, ?)", node, state, after.UpdatedAt, after.SessionID, after.FirstMSN).
		Order("updated_at, session_id, first_msn").Limit(limit).Find(&found).Error
	return found, wrap("list recordings of a node", err)
}

// DeleteRecording deletes a recording, and with the last one of a session its rows of tracks and its markers.
func (q Queries) DeleteRecording(sessionID string, firstMSN int64) error {
	if err := q.recording(sessionID, firstMSN).Delete(&Recording{}).Error; err != nil {
		return wrap("delete recording", err)
	}
	others, err := q.ListStretches(sessionID)
	if err != nil || len(others) > 0 {
		return err
	}
	if err := q.g.Where("session_id = ?", sessionID).Delete(&Marker{}).Error; err != nil {
		return wrap("delete markers", err)
	}
	return wrap("delete tracks", q.g.Where("session_id = ?", sessionID).Delete(&SessionTrack{}).Error)
}

// ListRecordedSessions lists the sessions of a stream of which something is recorded, oldest first, after the one of that id.
func (q Queries) ListRecordedSessions(streamID, after string, limit int) ([]string, error) {
	var found []string
	err := q.g.Model(&Recording{}).Distinct("session_id").Where("stream_id = ? AND session_id > ?", streamID, after).
		Order("session_id").Limit(limit).Find(&found).Error
	return found, wrap("list recorded sessions", err)
}

func (q Queries) recording(sessionID string, firstMSN int64) *gorm.DB {
	return q.g.Model(&Recording{}).Where("session_id = ? AND first_msn = ?", sessionID, firstMSN)
}

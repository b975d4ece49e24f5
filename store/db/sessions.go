package db

import (
	"gorm.io/gorm/clause"
)

// Session is a row of stream_sessions: one broadcast.
type Session struct {
	ID        string
	StreamID  string
	StartedAt Millis
	EndedAt   *Millis
	EndReason string
	Epochs    []Epoch `gorm:"serializer:json"`
	UpdatedAt Millis  `gorm:"autoUpdateTime:false"`
	Node      string  // that has it on air
	AwayAt    *Millis // since when its publisher is away; nil: it is there

	PeakViewers   int   // at the same time
	UniqueViewers int   // who told that they watch
	WatchMS       int64 `gorm:"column:watch_ms"` // all of them together
}

// TableName implements gorm's Tabler.
func (Session) TableName() string { return "stream_sessions" }

// Epoch is a stretch of a session with the same codec configuration and continuous time.
type Epoch struct {
	ID        int64       `json:"id"` // the number in its file names
	StartedAt Millis      `json:"started_at"`
	Protocol  string      `json:"protocol"`
	Encoder   string      `json:"encoder"`
	Reason    string      `json:"reason"`
	Node      string      `json:"node,omitempty"` // that took it in
	Video     *VideoTrack `json:"video,omitempty"`
	Audio     *AudioTrack `json:"audio,omitempty"`
}

// VideoTrack describes a video track.
type VideoTrack struct {
	Codec  string  `json:"codec"` // RFC 6381
	Width  int     `json:"width"`
	Height int     `json:"height"`
	FPS    float64 `json:"fps"` // 0: not constant or unknown
}

// AudioTrack describes an audio track.
type AudioTrack struct {
	Codec      string `json:"codec"` // RFC 6381
	SampleRate int    `json:"sample_rate"`
	Channels   int    `json:"channels"`
}

// SaveSession inserts the session or replaces what is known of it. A session that has ended stays ended: a late save of
// its running state changes nothing.
func (q Queries) SaveSession(s Session) error {
	if s.Epochs == nil {
		s.Epochs = []Epoch{}
	}
	err := q.g.Clauses(clause.OnConflict{
		Columns:   []clause.Column{{Name: "id"}},
		DoUpdates: clause.AssignmentColumns([]string{"ended_at", "end_reason", "epochs", "updated_at"}),
		Where:     clause.Where{Exprs: []clause.Expression{clause.Expr{SQL: "stream_sessions.ended_at IS NULL"}}},
	}).Create(&s).Error
	return wrap("save session", err)
}

// FindSession finds by id.
func (q Queries) FindSession(id string) (Session, error) {
	var s Session
	err := q.g.Take(&s, "id = ?", id).Error
	return s, wrap("find session", err)
}

// SessionStarts tells when sessions began, by id. What is not there is left out.
func (q Queries) SessionStarts(ids []string) (map[string]Millis, error) {
	starts := make(map[string]Millis, len(ids))
	for len(ids) > 0 {
		n := min(len(ids), inList)
		var some []Session
		if err := q.g.Select("id", "started_at").Find(&some, "id IN ?", ids[:n]).Error; err != nil {
			return nil, wrap("session starts", err)
		}
		for _, s := range some {
			starts[s.ID] = s.StartedAt
		}
		ids = ids[n:]
	}
	return starts, nil
}

// LastSession finds the stream's newest session.
func (q Queries) LastSession(streamID string) (Session, error) {
	var s Session
	err := q.g.Where("stream_id = ?", streamID).Order("started_at DESC").Take(&s).Error
	return s, wrap("last session", err)
}

// ListSessions lists the sessions of a stream that started before a moment, newest first.
func (q Queries) ListSessions(streamID string, before Millis, limit int) ([]Session, error) {
	var found []Session
	err := q.g.Where("stream_id = ? AND started_at < ?", streamID, before).
		Order("started_at DESC").Limit(limit).Find(&found).Error
	return found, wrap("list sessions", err)
}

// OpenSessions lists the sessions without an end, oldest first.
func (q Queries) OpenSessions() ([]Session, error) {
	var found []Session
	err := q.g.Where("ended_at IS NULL").Order("id").Find(&found).Error
	return found, wrap("open sessions", err)
}

// EndSession notes the end of a session that has none yet.
func (q Queries) EndSession(id string, at Millis, reason string) error {
	return one("end session", q.g.Model(&Session{}).Where("id = ? AND ended_at IS NULL", id).
		UpdateColumns(map[string]any{"ended_at": at, "end_reason": reason, "updated_at": at}))
}

package db

import (
	"time"

	"gorm.io/gorm/clause"
)

// Segment is a row of segments: where one complete segment of one rendition lies.
type Segment struct {
	SessionID string
	Rendition string
	MSN       int64 `gorm:"column:msn"`
	StreamID  string
	Epoch     int64
	StartNS   int64 `gorm:"column:start_ns"` // program date of the first sample, unix nanoseconds
	// DurationNS is the exact length; the playlist rounds it.
	DurationNS    int64 `gorm:"column:duration_ns"`
	BlobKey       string
	BlobOffset    int64
	Bytes         int64
	Discontinuity bool
	Gap           bool
	Independent   bool // it begins with a key frame
}

// TableName implements gorm's Tabler.
func (Segment) TableName() string { return "segments" }

// Start is the program date of the first sample.
func (s Segment) Start() time.Time { return time.Unix(0, s.StartNS).UTC() }

// Duration is the length.
func (s Segment) Duration() time.Duration { return time.Duration(s.DurationNS) }

// segmentBatch rows of thirteen values stay well below SQLite's 32 766 values a statement.
const segmentBatch = 500

// InsertSegments inserts rows that are not there yet. A number never names two segments, so a row that is there is the
// same one, sent again.
func (q Queries) InsertSegments(rows []Segment) error {
	if len(rows) == 0 {
		return nil
	}
	err := q.g.Clauses(clause.OnConflict{DoNothing: true}).CreateInBatches(rows, segmentBatch).Error
	return wrap("insert segments", err)
}

// Newest is the end of a stream's history.
type Newest struct {
	MSN   int64
	Epoch int64
	// Start is of the newest segment.
	Start time.Time
}

// NewestSegment tells the highest numbers that the stream has used; ErrNotFound if none.
func (q Queries) NewestSegment(streamID string) (Newest, error) {
	var last Segment
	if err := q.g.Where("stream_id = ?", streamID).Order("msn DESC").Take(&last).Error; err != nil {
		return Newest{}, wrap("newest segment", err)
	}
	var epoch int64
	err := q.g.Model(&Segment{}).Select("epoch").Where("stream_id = ?", streamID).Order("epoch DESC").Limit(1).Scan(&epoch).Error
	return Newest{MSN: last.MSN, Epoch: epoch, Start: last.Start()}, wrap("newest epoch", err)
}

// ListSegments lists a rendition of a session from a number on, in order.
func (q Queries) ListSegments(sessionID, rendition string, fromMSN int64, limit int) ([]Segment, error) {
	var found []Segment
	err := q.g.Where("session_id = ? AND rendition = ? AND msn >= ?", sessionID, rendition, fromMSN).
		Order("msn").Limit(limit).Find(&found).Error
	return found, wrap("list segments", err)
}

// DeleteSegments deletes the rows of a session's rendition with numbers from first to last. Who deletes many does so in
// pieces, so that no other write waits long.
func (q Queries) DeleteSegments(sessionID, rendition string, first, last int64) error {
	err := q.g.Where("session_id = ? AND rendition = ? AND msn BETWEEN ? AND ?", sessionID, rendition, first, last).Delete(&Segment{}).Error
	return wrap("delete segments", err)
}

// SessionBytes is how many bytes of media are stored of a session.
func (q Queries) SessionBytes(sessionID string) (int64, error) {
	var bytes int64
	err := q.g.Model(&Segment{}).Select("COALESCE(SUM(bytes), 0)").Where("session_id = ?", sessionID).Scan(&bytes).Error
	return bytes, wrap("session bytes", err)
}

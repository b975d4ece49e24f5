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

// DeleteSegmentsBefore deletes rows of segments that start before a moment, at most limit of them so that no other write
// waits long, and says how many went.
func (q Queries) DeleteSegmentsBefore(start time.Time, limit int) (int64, error) {
	result := q.g.Exec(`DELETE FROM segments WHERE (session_id, rendition, msn) IN
		(SELECT session_id, rendition, msn FROM segments WHERE start_ns < ? ORDER BY start_ns LIMIT ?)`,
		start.UnixNano(), limit)
	return result.RowsAffected, wrap("delete segments", result.Error)
}

// DeleteStreamSegmentsBefore is DeleteSegmentsBefore for the numbers below msn of one stream.
func (q Queries) DeleteStreamSegmentsBefore(streamID string, msn int64, limit int) (int64, error) {
	result := q.g.Exec(`DELETE FROM segments WHERE (session_id, rendition, msn) IN
		(SELECT session_id, rendition, msn FROM segments WHERE stream_id = ? AND msn < ? ORDER BY msn LIMIT ?)`,
		streamID, msn, limit)
	return result.RowsAffected, wrap("delete segments", result.Error)
}

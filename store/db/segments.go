package db

import (
	"cmp"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// Segment is a row of segments: where one complete segment of one rendition lies.
//
// The rows of a clip have its video in the place of the session. One without a key stands for the segment of the clip's session with
// the same number; the others are the clip's own.
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
	Target        int  // the session's TARGETDURATION in seconds
	// Discontinuities are those of the stream in front of the segment.
	Discontinuities int64
	Bucket          int // BucketNone, BucketPending, BucketStored
}

// Where a segment is beside the local disk.
const (
	BucketNone    = 0 // it is not for the bucket
	BucketPending = 1
	BucketStored  = 2
)

// TableName implements gorm's Tabler.
func (Segment) TableName() string { return "segments" }

// Start is the program date of the first sample.
func (s Segment) Start() time.Time { return time.Unix(0, s.StartNS).UTC() }

// Duration is the length.
func (s Segment) Duration() time.Duration { return time.Duration(s.DurationNS) }

// segmentBatch rows of sixteen values stay well below SQLite's 32 766 values a statement.
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
	// Discontinuities are those in front of it, its own included.
	Discontinuities int64
}

// NewestSegment tells the highest numbers that the stream has used; ErrNotFound if none.
func (q Queries) NewestSegment(streamID string) (Newest, error) {
	var last Segment
	if err := q.g.Where("stream_id = ?", streamID).Order("msn DESC").Take(&last).Error; err != nil {
		return Newest{}, wrap("newest segment", err)
	}
	var epochs []int64
	err := q.g.Model(&Segment{}).Where("stream_id = ?", streamID).Order("epoch DESC").Limit(1).Pluck("epoch", &epochs).Error
	if err != nil || len(epochs) == 0 { // deleted between the two statements
		return Newest{}, wrap("newest epoch", cmp.Or(err, gorm.ErrRecordNotFound))
	}
	discs := last.Discontinuities
	if last.Discontinuity {
		discs++
	}
	return Newest{MSN: last.MSN, Epoch: epochs[0], Start: last.Start(), Discontinuities: discs}, nil
}

// ListSegments lists a rendition of a session from a number on, in order.
func (q Queries) ListSegments(sessionID, rendition string, fromMSN int64, limit int) ([]Segment, error) {
	var found []Segment
	err := q.g.Where("session_id = ? AND rendition = ? AND msn >= ?", sessionID, rendition, fromMSN).
		Order("msn").Limit(limit).Find(&found).Error
	return found, wrap("list segments", err)
}

// NewestOf finds the newest segment of a rendition of a session.
func (q Queries) NewestOf(sessionID, rendition string) (Segment, error) {
	var s Segment
	err := q.g.Where("session_id = ? AND rendition = ?", sessionID, rendition).Order("msn DESC").Take(&s).Error
	return s, wrap("newest of a rendition", err)
}

// PendingSegments lists segments that are still to be stored in the bucket, behind a place in the order of sessions, renditions and
// numbers. Those of other nodes are left out, as they are on their disks; node "": none are.
func (q Queries) PendingSegments(node, sessionID, rendition string, afterMSN int64, limit int) ([]Segment, error) {
	var found []Segment
	g := q.g.Where("bucket = 1 AND (session_id, rendition, msn) > (?, ?, ?)", sessionID, rendition, afterMSN)
	if node != "" {
		g = g.Where("NOT EXISTS (SELECT 1 FROM stream_sessions s WHERE s.id = segments.session_id AND s.node NOT IN (?, ''))", node)
	}
	err := g.
		Order("session_id, rendition, msn").Limit(limit).Find(&found).Error
	return found, wrap("pending segments", err)
}

// NewestStored lists the newest segments of a rendition that are in the bucket, below a number, the newest first.
func (q Queries) NewestStored(sessionID, rendition string, below int64, limit int) ([]Segment, error) {
	var found []Segment
	err := q.g.Where("session_id = ? AND rendition = ? AND msn < ? AND bucket = 2", sessionID, rendition, below).
		Order("msn DESC").Limit(limit).Find(&found).Error
	return found, wrap("newest stored segments", err)
}

// MarkStored notes that a segment is in the bucket; false: it has no row yet.
func (q Queries) MarkStored(sessionID, rendition string, msn int64) (bool, error) {
	return q.markSegment(sessionID, rendition, msn, map[string]any{"bucket": BucketStored})
}

// MarkLost notes that a segment is nowhere any more: it is a gap from now on. False: it has no row yet.
func (q Queries) MarkLost(sessionID, rendition string, msn int64) (bool, error) {
	return q.markSegment(sessionID, rendition, msn, map[string]any{"bucket": BucketNone, "gap": true, "blob_key": "", "bytes": 0})
}

// LoseSegments notes that what is not in the bucket of a recording is nowhere any more: gaps from now on.
func (q Queries) LoseSegments(r Recording) error {
	err := q.g.Model(&Segment{}).
		Where("session_id = ? AND msn BETWEEN ? AND ? AND bucket <> 2 AND (NOT gap OR bucket = 1)", r.SessionID, r.FirstMSN, r.LastMSN).
		UpdateColumns(map[string]any{"bucket": BucketNone, "gap": true, "blob_key": "", "blob_offset": 0, "bytes": 0}).Error
	return wrap("lose segments", err)
}

func (q Queries) markSegment(sessionID, rendition string, msn int64, columns map[string]any) (bool, error) {
	result := q.g.Model(&Segment{}).Where("session_id = ? AND rendition = ? AND msn = ?", sessionID, rendition, msn).UpdateColumns(columns)
	return result.RowsAffected > 0, wrap("mark segment", result.Error)
}

// ForgetLocal notes that segments with numbers from first to last are in the bucket alone.
func (q Queries) ForgetLocal(sessionID, rendition string, first, last int64) error {
	err := q.g.Model(&Segment{}).Where("session_id = ? AND rendition = ? AND msn BETWEEN ? AND ?", sessionID, rendition, first, last).
		UpdateColumns(map[string]any{"blob_key": "", "blob_offset": 0}).Error
	return wrap("forget local segments", err)
}

// SetPlace notes where a segment lies, of those that there is a row of: its key, offset and Bucket.
func (q Queries) SetPlace(s Segment) error {
	_, err := q.markSegment(s.SessionID, s.Rendition, s.MSN, map[string]any{"blob_key": s.BlobKey, "blob_offset": s.BlobOffset, "bucket": s.Bucket})
	return err
}

// DeleteSegments deletes the rows of a session's rendition with numbers from first to last. Who deletes many does so in
// pieces, so that no other write waits long.
func (q Queries) DeleteSegments(sessionID, rendition string, first, last int64) error {
	err := q.g.Where("session_id = ? AND rendition = ? AND msn BETWEEN ? AND ?", sessionID, rendition, first, last).Delete(&Segment{}).Error
	return wrap("delete segments", err)
}

// NamesFile tells whether a segment of a rendition of a session with a number from first to last lies in an object.
func (q Queries) NamesFile(sessionID, rendition, key string, first, last int64) (bool, error) {
	var found []int64
	err := q.g.Model(&Segment{}).Select("msn").
		Where("session_id = ? AND rendition = ? AND msn BETWEEN ? AND ? AND blob_key = ?", sessionID, rendition, first, last, key).
		Limit(1).Find(&found).Error
	return len(found) > 0, wrap("find who names a file", err)
}

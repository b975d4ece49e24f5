package db

// StreamForward is a row of stream_forwards: a server that a stream is forwarded to.
type StreamForward struct {
	ID        string
	StreamID  string
	URLEnc    string `gorm:"column:url_enc"` // sealed
	CreatedAt Millis `gorm:"autoCreateTime:false"`
}

// TableName implements gorm's Tabler.
func (StreamForward) TableName() string { return "stream_forwards" }

// maxForwards bounds what is read of one stream; nobody may have nearly as many.
const maxForwards = 100

// CreateForward inserts f.
func (q Queries) CreateForward(f StreamForward) error {
	return wrap("create forward", q.g.Create(&f).Error)
}

// ListForwards lists those of a stream, the oldest first.
func (q Queries) ListForwards(streamID string) ([]StreamForward, error) {
	var found []StreamForward
	err := q.g.Where("stream_id = ?", streamID).Order("id").Limit(maxForwards).Find(&found).Error
	return found, wrap("list forwards", err)
}

// ListForwardsOf lists those of streams, by stream and the oldest first.
func (q Queries) ListForwardsOf(streamIDs []string) ([]StreamForward, error) {
	var found []StreamForward
	for len(streamIDs) > 0 {
		n := min(len(streamIDs), inList)
		var some []StreamForward
		if err := q.g.Where("stream_id IN ?", streamIDs[:n]).Order("stream_id, id").Find(&some).Error; err != nil {
			return nil, wrap("list forwards", err)
		}
		found, streamIDs = append(found, some...), streamIDs[n:]
	}
	return found, nil
}

// DeleteForward deletes one of a stream; ErrNotFound if it has none of that id.
func (q Queries) DeleteForward(streamID, id string) error {
	return one("delete forward", q.g.Where("id = ? AND stream_id = ?", id, streamID).Delete(&StreamForward{}))
}

package db

// Disconnect is a row of disconnects: why a publisher left a stream, or was not let in.
type Disconnect struct {
	ID       string
	StreamID string
	At       Millis
	Protocol string
	Remote   string // masked
	Code     string
	Detail   string
}

// TableName implements gorm's Tabler.
func (Disconnect) TableName() string { return "disconnects" }

// AddDisconnect inserts d and keeps no more than the newest of its stream.
func (q Queries) AddDisconnect(d Disconnect, keep int) error {
	if err := q.g.Create(&d).Error; err != nil {
		return wrap("add disconnect", err)
	}
	var oldest []string
	err := q.g.Model(&Disconnect{}).Where("stream_id = ?", d.StreamID).Order("id DESC").Offset(keep).Limit(1).Pluck("id", &oldest).Error
	if err != nil || len(oldest) == 0 {
		return wrap("add disconnect", err)
	}
	return wrap("add disconnect", q.g.Where("stream_id = ? AND id <= ?", d.StreamID, oldest[0]).Delete(&Disconnect{}).Error)
}

// ListDisconnects lists the newest first.
func (q Queries) ListDisconnects(streamID string, limit int) ([]Disconnect, error) {
	var found []Disconnect
	err := q.g.Where("stream_id = ?", streamID).Order("id DESC").Limit(limit).Find(&found).Error
	return found, wrap("list disconnects", err)
}

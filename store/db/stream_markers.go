package db

// Marker is a row of stream_markers: a moment of a broadcast that has a name.
type Marker struct {
	ID        string
	SessionID string
	StreamID  string
	UserID    string // who set it
	Label     string
	At        Millis
}

// TableName implements gorm's Tabler.
func (Marker) TableName() string { return "stream_markers" }

// CreateMarker inserts m.
func (q Queries) CreateMarker(m Marker) error {
	return wrap("create marker", q.g.Create(&m).Error)
}

// FindMarker finds one of a stream by id.
func (q Queries) FindMarker(streamID, id string) (Marker, error) {
	var m Marker
	err := q.g.Take(&m, "id = ? AND stream_id = ?", id, streamID).Error
	return m, wrap("find marker", err)
}

// ListMarkers lists those of a session from a moment up to another, in their order.
func (q Queries) ListMarkers(sessionID string, from, to Millis, limit int) ([]Marker, error) {
	var found []Marker
	err := q.g.Where("session_id = ? AND at >= ? AND at < ?", sessionID, from, to).Order("at, id").Limit(limit).Find(&found).Error
	return found, wrap("list markers", err)
}

// CountMarkers counts those of a session, no further than most.
func (q Queries) CountMarkers(sessionID string, most int) (int, error) {
	var found []string
	err := q.g.Model(&Marker{}).Where("session_id = ?", sessionID).Limit(most).Pluck("id", &found).Error
	return len(found), wrap("count markers", err)
}

// DeleteMarker deletes one of a stream; ErrNotFound if it has none of that id.
func (q Queries) DeleteMarker(streamID, id string) error {
	return one("delete marker", q.g.Where("id = ? AND stream_id = ?", id, streamID).Delete(&Marker{}))
}

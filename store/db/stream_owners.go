package db

import (
	"gorm.io/gorm/clause"
)

// StreamOwner is a row of stream_owners: the node that may publish a stream.
type StreamOwner struct {
	StreamID   string `gorm:"primaryKey"`
	Node       string
	ClaimedAt  Millis
	Asked      string // what the owner is to do: "", AskYield, or the reason for which to end the session
	AskedBy    string // node that the stream is to be left to
	Taken      int    // how often it changed hands while the owner was sending, since TakenAt
	TakenAt    Millis
	Replaced   string // who was replaced last, hashed
	ReplacedAt Millis // when, or when they were refused last
}

// TableName implements gorm's Tabler.
func (StreamOwner) TableName() string { return "stream_owners" }

// AskYield asks an owner to leave the stream to another node.
const AskYield = "yield"

// Clock is now by the database's clock, which all nodes have in common.
func (q Queries) Clock() (Millis, error) {
	var now Millis
	err := q.g.Raw("SELECT " + q.clock()).Scan(&now).Error
	return now, wrap("clock", err)
}

// FindOwner finds who has a stream.
func (q Queries) FindOwner(streamID string) (StreamOwner, error) {
	var o StreamOwner
	err := q.g.Take(&o, "stream_id = ?", streamID).Error
	return o, wrap("find owner", err)
}

// SaveOwner stores who has a stream.
func (q Queries) SaveOwner(o StreamOwner) error {
	return wrap("save owner", q.g.Clauses(clause.OnConflict{UpdateAll: true}).Create(&o).Error)
}

// OwnedBy lists the streams that a node has.
func (q Queries) OwnedBy(node string) ([]StreamOwner, error) {
	var found []StreamOwner
	err := q.g.Where("node = ?", node).Order("node").Find(&found).Error
	return found, wrap("owned by a node", err)
}

// ReleaseOwner gives a stream back that nobody asks the node for, unless it was claimed anew since the row was read.
func (q Queries) ReleaseOwner(o StreamOwner) error {
	err := q.g.Where("stream_id = ? AND node = ? AND asked = '' AND claimed_at = ?", o.StreamID, o.Node, o.ClaimedAt).Delete(&StreamOwner{}).Error
	return wrap("release owner", err)
}

// ForgetOwner takes a stream from a node, whatever that was asked for.
func (q Queries) ForgetOwner(streamID, node string) error {
	err := q.g.Where("stream_id = ? AND node = ?", streamID, node).Delete(&StreamOwner{}).Error
	return wrap("forget owner", err)
}

// NodeAlive says whether a node has told within so many milliseconds that it is there.
func (q Queries) NodeAlive(id string, silent int64) (bool, error) {
	var n int64
	err := q.g.Model(&Node{}).Where("id = ? AND "+q.alive(), id, silent).Count(&n).Error
	return n > 0, wrap("ask for a node", err)
}

// NodeServes says so of one that has not been stopped.
func (q Queries) NodeServes(id string, silent int64) (bool, error) {
	var n int64
	err := q.g.Model(&Node{}).Where("id = ? AND run <> '' AND "+q.alive(), id, silent).Count(&n).Error
	return n > 0, wrap("ask for a node", err)
}

// OpenSessionOf finds the newest session of a stream, if it is open; ErrNotFound else.
func (q Queries) OpenSessionOf(streamID string) (Session, error) {
	s, err := q.LastSession(streamID)
	if err == nil && s.EndedAt != nil {
		return Session{}, wrap("open session", ErrNotFound)
	}
	return s, err
}

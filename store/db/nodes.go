package db

import (
	"cmp"
	"errors"
	"fmt"
)

// Node is a row of nodes: a server that shares the database, or did.
type Node struct {
	ID        string
	Run       string // of which process; "" once that has stopped
	Place     string // of its data folder, hashed
	Host      string // for people
	StartedAt Millis
	BeatAt    Millis
}

// TableName implements gorm's Tabler.
func (Node) TableName() string { return "nodes" }

// ErrNodeTaken is returned where another process has the node's id.
var ErrNodeTaken = errors.New("db: another process has this node's id")

// alive is a condition on a row of nodes, whose argument is after how many milliseconds a node is silent.
func (q Queries) alive() string { return "beat_at > " + q.clock() + " - ?" }

// ClaimNode takes an id for a run: where nobody has it, where its last run was of the same place or has stopped, and where that is silent.
// Else it returns what is there, with ErrNodeTaken.
func (q Queries) ClaimNode(n Node, silent int64) (Node, error) {
	var was Node
	err := q.g.Take(&was, "id = ?", n.ID).Error
	if err = wrap("find node", err); err != nil && !errors.Is(err, ErrNotFound) {
		return was, err
	}
	if err == nil && was.Run != "" && was.Run != n.Run && was.Place != n.Place {
		if alive, err := q.NodeAlive(n.ID, silent); err != nil || alive {
			return was, cmp.Or(err, ErrNodeTaken)
		}
	}
	err = q.g.Exec("INSERT INTO nodes (id, run, place, host, started_at, beat_at) VALUES (?, ?, ?, ?, "+q.clock()+", "+q.clock()+
		`) ON CONFLICT (id) DO UPDATE SET run = excluded.run, place = excluded.place, host = excluded.host,
		started_at = excluded.started_at, beat_at = excluded.beat_at`, n.ID, n.Run, n.Place, n.Host).Error
	return was, wrap("claim node", err)
}

// BeatNode tells that a run of a node is there; ErrNodeTaken: another run is, or the id was claimed and left by one.
func (q Queries) BeatNode(id, run string) error {
	result := q.g.Exec("UPDATE nodes SET beat_at = "+q.clock()+" WHERE id = ? AND run = ?", id, run)
	if result.Error == nil && result.RowsAffected == 0 {
		return ErrNodeTaken
	}
	return wrap("beat of a node", result.Error)
}

// StopNode notes that a run has stopped. Its last beat stays: what it left is its own for as long as if it had died.
func (q Queries) StopNode(id, run string) error {
	return wrap("stop node", q.g.Exec("UPDATE nodes SET run = '' WHERE id = ? AND run = ?", id, run).Error)
}

// ListNodes lists the nodes there are.
func (q Queries) ListNodes() ([]Node, error) {
	var found []Node
	err := q.g.Where("id > ''").Order("id").Limit(maxNodes).Find(&found).Error
	return found, wrap("list nodes", err)
}

// NoticeNode makes a row of a node that has none, as if it had just been heard: the database may be a copy, and the node not started on it yet.
func (q Queries) NoticeNode(id string) error {
	err := q.g.Exec("INSERT INTO nodes (id, run, place, host, started_at, beat_at) VALUES (?, '', '', '', 0, "+q.clock()+") ON CONFLICT (id) DO NOTHING", id).Error
	return wrap("notice node", err)
}

// ForgetNodesGone deletes the nodes that have been silent for longer than that, in milliseconds, and keep no recordings any more.
func (q Queries) ForgetNodesGone(silent int64) error {
	var gone []string
	err := q.g.Model(&Node{}).Where("beat_at <= "+q.clock()+" - ?", silent).Limit(maxNodes).Pluck("id", &gone).Error
	for _, id := range gone {
		var keeps []string // a look by the index each: all at once would read all recordings
		if err == nil {
			err = q.g.Model(&Recording{}).Where("node = ?", id).Limit(1).Pluck("node", &keeps).Error
		}
		if err == nil && len(keeps) == 0 {
			err = q.g.Exec("DELETE FROM nodes WHERE id = ? AND beat_at <= "+q.clock()+" - ?", id, silent).Error
		}
	}
	return wrap("forget nodes", err)
}

// TakeUnowned gives a node what a former version has left without one: recordings, and sessions that are open.
func (q Queries) TakeUnowned(node string) error {
	err := q.g.Model(&Session{}).Where("ended_at IS NULL AND node = ''").UpdateColumn("node", node).Error
	if err == nil {
		err = q.g.Model(&Recording{}).Where("node = ''").UpdateColumn("node", node).Error
	}
	return wrap("take what is nobody's", err)
}

// TakeSessions gives a node sessions that it goes on with, and their recordings, as their files are on its disk.
func (q Queries) TakeSessions(node string, ids []string) error {
	for _, id := range ids {
		err := q.g.Model(&Session{}).Where("id = ? AND ended_at IS NULL AND node <> ?", id, node).UpdateColumn("node", node).Error
		if err == nil {
			err = q.g.Model(&Recording{}).Where("session_id = ? AND node <> ?", id, node).UpdateColumn("node", node).Error
		}
		if err != nil {
			return wrap("take sessions", err)
		}
	}
	return nil
}

// LostSession is an open one of a node that is silent.
type LostSession struct {
	Session
	BeatAt Millis // the node's last; 0: it is not known
}

// LostSessions lists open sessions of nodes that have been silent for so many milliseconds, or are not known.
func (q Queries) LostSessions(silent int64, limit int) ([]LostSession, error) {
	var found []LostSession
	err := q.g.Raw(`SELECT s.*, COALESCE(n.beat_at, 0) AS beat_at FROM stream_sessions s LEFT JOIN nodes n ON n.id = s.node
		WHERE s.ended_at IS NULL AND s.node <> '' AND COALESCE(n.beat_at, 0) <= `+q.clock()+" - ? LIMIT ?", silent, limit).Scan(&found).Error
	return found, wrap("lost sessions", err)
}

// InBucket says whether there are segments of a recording, and every one is in the bucket, or a gap.
func (q Queries) InBucket(r Recording) (bool, error) {
	for _, one := range []struct {
		where string
		some  bool // there are to be such
	}{{"bucket = 2", true}, {"bucket = 1", false}, {"bucket = 0", false}} {
		var some []int64
		err := q.g.Model(&Segment{}).Where("session_id = ? AND msn BETWEEN ? AND ? AND NOT gap AND "+one.where, r.SessionID, r.FirstMSN, r.LastMSN).
			Limit(1).Pluck("msn", &some).Error
		if err != nil || len(some) > 0 != one.some {
			return false, wrap("in the bucket", err)
		}
	}
	return true, nil
}

// TakeRecording gives a recording to another node than it has; false: it has another one by now. Its session's videos count as changed: who
// follows changes has left them to the former keeper.
func (q Queries) TakeRecording(r Recording, node string, now Millis) (bool, error) {
	result := q.recording(r.SessionID, r.FirstMSN).Where("node = ?", r.Node).UpdateColumn("node", node)
	if result.Error != nil || result.RowsAffected == 0 {
		return false, wrap("take recording", result.Error)
	}
	err := q.g.Model(&Video{}).Where("session_id = ?", r.SessionID).UpdateColumns(versioned(map[string]any{}, now)).Error
	return err == nil, wrap("take videos", err)
}

// KeptElsewhere says whether another node than this one keeps a session's recordings; node "": there is no other.
func (q Queries) KeptElsewhere(sessionID, node string) (bool, error) {
	if node == "" {
		return false, nil
	}
	var others []string
	err := q.g.Model(&Recording{}).Where("session_id = ? AND node NOT IN (?, '')", sessionID, node).Limit(1).Pluck("node", &others).Error
	return len(others) > 0, wrap("kept elsewhere", err)
}

// OpenElsewhere lists what is told of the open sessions of other nodes: all but their epochs.
func (q Queries) OpenElsewhere(node string) ([]Session, error) {
	var found []Session
	err := q.g.Omit("epochs").Where("ended_at IS NULL AND node NOT IN (?, '')", node).Order("id").Find(&found).Error
	return found, wrap("open sessions elsewhere", err)
}

// EndedOf are those of sessions that have an end.
func (q Queries) EndedOf(ids []string) ([]string, error) {
	var ended []string
	for len(ids) > 0 {
		n := min(len(ids), inList)
		var some []string
		if err := q.g.Model(&Session{}).Where("id IN ? AND ended_at IS NOT NULL", ids[:n]).Pluck("id", &some).Error; err != nil {
			return nil, wrap("ended sessions", err)
		}
		ended, ids = append(ended, some...), ids[n:]
	}
	return ended, nil
}

// SetAway notes since when the publisher of an open session is away; nil: it is there.
func (q Queries) SetAway(id string, at *Millis) error {
	err := q.g.Model(&Session{}).Where("id = ? AND ended_at IS NULL", id).UpdateColumn("away_at", at).Error
	return wrap("set away", err)
}

// String names a node to people.
func (n Node) String() string {
	if n.Host == "" {
		return n.ID
	}
	return fmt.Sprintf("%s on %s", n.ID, n.Host)
}

// Keepers are the nodes that keep recordings.
func (q Queries) Keepers() ([]string, error) {
	var keepers []string
	for last := ""; len(keepers) < maxNodes; {
		var next []string // a look a node, and not a row
		if err := q.g.Model(&Recording{}).Where("node > ?", last).Order("node").Limit(1).Pluck("node", &next).Error; err != nil {
			return nil, wrap("keepers", err)
		}
		if len(next) == 0 {
			break
		}
		keepers, last = append(keepers, next[0]), next[0]
	}
	return keepers, nil
}

// BusChannel is PostgreSQL's channel on which nodes tell each other what changed.
const BusChannel = "mediad_bus"

// Notify tells who listens on a channel of PostgreSQL, once the transaction is stored.
func (q Queries) Notify(channel, payload string) error {
	return wrap("notify", q.g.Exec("SELECT pg_notify(?, ?)", channel, payload).Error)
}

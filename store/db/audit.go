package db

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// Audit is a row of audit_log. Rows are never changed; each names the hash of the one before it on the same node and day.
type Audit struct {
	ID         string
	At         Millis
	Node       string
	Day        string // 2026-03-01, UTC
	Seq        int64
	ActorID    string
	ActorRole  string
	Via        string // session, token, key, system
	IP         string `gorm:"column:ip"` // masked
	RequestID  string
	Action     string
	TargetType string
	TargetID   string
	Before     string // JSON, masked
	After      string
	Reason     string
	Outcome    string // ok, denied
	PrevHash   string
	Hash       string
}

// TableName implements gorm's Tabler.
func (Audit) TableName() string { return "audit_log" }

// Sum is what Hash has to be: that of all other columns.
func (a Audit) Sum() string {
	a.Hash = ""
	text, err := json.Marshal(a)
	if err != nil { // strings and integers alone: it cannot fail
		panic(fmt.Sprintf("db: audit: %v", err))
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

type auditHead struct {
	Node   string
	Day    string
	Seq    int64
	Hash   string
	Sealed string
}

// TableName implements gorm's Tabler.
func (auditHead) TableName() string { return "audit_heads" }

// AppendAudit adds a row to the chain of its node and day. It should be the last statement of a transaction: until its end other rows of the
// node wait.
func (q Queries) AppendAudit(a Audit) error {
	a.Day = a.At.Time().Format("2006-01-02")
	head := auditHead{Node: a.Node, Day: a.Day, Seq: 1}
	err := q.g.Clauses(clause.OnConflict{
		Columns:   []clause.Column{{Name: "node"}, {Name: "day"}},
		DoUpdates: clause.Set{{Column: clause.Column{Name: "seq"}, Value: gorm.Expr("audit_heads.seq + 1")}},
	}).Create(&head).Error
	if err != nil {
		return wrap("append audit", err)
	}
	if err := q.g.Take(&head, "node = ? AND day = ?", a.Node, a.Day).Error; err != nil {
		return wrap("append audit", err)
	}
	a.Seq, a.PrevHash = head.Seq, head.Hash
	a.Hash = a.Sum()
	if err := q.g.Create(&a).Error; err != nil {
		return wrap("append audit", err)
	}
	return one("append audit", q.g.Model(&auditHead{}).Where("node = ? AND day = ?", a.Node, a.Day).UpdateColumn("hash", a.Hash))
}

// ListAuditChain lists rows of a node's day behind a number, in order.
func (q Queries) ListAuditChain(node, day string, after int64, limit int) ([]Audit, error) {
	var found []Audit
	err := q.g.Where("node = ? AND day = ? AND seq > ?", node, day, after).Order("seq").Limit(limit).Find(&found).Error
	return found, wrap("list audit", err)
}

// AuditFilter narrows a list; zero values do not. At most one of ActorID, Action, Target and what was denied narrows by an index, the others are
// looked at row by row.
type AuditFilter struct {
	ActorID, Action      string
	TargetType, TargetID string
	Outcome              string // ok, denied
	// From and To bound the moment: from the one, before the other. 0: no bound.
	From, To Millis
	// Before is the id behind which the list goes on: it holds smaller, that is older, ids.
	Before string
}

// ListAudit lists the newest first.
func (q Queries) ListAudit(f AuditFilter, limit int) ([]Audit, error) {
	g := q.g
	for _, c := range []struct{ column, value string }{
		{"actor_id", f.ActorID}, {"action", f.Action}, {"target_type", f.TargetType}, {"target_id", f.TargetID},
	} {
		if c.value != "" {
			g = g.Where(c.column+" = ?", c.value)
		}
	}
	switch f.Outcome {
	case "":
	case "denied":
		g = g.Where("outcome = 'denied'") // a parameter might be any outcome, of which most rows are
	default:
		g = g.Where("outcome = ?", f.Outcome)
	}
	if f.From != 0 {
		g = g.Where("at >= ?", f.From)
	}
	if f.To != 0 {
		g = g.Where("at < ?", f.To)
	}
	if f.Before == "" {
		f.Before = "g" // behind every id
	}
	var found []Audit
	err := g.Where("id < ?", f.Before).Order("id DESC").Limit(limit).Find(&found).Error
	return found, wrap("list audit", err)
}

// AuditDay is the last link of a node's day. Sealed is "" until the day is over.
type AuditDay struct{ Node, Day, Hash, Sealed string }

// FindAuditDay finds that of a node and day.
func (q Queries) FindAuditDay(node, day string) (AuditDay, error) {
	var h auditHead
	err := q.g.Take(&h, "node = ? AND day = ?", node, day).Error
	return AuditDay{h.Node, h.Day, h.Hash, h.Sealed}, wrap("find audit day", err)
}

// OpenAuditDays lists the days before that one that are not sealed yet.
func (q Queries) OpenAuditDays(before string) ([]AuditDay, error) {
	var heads []auditHead
	if err := q.g.Where("sealed = '' AND day < ?", before).Order("day").Find(&heads).Error; err != nil {
		return nil, wrap("list audit days", err)
	}
	days := make([]AuditDay, len(heads))
	for i, h := range heads {
		days[i] = AuditDay{h.Node, h.Day, h.Hash, h.Sealed}
	}
	return days, nil
}

// SealAuditDay notes the seal of a day.
func (q Queries) SealAuditDay(d AuditDay, sealed string) error {
	return one("seal audit day", q.g.Model(&auditHead{}).Where("node = ? AND day = ? AND sealed = ''", d.Node, d.Day).UpdateColumn("sealed", sealed))
}

package db

import "gorm.io/gorm/clause"

// Alert is a row of alerts: a rule over the metrics that holds, or did.
type Alert struct {
	ID          string
	Fingerprint string // of those that fire each has its own
	Rule        string
	Severity    string
	Summary     string
	Labels      map[string]string `gorm:"serializer:json"`
	Node        string            // which tells of it
	State       string            // AlertFiring, AlertResolved
	Resolution  string            // why it is resolved; "" while it fires
	Value       *float64          // nil is no number
	FiredAt     Millis
	ResolvedAt  *Millis
	AckedAt     *Millis
	AckedBy     string // user; "" is nobody
}

// TableName implements gorm's Tabler.
func (Alert) TableName() string { return "alerts" }

// States of an alert.
const (
	AlertFiring   = "firing"
	AlertResolved = "resolved"
)

// Resolutions of an alert.
const (
	AlertCleared  = "cleared"   // the rule holds no more
	AlertNodeGone = "node_gone" // whoever told of it is not there any more
	AlertRuleGone = "rule_gone" // there is no such rule any more
)

// maxFiring bounds how many that fire are read at once: nodes have 200 at the most each, and a site has a few nodes.
const maxFiring = 2000

// FireAlert inserts a; made is false where one of its fingerprint fires already.
func (q Queries) FireAlert(a Alert) (made bool, err error) {
	result := q.g.Clauses(clause.OnConflict{
		Columns:     []clause.Column{{Name: "fingerprint"}},
		TargetWhere: clause.Where{Exprs: []clause.Expression{clause.Expr{SQL: "state = 'firing'"}}},
		DoNothing:   true,
	}).Create(&a)
	return result.RowsAffected == 1, wrap("fire alert", result.Error)
}

// FindAlert finds by id.
func (q Queries) FindAlert(id string) (Alert, error) {
	var a Alert
	err := q.g.Take(&a, "id = ?", id).Error
	return a, wrap("find alert", err)
}

// FindFiring finds the one of a fingerprint that fires.
func (q Queries) FindFiring(fingerprint string) (Alert, error) {
	var a Alert
	err := q.g.Take(&a, "fingerprint = ? AND state = 'firing'", fingerprint).Error
	return a, wrap("find firing alert", err)
}

// ListFiring lists what fires, the newest first.
func (q Queries) ListFiring() ([]Alert, error) {
	var found []Alert
	err := q.g.Where("state = 'firing'").Order("id DESC").Limit(maxFiring).Find(&found).Error
	return found, wrap("list firing alerts", err)
}

// ListAlerts lists the newest first, with ids smaller than before ("" from the newest). state "": in any.
func (q Queries) ListAlerts(state, before string, limit int) ([]Alert, error) {
	if before == "" {
		before = afterEveryID
	}
	g := q.g.Where("id < ?", before)
	if state != "" {
		g = g.Where("state = ?", state)
	}
	var found []Alert
	err := g.Order("id DESC").Limit(limit).Find(&found).Error
	return found, wrap("list alerts", err)
}

// AdoptAlert has another node tell of one that fires. ErrNotFound where it does not, or that node does not tell of it any more.
func (q Queries) AdoptAlert(id, from, to string) error {
	return one("adopt alert", q.g.Model(&Alert{}).Where("id = ? AND state = 'firing' AND node = ?", id, from).UpdateColumn("node", to))
}

// ResolveAlert ends one that fires and that node tells of. ErrNotFound where it does not.
func (q Queries) ResolveAlert(id, node, resolution string, now Millis) error {
	return one("resolve alert", q.g.Model(&Alert{}).Where("id = ? AND state = 'firing' AND node = ?", id, node).
		UpdateColumns(map[string]any{"state": AlertResolved, "resolution": resolution, "resolved_at": now}))
}

// AckAlert notes who has seen it. ErrNotFound where somebody has already.
func (q Queries) AckAlert(id, user string, now Millis) error {
	return one("ack alert", q.g.Model(&Alert{}).Where("id = ? AND acked_at IS NULL", id).
		UpdateColumns(map[string]any{"acked_at": now, "acked_by": user}))
}

// DeleteAlerts deletes those that were resolved before a moment, limit at most, and says how many.
func (q Queries) DeleteAlerts(before Millis, limit int) (int64, error) {
	var some []string
	err := q.g.Model(&Alert{}).Where("resolved_at > 0 AND resolved_at < ?", before).Order("resolved_at").Limit(limit).Pluck("id", &some).Error
	if err != nil || len(some) == 0 {
		return 0, wrap("delete alerts", err)
	}
	result := q.g.Where("id IN ?", some).Delete(&Alert{})
	return result.RowsAffected, wrap("delete alerts", result.Error)
}

// AlertBeyond finds when the first of those was resolved that are more than keep; 0: there are no more than that.
func (q Queries) AlertBeyond(keep int) (Millis, error) {
	var at Millis
	err := q.g.Raw("SELECT resolved_at FROM alerts WHERE resolved_at > 0 ORDER BY resolved_at DESC LIMIT 1 OFFSET ?", keep).Scan(&at).Error
	return at, wrap("alerts beyond", err)
}

// CountFollowsSince counts the follows that were made since a moment, and are still there.
func (q Queries) CountFollowsSince(at Millis) (int64, error) {
	var n int64
	err := q.g.Raw("SELECT count(*) FROM follows WHERE created_at >= ?", at).Scan(&n).Error
	return n, wrap("count follows", err)
}

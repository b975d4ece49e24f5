package db

import (
	"slices"

	"gorm.io/gorm/clause"
)

// Webhook is a row of webhooks.
type Webhook struct {
	ID           string
	OwnerID      string
	Scope        string // ScopeOwn, ScopeSite
	URL          string
	Events       []string `gorm:"serializer:json"`
	Active       bool
	SecretEnc    string // sealed
	Hint         string
	OldSecretEnc string  // sealed; "" is none
	OldUntil     *Millis // until then it signs too
	FailingSince *Millis // nothing has been delivered since
	DisabledAt   *Millis // by the server
	CreatedAt    Millis  `gorm:"autoCreateTime:false"`
	UpdatedAt    Millis  `gorm:"autoUpdateTime:false"`
}

// TableName implements gorm's Tabler.
func (Webhook) TableName() string { return "webhooks" }

// Scopes of a webhook.
const (
	ScopeOwn  = "own"
	ScopeSite = "site"
)

// CreateWebhook inserts w.
func (q Queries) CreateWebhook(w Webhook) error {
	return wrap("create webhook", q.g.Create(&w).Error)
}

// SaveWebhook replaces all of a webhook but when it was made.
func (q Queries) SaveWebhook(w Webhook) error {
	return one("save webhook", q.g.Model(&w).Where("id = ?", w.ID).Select("*").Omit("id", "created_at").Updates(&w))
}

// FindWebhook finds by id.
func (q Queries) FindWebhook(id string) (Webhook, error) {
	var w Webhook
	err := q.g.Take(&w, "id = ?", id).Error
	return w, wrap("find webhook", err)
}

// maxHooks bounds what is read of webhooks at once: a user has five, and the admins of a site a few each.
const maxHooks = 1000

// ListWebhooks lists those of a user, the newest first, with ids smaller than before ("" from the newest).
func (q Queries) ListWebhooks(owner, before string, limit int) ([]Webhook, error) {
	if before == "" {
		before = "g" // behind every id
	}
	var found []Webhook
	err := q.g.Where("owner_id = ? AND id < ?", owner, before).Order("id DESC").Limit(limit).Find(&found).Error
	return found, wrap("list webhooks", err)
}

// CountWebhooks counts those of a user.
func (q Queries) CountWebhooks(owner string) (int64, error) {
	var n int64
	err := q.g.Model(&Webhook{}).Where("owner_id = ?", owner).Count(&n).Error
	return n, wrap("count webhooks", err)
}

// HooksFor finds the webhooks that an event is for: active ones of its owner (ScopeOwn; "": none) and of the site, with its type.
func (q Queries) HooksFor(owner, eventType string) ([]Webhook, error) {
	var own, site []Webhook
	if owner != "" {
		if err := q.g.Where("owner_id = ? AND scope = ?", owner, ScopeOwn).Order("id").Limit(maxHooks).Find(&own).Error; err != nil {
			return nil, wrap("webhooks of owner", err)
		}
	}
	if err := q.g.Where("scope = ?", ScopeSite).Order("id").Limit(maxHooks).Find(&site).Error; err != nil {
		return nil, wrap("webhooks of site", err)
	}
	return slices.DeleteFunc(append(own, site...), func(w Webhook) bool {
		return !w.Active || w.DisabledAt != nil || !slices.Contains(w.Events, eventType)
	}), nil
}

// DeleteWebhook deletes a webhook with its deliveries.
func (q Queries) DeleteWebhook(id string) error {
	if err := q.g.Where("webhook_id = ?", id).Delete(&Delivery{}).Error; err != nil {
		return wrap("delete deliveries", err)
	}
	return one("delete webhook", q.g.Where("id = ?", id).Delete(&Webhook{}))
}

// Delivery is a row of deliveries: an event on its way to a webhook.
type Delivery struct {
	ID           string
	WebhookID    string
	EventID      string
	Type         string
	Key          string
	Body         string
	State        string
	Attempt      int // how many there were
	Status       int // of the last answer; 0: there was none
	Error        string
	DurationMS   int64 `gorm:"column:duration_ms"`
	ResponseHead string
	NextAt       *Millis
	CreatedAt    Millis `gorm:"autoCreateTime:false"`
	UpdatedAt    Millis `gorm:"autoUpdateTime:false"`
}

// TableName implements gorm's Tabler.
func (Delivery) TableName() string { return "deliveries" }

// States of a delivery.
const (
	DeliveryWaiting   = "waiting"
	DeliveryDelivered = "delivered"
	DeliveryFailed    = "failed"
)

// CreateDelivery inserts d; made is false where the webhook has that event already.
func (q Queries) CreateDelivery(d Delivery) (made bool, err error) {
	result := q.g.Clauses(clause.OnConflict{
		Columns: []clause.Column{{Name: "webhook_id"}, {Name: "event_id"}}, DoNothing: true,
	}).Create(&d)
	return result.RowsAffected == 1, wrap("create delivery", result.Error)
}

// FindDelivery finds by id.
func (q Queries) FindDelivery(id string) (Delivery, error) {
	var d Delivery
	err := q.g.Take(&d, "id = ?", id).Error
	return d, wrap("find delivery", err)
}

// SaveDelivery stores how an attempt ended.
func (q Queries) SaveDelivery(d Delivery) error {
	return one("save delivery", q.g.Model(&d).Where("id = ?", d.ID).
		Select("state", "attempt", "status", "error", "duration_ms", "response_head", "next_at", "updated_at").Updates(&d))
}

// ListDeliveries lists those of a webhook, the newest first, with ids smaller than before ("" from the newest).
func (q Queries) ListDeliveries(webhook, before string, limit int) ([]Delivery, error) {
	if before == "" {
		before = "g"
	}
	var found []Delivery
	err := q.g.Where("webhook_id = ? AND id < ?", webhook, before).Order("id DESC").Limit(limit).Find(&found).Error
	return found, wrap("list deliveries", err)
}

// WaitsBefore says whether an older delivery to the webhook about the same thing, made after a moment, has not been tried yet.
func (q Queries) WaitsBefore(d Delivery, since Millis) (bool, error) {
	var n int
	err := q.g.Raw(`SELECT 1 FROM deliveries WHERE webhook_id = ? AND key = ? AND id < ? AND state = 'waiting' AND attempt = 0
		AND created_at > ? LIMIT 1`, d.WebhookID, d.Key, d.ID, since).Scan(&n).Error
	return n == 1, wrap("deliveries before", err)
}

// DeleteDeliveries deletes those made before a moment, limit at most, and says how many.
func (q Queries) DeleteDeliveries(before Millis, limit int) (int64, error) {
	var some []string
	err := q.g.Model(&Delivery{}).Where("created_at < ?", before).Order("created_at").Limit(limit).Pluck("id", &some).Error
	if err != nil || len(some) == 0 {
		return 0, wrap("delete old deliveries", err)
	}
	result := q.g.Where("id IN ?", some).Delete(&Delivery{})
	return result.RowsAffected, wrap("delete old deliveries", result.Error)
}

// TrimDeliveries deletes the oldest deliveries of a webhook beyond the newest keep.
func (q Queries) TrimDeliveries(webhook string, keep int) error {
	var last string
	err := q.g.Raw("SELECT id FROM deliveries WHERE webhook_id = ? ORDER BY id DESC LIMIT 1 OFFSET ?", webhook, keep).Scan(&last).Error
	if err != nil || last == "" {
		return wrap("trim deliveries", err)
	}
	return wrap("trim deliveries", q.g.Where("webhook_id = ? AND id <= ?", webhook, last).Delete(&Delivery{}).Error)
}

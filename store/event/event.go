// Package event names what happens on a site, and writes it into the outbox in the transaction that makes it so. store/outbox hands it on.
// The names are those of webhooks, too.
package event

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"mediad/store/db"
)

// The types of events that there are.
const (
	UserRegistered = "user.registered"
	UserUpdated    = "user.updated"
	UserSuspended  = "user.suspended"
	UserErased     = "user.erased"
	RoleChanged    = "role.changed"

	FollowCreated = "follow.created"
	FollowDeleted = "follow.deleted"
	BlockCreated  = "block.created"

	VideoReady     = "video.ready"
	VideoPublished = "video.published"
	VideoUpdated   = "video.updated"
	VideoDeleted   = "video.deleted"
	ReplayReady    = "replay.ready"
	ClipCreated    = "clip.created"
	ViewCounted    = "view.counted"
	ViewComplete   = "view.completed"

	StreamOnline       = "stream.online"
	StreamReconnecting = "stream.reconnecting"
	StreamResumed      = "stream.resumed"
	StreamOffline      = "stream.offline"
	StreamHealth       = "stream.health"
	PublishRefused     = "publish.refused"

	JobFailed             = "job.failed"
	AlertFired            = "alert.fired"
	AlertResolved         = "alert.resolved"
	WebhookDisabled       = "webhook.disabled"
	SecurityLoginFailed   = "security.login_failed"
	SecurityRefreshReused = "security.refresh_reused"
	SecurityTokenCreated  = "security.token_created"
	SecurityKeyRotated    = "security.key_rotated"
)

// Own are the types that an owner's webhooks may have: what happens to his channel and his account.
var Own = []string{
	FollowCreated, FollowDeleted, VideoReady, VideoPublished, VideoUpdated, VideoDeleted, ReplayReady, ClipCreated, ViewCounted, ViewComplete, StreamOnline, StreamReconnecting, StreamResumed, StreamOffline,
	StreamHealth, PublishRefused, UserUpdated, UserSuspended, RoleChanged, WebhookDisabled, SecurityLoginFailed, SecurityRefreshReused, SecurityTokenCreated,
	SecurityKeyRotated,
}

// Site are the types that an admin's webhooks for the whole site may have: all.
var Site = slices.Concat(Own, []string{UserRegistered, UserErased, BlockCreated, JobFailed, AlertFired, AlertResolved})

// Event is one that happens.
type Event struct {
	Type string
	// Key is what it is about: events of a key keep their order. See User, Stream, Video.
	Key string
	// OwnerID is whose webhooks get it. "": those of the site alone.
	OwnerID string
	// ActorID is who did it. "": the system.
	ActorID string
	// Data is marshalled. It holds ids and no secrets or addresses.
	Data any
}

// User is the key of what happens to an account.
func User(id string) string { return "user:" + id }

// Stream is the key of what happens to a stream.
func Stream(id string) string { return "stream:" + id }

// Alert is the key of what happens to an alert.
func Alert(id string) string { return "alert:" + id }

// Video is the key of what happens to a video.
func Video(id string) string { return "video:" + id }

// Emit writes e within a transaction.
func Emit(q db.Queries, e Event, now time.Time) error {
	data, err := json.Marshal(e.Data)
	if err != nil {
		return fmt.Errorf("event: %s: %w", e.Type, err)
	}
	return q.Emit(db.Event{Type: e.Type, Key: e.Key, OwnerID: e.OwnerID, ActorID: e.ActorID, Data: string(data), OccurredAt: db.At(now)})
}

// Envelope is an event as others are shown it.
type Envelope struct {
	ID         string          `json:"id"`
	Type       string          `json:"type"`
	Version    int             `json:"version"`
	OccurredAt time.Time       `json:"occurred_at"`
	ActorID    string          `json:"actor_id,omitempty"`
	Key        string          `json:"key"`
	Data       json.RawMessage `json:"data"`
}

// Enveloped is the event in its envelope.
func Enveloped(e db.Event) Envelope {
	return Envelope{e.ID, e.Type, 1, e.OccurredAt.Time(), e.ActorID, e.Key, json.RawMessage(e.Data)}
}

package audit

import (
	"mediad/store/db"
	"mediad/store/event"
)

// told are the acts that are events, too. The rest of the record is for admins alone.
var told = map[string]string{
	"user.register":     event.UserRegistered,
	"user.create":       event.UserRegistered,
	"user.change":       event.UserUpdated,
	"user.quota":        event.UserUpdated,
	"user.leave":        event.UserUpdated,
	"user.restore":      event.UserUpdated,
	"user.erase":        event.UserErased,
	"user.release":      event.UserUpdated,
	"user.suspend":      event.UserSuspended,
	"role.change":       event.RoleChanged,
	"refresh.reused":    event.SecurityRefreshReused,
	"api_token.create":  event.SecurityTokenCreated,
	"server_key.create": event.SecurityTokenCreated,
	"stream_key.rotate": event.SecurityKeyRotated,
	"webhook.rotate":    event.SecurityKeyRotated,
}

// tell emits the event that an act is, in its transaction.
func (l *Log) tell(q db.Queries, e Entry, row db.Audit) error {
	kind := told[e.Action]
	if e.Action == "login" && e.Outcome == Denied {
		kind = event.SecurityLoginFailed
	}
	// What was denied did not happen, unless it is the very trying that is told of.
	if kind == "" || e.Outcome == Denied && kind != event.SecurityLoginFailed && kind != event.SecurityRefreshReused {
		return nil
	}
	// Whose it is: the account's that it is about, or else of who did it to what is his.
	owner := row.ActorID
	if e.TargetType == "user" {
		owner = e.TargetID
	}
	data := map[string]any{"target": map[string]string{"type": e.TargetType, "id": e.TargetID}}
	if owner != "" {
		data["user_id"] = owner
	}
	switch after := e.After.(type) {
	case map[string]string:
		for name, value := range after {
			data[name] = value
		}
	case map[string]any:
		for name, value := range after {
			data[name] = value
		}
	}
	if kind == event.SecurityLoginFailed {
		data["reason"] = e.Reason
	}
	return event.Emit(q, event.Event{Type: kind, Key: event.User(owner), OwnerID: owner, ActorID: row.ActorID, Data: data}, row.At.Time())
}

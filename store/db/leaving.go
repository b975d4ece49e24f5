package db

import (
	"fmt"

	"gorm.io/gorm"
)

// LeaveUser closes an account, which is erased at a moment. Every session and API token is dead from then on; ErrNotFound if it is closed
// already.
func (q Queries) LeaveUser(id string, eraseAt, now Millis) error {
	err := one("leave", q.user(id).Where("state IN ?", []string{UserActive, UserSuspended}).UpdateColumns(versioned(map[string]any{
		"state": UserLeaving, "erase_at": eraseAt, "session_version": gorm.Expr("session_version + 1"),
	}, now)))
	if err != nil {
		return err
	}
	return wrap("leave: API tokens", q.g.Where("user_id = ?", id).Delete(&APIToken{}).Error)
}

// RestoreUser opens the account of who is leaving again; ErrNotFound if nobody is, or the time for it is over.
func (q Queries) RestoreUser(id string, now Millis) error {
	return one("restore user", q.user(id).Where("state = ? AND erase_at > ?", UserLeaving, now).
		UpdateColumns(versioned(map[string]any{"state": UserActive, "erase_at": nil, "suspended_until": nil, "suspended_reason": ""}, now)))
}

// HideWorks makes the streams and videos of a user private, and the clips that others cut out of these, remembers what they were, and lets nobody publish.
func (q Queries) HideWorks(owner string, now Millis) error {
	err := q.g.Model(&Stream{}).Where("owner_id = ? AND deleted_at IS NULL AND hidden_at IS NULL", owner).UpdateColumns(versioned(map[string]any{
		"hidden_at": now, "kept_visibility": gorm.Expr("visibility"), "kept_replay_visibility": gorm.Expr("replay_visibility"),
		"visibility": "private", "replay_visibility": "private", "policy_epoch": nextEpoch(),
	}, now)).Error
	if err != nil {
		return wrap("hide streams", err)
	}
	for _, whose := range []string{"owner_id", "channel_id"} {
		err := q.g.Model(&Video{}).Where(whose+" = ? AND deleted_at IS NULL AND visibility <> 'private'", owner).
			UpdateColumns(versioned(map[string]any{"kept_visibility": gorm.Expr("visibility"), "visibility": "private", "policy_epoch": nextEpoch()}, now)).Error
		if err != nil {
			return wrap("hide videos", err)
		}
	}
	return nil
}

// ShowWorks undoes HideWorks. A clip whose maker, or whose channel, is still leaving waits for that one.
func (q Queries) ShowWorks(owner string, now Millis) error {
	err := q.g.Model(&Stream{}).Where("owner_id = ? AND hidden_at IS NOT NULL", owner).UpdateColumns(versioned(map[string]any{
		"hidden_at": nil, "visibility": gorm.Expr("kept_visibility"), "replay_visibility": gorm.Expr("kept_replay_visibility"),
		"kept_visibility": "", "kept_replay_visibility": "", "policy_epoch": nextEpoch(),
	}, now)).Error
	if err != nil {
		return wrap("show streams", err)
	}
	const other = "NOT EXISTS (SELECT 1 FROM users u WHERE u.id = videos.%s AND u.state IN ('leaving', 'erased'))"
	for whose, others := range map[string]string{"owner_id": "channel_id", "channel_id": "owner_id"} {
		err := q.g.Model(&Video{}).Where(whose+" = ? AND kept_visibility <> '' AND "+fmt.Sprintf(other, others), owner).
			UpdateColumns(versioned(map[string]any{"visibility": gorm.Expr("kept_visibility"), "kept_visibility": "", "policy_epoch": nextEpoch()}, now)).Error
		if err != nil {
			return wrap("show videos", err)
		}
	}
	return nil
}

// FindStreamIDsOf finds the ids and slugs of all streams of an owner, without those that are deleted.
func (q Queries) FindStreamIDsOf(owner string) ([]Stream, error) {
	var found []Stream
	err := q.g.Select("id", "slug").Where("owner_id = ? AND deleted_at IS NULL", owner).Find(&found).Error
	return found, wrap("streams of a user", err)
}

// ParkFollows takes the follows of a user, in both directions, out of lists and counters, and keeps them.
func (q Queries) ParkFollows(userID string) error {
	return q.all("park follows", userID, []string{
		"UPDATE users SET followers_count = followers_count - 1 WHERE id IN (SELECT followee FROM follows WHERE follower = ?)",
		"UPDATE users SET following_count = following_count - 1 WHERE id IN (SELECT follower FROM follows WHERE followee = ?)",
		"UPDATE users SET followers_count = 0, following_count = 0 WHERE id = ?",
		"INSERT INTO parked_follows SELECT follower, followee, notify, created_at FROM follows WHERE follower = ?",
		"INSERT INTO parked_follows SELECT follower, followee, notify, created_at FROM follows WHERE followee = ?",
		"DELETE FROM follows WHERE follower = ?",
		"DELETE FROM follows WHERE followee = ?",
	})
}

// UnparkFollows undoes ParkFollows for an account that is open again. Those of two who are both leaving stay parked until the other is back.
func (q Queries) UnparkFollows(userID string) error {
	const followees = "SELECT p.followee FROM parked_follows p JOIN users u ON u.id = p.followee WHERE p.follower = ? AND u.state IN ('active', 'suspended')"
	const followers = "SELECT p.follower FROM parked_follows p JOIN users u ON u.id = p.follower WHERE p.followee = ? AND u.state IN ('active', 'suspended')"
	err := q.all("unpark follows", userID, []string{
		"UPDATE users SET followers_count = followers_count + 1 WHERE id IN (" + followees + ")",
		"UPDATE users SET following_count = following_count + 1 WHERE id IN (" + followers + ")",
	})
	if err != nil {
		return err
	}
	for _, side := range []struct{ own, other, open string }{{"follower", "followee", followees}, {"followee", "follower", followers}} {
		where := " FROM parked_follows WHERE " + side.own + " = ? AND " + side.other + " IN (" + side.open + ")"
		for _, statement := range []string{"INSERT INTO follows SELECT follower, followee, notify, created_at" + where, "DELETE" + where} {
			if err := q.g.Exec(statement, userID, userID).Error; err != nil {
				return wrap("unpark follows", err)
			}
		}
	}
	const count = "UPDATE users SET following_count = (SELECT count(*) FROM follows WHERE follower = ?), " +
		"followers_count = (SELECT count(*) FROM follows WHERE followee = ?) WHERE id = ?"
	return wrap("count follows", q.g.Exec(count, userID, userID, userID).Error)
}

// DueErasure is whose time to come back is over, and since when.
type DueErasure struct {
	ID      string
	EraseAt Millis
}

// DueErasures finds them, the longest first, behind the last one of a former page; the zero value: from the first.
func (q Queries) DueErasures(now Millis, after DueErasure, limit int) ([]DueErasure, error) {
	var due []DueErasure
	err := q.g.Model(&User{}).Select("id", "erase_at").Where("erase_at <= ? AND (erase_at, id) > (?, ?)", now, after.EraseAt, after.ID).
		Order("erase_at, id").Limit(limit).Find(&due).Error
	return due, wrap("due erasures", err)
}

// EraseUser leaves nothing of a user but the id and what others are owed by it. Media is swept by who keeps it: videos are deleted as of
// gone. ErrNotFound if the account is not leaving, or its time has not come.
func (q Queries) EraseUser(id string, gone, now Millis) error {
	err := one("erase user", q.user(id).Where("state = ? AND erase_at <= ?", UserLeaving, now).UpdateColumns(versioned(map[string]any{
		"state": UserErased, "erase_at": nil, "username": "deleted-" + id, "display_name": "", "password_hash": "", "role": "viewer",
		"must_change_password": false, "email_enc": "", "email_bidx": nil, "email_verified_at": nil, "suspended_until": nil, "suspended_reason": "",
		"bio": "", "links": "[]", "settings": "{}", "limits": "{}", "verified_at": nil, "streamer_requested_at": nil, "streamer_note": "",
		"avatar": "", "banner": "", "followers_count": 0, "following_count": 0, "session_version": gorm.Expr("session_version + 1"),
	}, now)))
	if err != nil {
		return err
	}
	err = q.all("erase rows", id, []string{
		"DELETE FROM refresh_tokens WHERE user_id = ?", "DELETE FROM sessions WHERE user_id = ?", "DELETE FROM api_tokens WHERE user_id = ?",
		"DELETE FROM totp WHERE user_id = ?", "DELETE FROM recovery_codes WHERE user_id = ?", "DELETE FROM one_time_codes WHERE user_id = ?",
		"DELETE FROM idempotency WHERE caller = ?", "DELETE FROM stream_markers WHERE user_id = ?",
		"DELETE FROM parked_follows WHERE follower = ?", "DELETE FROM parked_follows WHERE followee = ?",
		"DELETE FROM blocks WHERE user_id = ?", "DELETE FROM blocks WHERE other_id = ?",
		"DELETE FROM channel_mods WHERE user_id = ?", "DELETE FROM channel_mods WHERE other_id = ?",
	})
	if err != nil {
		return err
	}
	if err := q.ForgetWatching(id); err != nil {
		return err
	}
	var hooks []string
	if err := q.g.Table("webhooks").Where("owner_id = ?", id).Pluck("id", &hooks).Error; err != nil {
		return wrap("erase webhooks", err)
	}
	for _, one := range hooks {
		if err := q.all("erase webhook", one, []string{"DELETE FROM deliveries WHERE webhook_id = ?", "DELETE FROM webhooks WHERE id = ?"}); err != nil {
			return err
		}
	}
	var streams []string
	if err := q.g.Model(&Stream{}).Where("owner_id = ?", id).Pluck("id", &streams).Error; err != nil {
		return wrap("erase streams", err)
	}
	for _, one := range streams {
		err := q.all("erase rows of a stream", one, []string{
			"DELETE FROM stream_keys WHERE stream_id = ?", "DELETE FROM stream_tags WHERE stream_id = ?", "DELETE FROM disconnects WHERE stream_id = ?",
			"DELETE FROM stream_forwards WHERE stream_id = ?", "DELETE FROM stream_markers WHERE stream_id = ?",
		})
		if err != nil {
			return err
		}
	}
	err = q.g.Model(&Stream{}).Where("owner_id = ?", id).UpdateColumns(versioned(map[string]any{
		"title": "", "description": "", "category": "", "language": "", "visibility": "private", "replay_visibility": "private",
		"kept_visibility": "", "kept_replay_visibility": "", "deleted_at": now, "disabled_at": now, "disabled_reason": "", "policy_epoch": nextEpoch(),
	}, now)).Error
	if err != nil {
		return wrap("erase streams", err)
	}
	for _, whose := range []string{"owner_id", "channel_id"} { // what others cut out of their broadcasts is theirs as well
		err := q.g.Model(&Video{}).Where(whose+" = ?", id).UpdateColumns(versioned(map[string]any{
			"title": "", "description": "", "category": "", "language": "", "visibility": "private", "kept_visibility": "", "policy_epoch": nextEpoch(),
			"deleted_at": gorm.Expr("CASE WHEN deleted_at < ? THEN deleted_at ELSE ? END", gone, gone),
		}, now)).Error
		if err != nil {
			return wrap("erase videos", err)
		}
	}
	return nil
}

// all runs statements about one user or stream.
func (q Queries) all(what, id string, statements []string) error {
	for _, statement := range statements {
		if err := q.g.Exec(statement, id).Error; err != nil {
			return wrap(what, err)
		}
	}
	return nil
}

package db

import (
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// What a follower wants to be told of.
const (
	NotifyAll  = "all"
	NotifyLive = "live"
	NotifyNone = "none"
)

// Follow is a row of follows.
type Follow struct {
	Follower  string
	Followee  string
	Notify    string
	CreatedAt Millis `gorm:"autoCreateTime:false"`
}

// TableName implements gorm's Tabler.
func (Follow) TableName() string { return "follows" }

// Block is a row of blocks: UserID blocks OtherID.
type Block struct {
	UserID    string
	OtherID   string
	CreatedAt Millis `gorm:"autoCreateTime:false"`
}

// TableName implements gorm's Tabler.
func (Block) TableName() string { return "blocks" }

// ChannelMod is a row of channel_mods: OtherID moderates the channel of UserID.
type ChannelMod struct {
	UserID    string
	OtherID   string
	CreatedAt Millis `gorm:"autoCreateTime:false"`
}

// TableName implements gorm's Tabler.
func (ChannelMod) TableName() string { return "channel_mods" }

// Related is where a user stands in a list of relations, and its position: lists are newest first.
type Related struct {
	ID string `json:"i"`
	At Millis `json:"t"`
}

// Follow inserts f and counts it at both users; made is false where it is there already, whose notify is then changed.
func (q Queries) Follow(f Follow) (made bool, err error) {
	result := q.g.Clauses(clause.OnConflict{DoNothing: true}).Create(&f)
	if result.Error != nil {
		return false, wrap("follow", result.Error)
	}
	if result.RowsAffected == 0 {
		return false, one("follow", q.g.Model(&Follow{}).Where("follower = ? AND followee = ?", f.Follower, f.Followee).UpdateColumn("notify", f.Notify))
	}
	return true, q.countFollow(f.Follower, f.Followee, 1)
}

// FindFollow finds one.
func (q Queries) FindFollow(follower, followee string) (Follow, error) {
	var f Follow
	err := q.g.Take(&f, "follower = ? AND followee = ?", follower, followee).Error
	return f, wrap("find follow", err)
}

// Unfollow deletes the row and counts it at both users; gone is false where there is none.
func (q Queries) Unfollow(follower, followee string) (gone bool, err error) {
	result := q.g.Where("follower = ? AND followee = ?", follower, followee).Delete(&Follow{})
	if result.Error != nil || result.RowsAffected == 0 {
		return false, wrap("unfollow", result.Error)
	}
	return true, q.countFollow(follower, followee, -1)
}

// countFollow changes both counters, the smaller id first, so that two that follow each other do not wait for one another. They are no part
// of what a version names: who edits a profile is not in the way of who follows it.
func (q Queries) countFollow(follower, followee string, by int) error {
	steps := []struct{ id, column string }{{follower, "following_count"}, {followee, "followers_count"}}
	if followee < follower {
		steps[0], steps[1] = steps[1], steps[0]
	}
	for _, s := range steps {
		err := one("count follow", q.user(s.id).UpdateColumn(s.column, gorm.Expr(s.column+" + ?", by)))
		if err != nil {
			return err
		}
	}
	return nil
}

// ListFollowers lists who follows the user, behind a position (the zero one: from the newest).
func (q Queries) ListFollowers(userID string, after Related, limit int) ([]Related, error) {
	return q.related(Follow{}.TableName(), "followee", "follower", userID, after, limit)
}

// ListFollowing lists whom the user follows.
func (q Queries) ListFollowing(userID string, after Related, limit int) ([]Related, error) {
	return q.related(Follow{}.TableName(), "follower", "followee", userID, after, limit)
}

// Block inserts the row and ends what the two follow of each other, which it returns; made is false where it is there already. The other
// moderates the channel no more. What they hold of who blocks is then good no more, as BumpPolicies says.
func (q Queries) Block(b Block) (made bool, ended []Follow, err error) {
	result := q.g.Clauses(clause.OnConflict{DoNothing: true}).Create(&b)
	if result.Error != nil || result.RowsAffected == 0 {
		return false, nil, wrap("block", result.Error)
	}
	if err := q.BumpPolicies(b.UserID); err != nil {
		return false, nil, err
	}
	if err := q.RemoveChannelMod(b.UserID, b.OtherID); err != nil {
		return false, nil, err
	}
	for _, f := range []Follow{{Follower: b.UserID, Followee: b.OtherID}, {Follower: b.OtherID, Followee: b.UserID}} {
		gone, err := q.Unfollow(f.Follower, f.Followee)
		if err != nil {
			return false, nil, err
		}
		if gone {
			ended = append(ended, f)
		}
	}
	return true, ended, nil
}

// Unblock deletes the row, where there is one.
func (q Queries) Unblock(userID, otherID string) error {
	return wrap("unblock", q.g.Where("user_id = ? AND other_id = ?", userID, otherID).Delete(&Block{}).Error)
}

// Blocks says whether the one blocks the other.
func (q Queries) Blocks(userID, otherID string) (bool, error) {
	return q.there(&Block{}, userID, otherID)
}

// ListBlocks lists whom the user blocks.
func (q Queries) ListBlocks(userID string, after Related, limit int) ([]Related, error) {
	return q.related(Block{}.TableName(), "user_id", "other_id", userID, after, limit)
}

// AddChannelMod inserts m, where it is not there.
func (q Queries) AddChannelMod(m ChannelMod) error {
	return wrap("add channel moderator", q.g.Clauses(clause.OnConflict{DoNothing: true}).Create(&m).Error)
}

// RemoveChannelMod deletes the row, where there is one.
func (q Queries) RemoveChannelMod(userID, otherID string) error {
	return wrap("remove channel moderator", q.g.Where("user_id = ? AND other_id = ?", userID, otherID).Delete(&ChannelMod{}).Error)
}

// ModeratesChannel says whether otherID moderates the channel of userID.
func (q Queries) ModeratesChannel(userID, otherID string) (bool, error) {
	return q.there(&ChannelMod{}, userID, otherID)
}

// CountChannelMods counts those of a channel.
func (q Queries) CountChannelMods(userID string) (int64, error) {
	var n int64
	err := q.g.Model(&ChannelMod{}).Where("user_id = ?", userID).Count(&n).Error
	return n, wrap("count channel moderators", err)
}

// ListChannelMods lists who moderates the channel of the user.
func (q Queries) ListChannelMods(userID string, after Related, limit int) ([]Related, error) {
	return q.related(ChannelMod{}.TableName(), "user_id", "other_id", userID, after, limit)
}

func (q Queries) there(model any, userID, otherID string) (bool, error) {
	var n int64
	err := q.g.Model(model).Where("user_id = ? AND other_id = ?", userID, otherID).Count(&n).Error
	return n > 0, wrap("find relation", err)
}

func (q Queries) related(table, of, column, userID string, after Related, limit int) ([]Related, error) {
	after = behind(after)
	var found []Related
	err := q.g.Table(table).Select(column+" AS id", "created_at AS at").Where(of+" = ? AND (created_at, "+column+") < (?, ?)", userID, after.At, after.ID).
		Order("created_at DESC, " + column + " DESC").Limit(limit).Find(&found).Error
	return found, wrap("list relations", err)
}

// maxMillis is behind every moment.
const maxMillis Millis = 1 << 62

// Relations are what one user has to do with some others, each by the other's id.
type Relations struct {
	Following  map[string]string // and of what the user wants to be told
	FollowedBy map[string]bool
	Blocked    map[string]bool
	Moderates  map[string]bool // channels of others
}

// FindRelations finds those of a user with at most 100 others.
func (q Queries) FindRelations(userID string, others []string) (Relations, error) {
	r := Relations{Following: map[string]string{}, FollowedBy: map[string]bool{}, Blocked: map[string]bool{}, Moderates: map[string]bool{}}
	if len(others) == 0 {
		return r, nil
	}
	var rows []struct{ Kind, ID, Notify string }
	// One statement: that is what they cost, however little each of them finds.
	const all = "SELECT 'follows' AS kind, followee AS id, notify FROM follows WHERE follower = ? AND followee IN ? " +
		"UNION ALL SELECT 'followed', follower, '' FROM follows WHERE followee = ? AND follower IN ? " +
		"UNION ALL SELECT 'blocks', other_id, '' FROM blocks WHERE user_id = ? AND other_id IN ? " +
		"UNION ALL SELECT 'moderates', user_id, '' FROM channel_mods WHERE other_id = ? AND user_id IN ?"
	if err := q.g.Raw(all, userID, others, userID, others, userID, others, userID, others).Find(&rows).Error; err != nil {
		return r, wrap("find relations", err)
	}
	for _, one := range rows {
		switch one.Kind {
		case "follows":
			r.Following[one.ID] = one.Notify
		case "followed":
			r.FollowedBy[one.ID] = true
		case "blocks":
			r.Blocked[one.ID] = true
		case "moderates":
			r.Moderates[one.ID] = true
		}
	}
	return r, nil
}

// CountVideos counts the public videos of some users, by user.
func (q Queries) CountVideos(owners []string) (map[string]int64, error) {
	counts := map[string]int64{}
	if len(owners) == 0 {
		return counts, nil
	}
	var rows []struct {
		OwnerID string
		N       int64
	}
	table := Video{}.TableName()
	if q.g.Name() == string(SQLite) { // else it prefers the index of all public videos
		table += " INDEXED BY videos_counted"
	}
	err := q.g.Table(table).Select("owner_id", "count(*) AS n").
		Where("owner_id IN ? AND deleted_at IS NULL AND visibility = 'public' AND state = 'ready'", owners).Group("owner_id").Find(&rows).Error
	for _, r := range rows {
		counts[r.OwnerID] = r.N
	}
	return counts, wrap("count videos", err)
}

package db

import (
	"errors"

	"gorm.io/gorm"
)

// Policy is what decides who may watch a stream or video.
type Policy struct {
	ID          string
	OwnerID     string
	ChannelID   string // of a clip out of another's broadcast: whose that is; "": of anything else
	Slug        string // of a stream
	Visibility  string
	PolicyEpoch int64
	// Shown: it is not deleted, and of a video that it can be played.
	Shown bool
}

// The columns of a policy.
const (
	streamPolicy = "id, owner_id, slug, visibility, policy_epoch, deleted_at IS NULL AS shown"
	videoPolicy  = "id, owner_id, COALESCE(channel_id, '') AS channel_id, visibility, policy_epoch, deleted_at IS NULL AND state = 'ready' AS shown"
)

// StreamPolicyBySlug finds that of a stream by its slug in any spelling.
func (q Queries) StreamPolicyBySlug(slug string) (Policy, error) {
	return q.policy(q.g.Model(&Stream{}).Select(streamPolicy).Where("slug_norm = ?", NormSlug(slug)))
}

// VideoPolicy finds that of a video.
func (q Queries) VideoPolicy(id string) (Policy, error) {
	return q.policy(q.g.Model(&Video{}).Select(videoPolicy).Where("id = ?", id))
}

func (q Queries) policy(g *gorm.DB) (Policy, error) {
	var p Policy
	result := g.Limit(1).Scan(&p)
	if result.Error == nil && result.RowsAffected == 0 {
		return Policy{}, wrap("find policy", gorm.ErrRecordNotFound)
	}
	return p, wrap("find policy", result.Error)
}

// StreamPolicies finds those of streams, in no order.
func (q Queries) StreamPolicies(ids []string) ([]Policy, error) {
	return q.policies(func() *gorm.DB { return q.g.Model(&Stream{}).Select(streamPolicy) }, ids)
}

// VideoPolicies finds those of videos, in no order.
func (q Queries) VideoPolicies(ids []string) ([]Policy, error) {
	return q.policies(func() *gorm.DB { return q.g.Model(&Video{}).Select(videoPolicy) }, ids)
}

func (q Queries) policies(of func() *gorm.DB, ids []string) ([]Policy, error) {
	var found []Policy
	for len(ids) > 0 {
		n := min(len(ids), inList)
		var some []Policy
		if err := of().Where("id IN ?", ids[:n]).Scan(&some).Error; err != nil {
			return nil, wrap("find policies", err)
		}
		found, ids = append(found, some...), ids[n:]
	}
	return found, nil
}

// BumpPolicies lets what was given out of a user's streams and videos, and of clips out of these, be good no more, where they are not for
// everybody. Their versions stay: nothing changes that anybody is shown.
func (q Queries) BumpPolicies(owner string) error {
	bump := func(model any, whose string) error {
		return q.g.Model(model).Where(whose+" = ? AND deleted_at IS NULL AND visibility IN ('followers', 'private')", owner).
			UpdateColumn("policy_epoch", nextEpoch()).Error
	}
	return wrap("bump policies", errors.Join(bump(&Stream{}, "owner_id"), bump(&Video{}, "owner_id"), bump(&Video{}, "channel_id")))
}

func nextEpoch() any { return gorm.Expr("policy_epoch + 1") }

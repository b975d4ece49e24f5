package api

import (
	"time"

	"mediad/api/caller"
	"mediad/api/limit"
)

// rule says who may call an operation. Whose a thing is, is looked at where it is known: in the services, by caller.Caller.
type rule struct {
	// signedIn: not for anybody. least: the least role that may; "" is any.
	signedIn bool
	least    caller.Role
	// scope is what an API token needs; where signedIn and "": none is taken.
	scope caller.Scope
	// policy is the rate limit that counts beside the general one; "": none.
	policy string
	// tries is the policy that counts every call where policy counts only those that say something: what is refused for the form of its body
	// alone is given back there. "": none.
	tries string
	// noStore: no cache keeps the answer, not even the caller's own. It is for signing in, money, and what only staff sees.
	noStore bool
	// unsigned: an Authorization header is not looked at, as the caller may have one of a session that is over.
	unsigned bool
	// first: it may be called before a one-time password is changed.
	first bool
	// key: for other servers alone, by a signed request.
	key bool
	// once: it needs an Idempotency-Key, as it moves money.
	once bool
	// per is the path's parameter whose value the policy counts by; "": by who calls.
	per string
	// plain: the body may come as text/plain, as pages send it that are being left.
	plain bool
	// anyBody: the body is not held to the API's rules of JSON, as foreign programs write it.
	anyBody bool
}

// rules is the one table of who may call what. An operation that is not in it is not mounted: New fails.
func rules() map[string]rule {
	public := rule{}
	entry := func(policy string) rule { return rule{policy: policy, noStore: true, unsigned: true} }
	own := rule{signedIn: true}
	session := rule{signedIn: true, noStore: true}
	profile := rule{signedIn: true, scope: caller.Profile}
	interact := rule{signedIn: true, scope: caller.Interactions, policy: "interact"}
	admin := rule{signedIn: true, least: caller.Admin, scope: caller.AdminScope, noStore: true}
	hooks := rule{signedIn: true, least: caller.Streamer, scope: caller.Webhooks}
	moderate := rule{signedIn: true, least: caller.Moderator, scope: caller.Moderation, noStore: true}
	watched := rule{signedIn: true, scope: caller.Interactions}
	with := func(r rule, change func(*rule)) rule {
		change(&r)
		return r
	}
	first := func(r *rule) { r.first = true }
	// A server key may do more than any token, so no token makes one.
	serverKeys := rule{signedIn: true, least: caller.Admin, noStore: true}
	sendsPicture := func(r *rule) { r.anyBody, r.policy = true, "upload" }
	streamer := func(r *rule) { r.least = caller.Streamer }
	readsStreams, writesStreams := rule{signedIn: true, scope: caller.StreamsRead}, rule{signedIn: true, scope: caller.StreamsWrite}
	readsVideos, writesVideos := rule{signedIn: true, scope: caller.VideosRead}, rule{signedIn: true, scope: caller.VideosWrite}
	return map[string]rule{
		"listStreams": public, "getStream": public, "getStreamPlayback": public, "listStreamSessions": public, "getStreamSession": public,
		"createStream": with(writesStreams, streamer), "listMyStreams": with(readsStreams, streamer), "updateStream": writesStreams,
		"deleteStream": writesStreams, "createStreamKey": writesStreams, "rotateStreamKeys": writesStreams, "deleteStreamKey": writesStreams,
		"endStream": writesStreams, "disableStream": writesStreams, "enableStream": writesStreams, "listStreamDisconnects": readsStreams,
		"getStreamHealth": readsStreams,
		"listVideos":      public, "getVideo": public, "getVideoPlayback": public,
		"listCategories": public, "listAdminCategories": admin, "getAdminCategory": admin, "createCategory": admin, "deleteCategory": admin,
		"createForward": writesStreams, "listForwards": readsStreams, "getForward": readsStreams, "deleteForward": writesStreams,
		"createMarker": writesStreams, "listMarkers": readsStreams, "getMarker": readsStreams, "getStreamKey": readsStreams, "deleteMarker": writesStreams,
		"updateVideo": writesVideos, "deleteVideo": writesVideos, "createClip": with(writesVideos, func(r *rule) { r.policy = "clip" }), "listClips": readsVideos,
		"getConfig": public, "getJWKS": public, "getUser": public, "listUserStreams": public, "listUserVideos": public,
		"getOBSConfigFile": readsStreams,
		"getOBSConfig":     {anyBody: true, unsigned: true},

		"startPlay": public, "beatPlay": {policy: "play", per: "play_id", plain: true, unsigned: true},
		"listHistory": watched, "clearHistory": interact, "deleteHistory": interact,
		"listWatchLater": watched, "getWatchLater": watched, "addWatchLater": interact, "removeWatchLater": interact,

		"register": with(entry("register"), func(r *rule) { r.tries = "register_tries" }), "login": entry("login"), "refresh": entry("refresh"),
		"requestPasswordReset": entry("login"), "confirmPasswordReset": entry("login"),

		"restoreMe": entry("login"), "deleteMe": own, "createExport": own, "listExports": own, "getExport": own,
		"logout": with(session, first), "changePassword": with(session, first),
		"listSessions": session, "endSession": session, "endOtherSessions": session, "verifyEmail": session,
		"createTOTP": session, "confirmTOTP": session, "deleteTOTP": session,
		"listAPITokens": own, "getAPIToken": own, "createAPIToken": own, "deleteAPIToken": own,

		"listServerKeys": admin, "getServerKey": admin, "createServerKey": serverKeys, "deleteServerKey": serverKeys,
		"followUser": interact, "unfollowUser": interact, "blockUser": interact, "unblockUser": interact,
		"listFollowers": public, "listFollowing": public, "listBlocks": {signedIn: true, scope: caller.Interactions},
		"listChannelModerators":  {signedIn: true, scope: caller.Moderation},
		"addChannelModerator":    {signedIn: true, scope: caller.Moderation, policy: "interact"},
		"removeChannelModerator": {signedIn: true, scope: caller.Moderation, policy: "interact"},

		"listJobs": admin, "getJob": admin, "retryJob": admin, "cancelJob": admin, "updateJob": admin,
		"sweepSite": admin, "backUpSite": admin,
		"listWebhooks": hooks, "getWebhook": hooks, "createWebhook": hooks, "updateWebhook": hooks, "deleteWebhook": hooks, "rotateWebhookSecret": hooks, "testWebhook": hooks,
		"listWebhookDeliveries": hooks, "retryWebhookDelivery": hooks,
		"suspendUser": moderate, "releaseUser": moderate, "getSuspension": moderate,
		"listUsers": admin, "createUser": admin, "moderateUser": admin, "signOutUser": admin, "revealUser": admin, "listAudit": admin, "exportAudit": admin,
		"listAlerts": admin, "ackAlert": admin,
		"getOverview": admin, "getSettings": admin, "updateSettings": admin, "listAllStreams": admin, "kickStream": admin,
		"listInvites": admin, "getInvite": admin, "createInvite": admin, "deleteInvite": admin,
		// It leads into the account, and so no API token has it.
		"createPasswordReset": with(admin, func(r *rule) { r.scope = "" }),

		"getMe": with(profile, first), "updateMe": profile, "becomeStreamer": profile,
		"setAvatar": with(profile, sendsPicture), "setBanner": with(profile, sendsPicture), "deleteAvatar": profile, "deleteBanner": profile,
	}
}

// policies are the default rate limits of rules, by user or else by address.
func policies() map[string]limit.Policy {
	return map[string]limit.Policy{
		"user":     {Name: "default", Quota: 600, Window: time.Minute},
		"login":    {Name: "login", Quota: 30, Window: 15 * time.Minute},
		"register": {Name: "register", Quota: 5, Window: time.Hour},

		"register_tries": {Name: "register_tries", Quota: 30, Window: time.Hour},
		"interact":       {Name: "interact", Quota: 120, Window: time.Minute},
		"refresh":        {Name: "refresh", Quota: 30, Window: time.Minute},
		"play":           {Name: "play", Quota: 12, Window: time.Minute},
		"upload":         {Name: "upload", Quota: 30, Window: time.Hour},
		// Tokens and keys that are none, by address.
		"credentials": {Name: "credentials", Quota: 30, Window: time.Minute},
		"clip":        {Name: "clip", Quota: 10, Window: time.Minute},
	}
}

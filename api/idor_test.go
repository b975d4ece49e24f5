package api_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api/apitest"
	"mediad/store/db"
)

// victim is somebody with one of everything that has an id.
type victim struct {
	session
	private, public own // streams
	broadcast, open db.Video
	token           string // id
	export          string // id
	forward         string // id
	hook, delivery  string // ids of a webhook and of what it was sent
}

// foreign says of each operation with an id in its path what somebody else's id gives a streamer who has nothing to do with its owner. Each
// row has a path and the status; "open" is what anybody may do to anybody, with the reason.
func foreign(v victim) map[string][]attempt {
	private, public := "/api/v1/streams/"+v.private.ID, "/api/v1/streams/"+v.public.ID
	mine := "/api/v1/streams/mallorys"
	stream := func(tail string) []attempt {
		return []attempt{{private + tail, 404}, {"/api/v1/streams/" + v.private.Slug + tail, 404}, {public + tail, 403}}
	}
	read := func(tail string) []attempt {
		return []attempt{{private + tail, 404}, {"/api/v1/streams/" + strings.ToUpper(v.private.ID) + tail, 404}}
	}
	one := func(path string, status int) []attempt { return []attempt{{path, status}} }
	open := func(why string) []attempt { return one(why, 0) }
	user, id := "/api/v1/users/"+v.User.ID, v.User.ID
	hook := "/api/v1/me/webhooks/" + v.hook
	return map[string][]attempt{
		"getUser": open("profiles are public"), "listFollowers": open("so are followers"), "listFollowing": open("and whom one follows, unless hidden"),
		"listUserStreams": open("has what everyone finds"), "listUserVideos": open("has what everyone finds"),
		"followUser": open("is the caller's own relation"), "unfollowUser": open("is the caller's own relation"),
		"beatPlay": open("its id is known to the player alone"), "deleteHistory": open("is out of the caller's own"),
		"addWatchLater": one("/api/v1/me/watch-later/"+v.broadcast.ID, 404), "getWatchLater": one("/api/v1/me/watch-later/"+v.broadcast.ID, 404),
		"removeWatchLater": open("is out of the caller's own"),
		"blockUser":        open("is the caller's own relation"), "unblockUser": open("is the caller's own relation"),

		"getStream": read(""), "getStreamPlayback": read("/playback"), "listStreamSessions": read("/sessions"),
		"getStreamSession": {{private + "/sessions/" + *v.broadcast.SessionID, 404}, {mine + "/sessions/" + *v.broadcast.SessionID, 404}},
		"updateStream":     stream(""), "deleteStream": stream(""), "createStreamKey": stream("/keys"), "rotateStreamKeys": stream("/keys/rotate"),
		"deleteStreamKey": append(stream("/keys/"+v.private.Keys[0].ID), attempt{mine + "/keys/" + v.public.Keys[0].ID, 404}),
		"endStream":       stream("/end"), "disableStream": stream("/disabled"), "enableStream": stream("/disabled"),
		"getStreamKey":          append(stream("/keys/"+v.private.Keys[0].ID), attempt{mine + "/keys/" + v.public.Keys[0].ID, 404}),
		"listStreamDisconnects": stream("/disconnects"), "getStreamHealth": stream("/health"),

		"createMarker": stream("/markers"), "listMarkers": stream("/markers?session_id=" + *v.broadcast.SessionID),
		"getMarker":    append(stream("/markers/"+id), attempt{mine + "/markers/" + id, 404}),
		"deleteMarker": append(stream("/markers/"+id), attempt{mine + "/markers/" + id, 404}), "getOBSConfigFile": stream("/obs-config.json"),
		"createForward": stream("/forwards"), "listForwards": stream("/forwards"),
		"getForward":    append(stream("/forwards/"+v.forward), attempt{mine + "/forwards/" + v.forward, 404}),
		"deleteForward": append(stream("/forwards/"+v.forward), attempt{mine + "/forwards/" + v.forward, 404}),
		"updateVideo":   {{"/api/v1/videos/" + v.broadcast.ID, 404}, {"/api/v1/videos/" + v.open.ID, 403}},
		"deleteVideo":   {{"/api/v1/videos/" + v.broadcast.ID, 404}, {"/api/v1/videos/" + v.open.ID, 403}},
		"createClip":    append(read("/clips"), attempt{public + "/clips", 409}), "listClips": append(read("/clips"), attempt{public + "/clips", 200}),
		"getVideo": one("/api/v1/videos/"+v.broadcast.ID, 404), "getVideoPlayback": one("/api/v1/videos/"+v.broadcast.ID+"/playback", 404),
		"endSession": one("/api/v1/auth/sessions/"+v.ID, 404), "deleteAPIToken": one("/api/v1/me/api-tokens/"+v.token, 404), "getAPIToken": one("/api/v1/me/api-tokens/"+v.token, 404),
		"getExport":     one("/api/v1/me/exports/"+v.export, 404),
		"getWebhook":    one(hook, 404),
		"updateWebhook": one(hook, 404), "deleteWebhook": one(hook, 404), "rotateWebhookSecret": one(hook+"/rotate-secret", 404), "testWebhook": one(hook+"/test", 404),
		"listWebhookDeliveries": one(hook+"/deliveries", 404), "retryWebhookDelivery": one(hook+"/deliveries/"+v.delivery+"/retry", 404),
		"listChannelModerators": one("/api/v1/channels/"+id+"/moderators", 403),
		"addChannelModerator":   one("/api/v1/channels/"+id+"/moderators/@mallory", 403), "removeChannelModerator": one("/api/v1/channels/"+id+"/moderators/@carl", 403),

		"suspendUser": one(user+"/suspension", 403), "releaseUser": one(user+"/suspension", 403), "getSuspension": one(user+"/suspension", 403),
		"moderateUser": one("/api/v1/admin/users/"+id, 403), "createPasswordReset": one("/api/v1/admin/users/"+id+"/password-reset", 403),
		"signOutUser": one("/api/v1/admin/users/"+id+"/logout", 403), "revealUser": one("/api/v1/admin/users/"+id+"/reveal?field=email&reason=x", 403),
		"kickStream":   {{"/api/v1/admin/streams/" + v.private.ID + "/kick", 403}, {"/api/v1/admin/streams/" + v.public.ID + "/kick", 403}},
		"deleteInvite": one("/api/v1/admin/invites/"+id, 403), "deleteServerKey": one("/api/v1/admin/server-keys/"+id, 403),
	}
}

type attempt struct {
	path   string
	status int // 0: it is open to all
}

// TestIDOR calls every operation that has an id in its path with somebody else's. A new operation without a row fails it.
func TestIDOR(t *testing.T) {
	w := newWalker(t)
	v := victim{session: w.streamer("vera")}
	v.private = w.stream(v.Access, `{"slug":"veras-private","title":"Hers","visibility":"private"}`)
	v.public = w.stream(v.Access, `{"slug":"veras-public","title":"Hers too"}`)
	row, err := w.s.db.Read(t.Context()).FindStream(v.private.ID)
	require.NoError(t, err)
	v.broadcast = w.s.broadcast(t, row, 1)
	row, err = w.s.db.Read(t.Context()).FindStream(v.public.ID)
	require.NoError(t, err)
	v.open = w.s.broadcast(t, row, 2)
	var token struct{ ID string }
	made := w.want(201, "", "POST", "/api/v1/me/api-tokens", v.Access, `{"label":"bot","scopes":["profile"]}`)
	require.NoError(t, json.Unmarshal(made.Body.Bytes(), &token))
	v.token = token.ID
	made = w.want(202, "", "POST", "/api/v1/me/exports", v.Access, "")
	require.NoError(t, json.Unmarshal(made.Body.Bytes(), &token))
	v.export = token.ID
	v.forward = decode[struct{ ID string }](t, w.want(201, "", "POST", "/api/v1/streams/veras-public/forwards", v.Access, `{"url":"rtmp://a.example.com/live/veras-secret"}`).Body.Bytes()).ID
	hook := w.hook(v.Access, "https://bot.example.com/", `"stream.online"`, "")
	sent := decode[deliveryBody](t, w.want(202, "", "POST", hooksPath+"/"+hook.ID+"/test", v.Access, "").Body.Bytes())
	v.hook, v.delivery = hook.ID, sent.ID
	w.want(204, "", "PUT", "/api/v1/channels/@vera/moderators/@carl", v.Access, "")
	mallory := w.streamer("mallory")
	w.stream(mallory.Access, `{"slug":"mallorys","title":"Mine"}`)
	scopes := `["profile","videos:read","videos:write","streams:read","streams:write","interactions","webhooks","moderation","admin"]`
	made = w.want(201, "", "POST", "/api/v1/me/api-tokens", mallory.Access, `{"label":"bot","scopes":`+scopes+`}`)
	var bot struct{ Token string }
	require.NoError(t, json.Unmarshal(made.Body.Bytes(), &bot))

	table, before := foreign(v), w.life(v.session)
	tried := 0
	for _, op := range operations(t) {
		if !strings.Contains(op.Path, "{") {
			continue
		}
		attempts, known := table[op.ID]
		if role := who()[op.ID]; !known && (role == "A" || role == "M") { // nobody gets so far as to an id
			attempts, known = []attempt{{w.path(op.Path), 403}}, true
		}
		if !assert.True(t, known, "what does somebody else's id give in %s %s? foreign has no row for %s", op.Method, op.Path, op.ID) {
			continue
		}
		delete(table, op.ID)
		for _, one := range attempts {
			if one.status == 0 {
				continue
			}
			for _, token := range []string{mallory.Access, bot.Token, ""} {
				sc := apitest.Scenario{Method: op.Method, Path: one.path, Token: token}
				if op.Body != nil {
					sc.Body = toText(w.least(op.Body))
				}
				a := apitest.Do(t, w.h, sc)
				w.doc.Check(t, sc.Method, a)
				tried++
				want := []int{one.status}
				if token != mallory.Access { // a token's scope, or nobody at all, may be what is wrong first
					want = append(want, 401, 403)
				}
				assert.Contains(t, want, a.Code, "%s %s: %s", op.Method, one.path, a.Body)
				for _, secret := range []string{v.private.Slug, v.private.Keys[0].Hint, "Hers"} {
					if a.Code == 404 && !strings.Contains(one.path, secret) {
						assert.NotContains(t, a.Body.String(), secret, op.ID)
					}
				}
			}
		}
		require.Equal(t, before, w.life(v.session), "%s changed what is somebody else's", op.ID)
	}
	assert.Empty(t, table, "rows without an operation")
	assert.Greater(t, tried, 80)

	// Ids elsewhere than in the path.
	for kind, id := range map[string]string{"video": v.broadcast.ID, "stream": v.private.ID} {
		w.want(404, "not_found", "POST", "/api/v1/plays", mallory.Access, `{"kind":"`+kind+`","id":"`+id+`"}`)
	}
	for _, path := range []string{"/api/v1/videos?stream=" + v.private.ID, "/api/v1/videos?stream=" + v.private.Slug} {
		a := w.do("GET", path, mallory.Access, "")
		assert.NotContains(t, a.Body.String(), v.broadcast.ID)
	}
	page := w.want(200, "", "GET", "/api/v1/me/api-tokens?limit=1", v.Access, "")
	assert.NotContains(t, w.want(200, "", "GET", "/api/v1/me/api-tokens", mallory.Access, "").Body.String(), v.token)
	assert.Contains(t, page.Body.String(), v.token)
}

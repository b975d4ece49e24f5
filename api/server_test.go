package api_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"mediad/api"
	"mediad/api/account"
	"mediad/api/admin"
	"mediad/api/alert"
	"mediad/api/apitest"
	"mediad/api/audit"
	"mediad/api/auth"
	"mediad/api/category"
	"mediad/api/export"
	"mediad/api/object"
	"mediad/api/once"
	"mediad/api/openapi"
	"mediad/api/outbound"
	"mediad/api/play"
	"mediad/api/playback"
	"mediad/api/serverkey"
	"mediad/api/setting"
	"mediad/api/stream"
	"mediad/api/system"
	"mediad/api/trace"
	"mediad/api/upkeep"
	"mediad/api/video"
	"mediad/api/webhook"
	"mediad/store/db"
	"mediad/store/db/dbtest"
	"mediad/store/river"
	"mediad/store/seal"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// onAir is a Live with fixed streams.
type onAir struct {
	infos   []api.LiveInfo
	viewers map[string]int
	ended   map[string]string // why, by slug; nil: nobody asks
}

func (o onAir) LiveNow() []api.LiveInfo { return o.infos }
func (o onAir) Viewers(slug string) int { return o.viewers[slug] }
func (o onAir) Health(slug string) (stream.Health, bool) {
	_, ok := o.LiveState(slug)
	return stream.Health{Protocol: "rtmp", Ladder: []stream.HealthRung{}, Forwards: []stream.HealthForward{}, Alerts: []stream.HealthAlert{}}, ok
}
func (o onAir) Recheck() {}
func (o onAir) End(slug, reason string) bool {
	_, ok := o.LiveState(slug)
	if ok && o.ended != nil {
		o.ended[slug] = reason
	}
	return ok
}
func (o onAir) LiveState(slug string) (api.LiveInfo, bool) {
	for _, i := range o.infos {
		if i.Stream == slug {
			return i, true
		}
	}
	return api.LiveInfo{}, false
}

// brokenLive fails as a bug would.
type brokenLive struct{ onAir }

func (brokenLive) LiveState(string) (api.LiveInfo, bool) { panic("a bug with a /secret/path") }

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// media has renditions by video.
type media map[string][]video.Rendition

func (m media) Renditions(_ context.Context, id string) ([]video.Rendition, error) {
	r, ok := m[id]
	if !ok {
		return nil, video.ErrNotFound
	}
	return r, nil
}

// Places implements video.Media: a broadcast begins at noon and goes on without a break.
func (m media) Places(_ context.Context, _ string, moments []time.Time) ([]time.Duration, error) {
	out := make([]time.Duration, len(moments))
	for i, at := range moments {
		if out[i] = at.Sub(noon); out[i] < 0 {
			out[i] = -1
		}
	}
	return out, nil
}

// OneFile implements video.Media: renditions without codecs are such as change.
func (m media) OneFile(_ context.Context, id string) (bool, error) { return m[id][0].Codecs != "", nil }

// forwarding is a stream.Forwarding that shows the host alone.
type forwarding struct{}

func (forwarding) Shown(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "rtmp" && u.Scheme != "srt" || strings.Count(u.Path, "/") < 2 && u.Scheme == "rtmp" {
		return "", errors.New("a target begins with rtmp:// or srt://")
	}
	return u.Scheme + "://" + u.Host + "/…", nil
}

func (forwarding) Allowed(addr netip.Addr) bool { return outbound.Guard{}.Allowed(addr) }

// site is an API with a database of its own.
type site struct {
	db       *db.DB
	accounts *account.Service
	auth     *auth.Service
	// standings are what auth knows of callers.
	standings *auth.Standings
	log       *slog.Logger
	secrets   *seal.Ring
	audit     *audit.Log
	clock     *testClock
	hashed    *atomic.Int64 // passwords compared
	mails     *mailbox
	logs      *bytes.Buffer
	objects   *objects
	keeper    *object.Keeper
	exports   *export.Service
	jobs      *testJobs
	streams   *stream.Service
	// categories has the initial list.
	categories *category.Service
	videos     *video.Service
	plays      *play.Service
	queue      *jobQueue
	hooks      *webhook.Service
	upkeep     *upkeep.Service
	alerts     *alert.Service
	media      media
	owner      db.User
	deps       api.Deps
	used       map[string]bool // secrets that went through client
	security   counted
}

func newSite(t testing.TB, o db.Options) *site {
	t.Helper()
	d := dbtest.OpenWith(t, o)
	s := &site{db: d, clock: &testClock{now: noon}, hashed: &atomic.Int64{}, mails: &mailbox{}, logs: &bytes.Buffer{}}
	secrets, err := seal.New([]byte(strings.Repeat("m", 32)))
	require.NoError(t, err)
	log := slog.New(trace.Handler(slog.NewTextHandler(&lockedWriter{to: s.logs}, &slog.HandlerOptions{Level: slog.LevelDebug})))
	standings := auth.NewStandings(s.clock.Now)
	records := audit.New(audit.Options{DB: d, Secrets: secrets, Node: "test", Now: s.clock.Now})
	accounts := account.New(account.Options{
		DB: d, Secrets: secrets, Audit: records, Now: s.clock.Now, Hashed: func() { s.hashed.Add(1) }, HashMemory: 64, Changed: standings.ForgetUser, Log: log,
	})
	s.accounts, s.secrets, s.audit, s.standings, s.log = accounts, secrets, records, standings, log
	s.auth, err = s.newAuth("https://tv.example.com")
	require.NoError(t, err)
	first, _, err := accounts.EnsureFirstAdmin(t.Context(), "anna", "correct horse")
	require.NoError(t, err)
	s.owner = first.User
	s.streams = stream.New(stream.Options{
		DB: d, Owner: accounts.FirstAdmin, DVR: 2 * time.Hour, ResumeWindow: time.Minute, Record: true, Audit: records,
		Forwarding: forwarding{}, Secrets: secrets, Now: s.clock.Now, Log: log,
	})
	s.categories = category.New(category.Options{DB: d, Audit: records, Now: s.clock.Now, Log: log})
	require.NoError(t, s.categories.Ensure(t.Context()))
	s.videos = video.New(video.Options{DB: d, Audit: records, Now: func() time.Time { return noon }})
	ring, err := playback.Keys(secrets)
	require.NoError(t, err)
	s.plays = play.New(play.Options{DB: d, Streams: s.streams, Videos: s.videos, Keys: play.Keys{Secrets: secrets}, Now: s.clock.Now, Log: log})
	s.queue = &jobQueue{}
	s.hooks = webhook.New(webhook.Options{
		DB: d, Secrets: secrets, Audit: records, Jobs: s.queue, Loopback: true, Schedule: []time.Duration{time.Millisecond, time.Millisecond},
		Most: func(u db.User) int64 { return accounts.LimitsOf(u).Webhooks }, Now: s.clock.Now, Log: log,
	})
	s.upkeep = upkeep.New(upkeep.Options{DB: d, Jobs: s.queue, Record: accounts.Record})
	s.queue.Queue, err = river.New(river.Options{DB: d, Kinds: slices.Concat(s.hooks.Jobs(), s.upkeep.Jobs()), Poll: 100 * time.Millisecond, Now: s.clock.Now, Log: log})
	require.NoError(t, err)
	s.alerts = alert.New(alert.Options{DB: d, Audit: records, Host: "host", Node: s.queue.Node, Now: s.clock.Now, Log: log})
	s.media = media{}
	s.objects = newObjects()
	s.keeper = object.New(object.Options{DB: d, Store: s.objects, Now: s.clock.Now, Log: log})
	s.jobs = &testJobs{}
	s.exports = export.New(export.Options{
		DB: d, Objects: s.keeper, Secrets: secrets, Jobs: s.jobs, Email: accounts.EmailOf, Record: accounts.Record, Dir: filepath.Join(t.TempDir(), "tmp"),
		Now: s.clock.Now, Log: log,
	})
	s.used = map[string]bool{}
	t.Cleanup(func() { s.searchSecrets(t) })
	s.deps = api.Deps{
		Streams: s.streams, Live: onAir{}, Videos: s.videos, Media: s.media, Plays: s.plays, Now: s.clock.Now,
		// As on a node that is alone: everything that changes rows is in this process.
		Heard:    func(context.Context, int64) bool { return true },
		Clipping: video.NewClipping(video.ClippingOptions{Service: s.videos, Cutter: &scissors{s: s}, Who: video.ClipsByAll}),
		Accounts: accounts, Auth: s.auth, Playback: playback.NewIssuer(ring, s.clock.Now), Objects: s.keeper, Exports: s.exports, Log: log,
		Overview: func(context.Context) (admin.Overview, error) {
			return admin.Overview{
				Nodes: []admin.OverviewNode{{ID: "test", This: true, StartedAt: "2026-03-01T12:00:00.000Z"}}, StreamAlerts: []admin.OverviewStreamAlert{{Code: "gop_too_long", Streams: 1}},
				DB: admin.OverviewDB{Engine: string(d.Engine()), Replicas: []admin.OverviewBehind{}}, Blob: admin.OverviewBlob{State: "none"},
			}, nil
		},
		Settings:   setting.New(setting.Options{DB: d, Keys: settingKeys(), Audit: records, Now: s.clock.Now, Log: log}),
		Categories: s.categories,
		Once:       once.New(once.Options{DB: d, Secrets: secrets, Now: s.clock.Now, Log: log}),
		ServerKeys: serverkey.New(serverkey.Options{DB: d, Secrets: secrets, Audit: records, Security: s.security.add, Now: s.clock.Now, Log: log}),
		Webhooks:   s.hooks, Jobs: s.queue, Upkeep: s.upkeep, Alerts: s.alerts,
		Config: api.Config{
			Site:      system.Site{RTMPPort: 1935, RTMPSPort: 1936, Features: system.Features{LowLatency: true, DVR: true, WHIP: true, WHEP: true}},
			CursorKey: []byte(strings.Repeat("k", 32)), CacheFor: -1,
		},
	}
	return s
}

// newAuth signs in to a site of that address.
func (s *site) newAuth(publicURL string) (*auth.Service, error) {
	return auth.New(context.Background(), auth.Options{
		DB: s.db, Accounts: s.accounts, Secrets: s.secrets, Audit: s.audit, Standings: s.standings, Mail: s.mails, PublicURL: publicURL,
		Registration: func() (string, error) { return s.deps.Settings.Text(admin.Registration) },
		Now:          s.clock.Now, Log: s.log,
	})
}

func (s *site) create(t testing.TB, c stream.Create) db.Stream {
	t.Helper()
	c.OwnerID = s.owner.ID
	made, err := s.streams.Create(t.Context(), c)
	require.NoError(t, err)
	return made.Stream
}

func (s *site) handler(t testing.TB) http.Handler {
	t.Helper()
	h, err := api.New(s.deps)
	require.NoError(t, err)
	return h
}

func liveInfo(slug string) api.LiveInfo {
	return api.LiveInfo{
		Stream: slug, State: stream.SessionLive, SessionID: "0198f2a0-0000-7000-8000-0000000000e1", StartedAt: noon,
		Epochs: []stream.Epoch{{
			StartedAt: noon.Add(1500 * time.Millisecond), Protocol: "rtmp", Encoder: "obs <b>", Reason: "start",
			Video: &stream.Video{Codec: "avc1.64001f", Width: 1280, Height: 720, FPS: 30000.0 / 1001},
			Audio: &stream.Audio{Codec: "mp4a.40.2", SampleRate: 48000, Channels: 2},
		}},
		Qualities: []stream.Quality{{Name: "source", Width: 1280, Height: 720, FPS: 30, Codecs: "avc1.64001f,mp4a.40.2", BitrateBPS: 2660000}},
	}
}

func TestDocumentIsTheGoldenFile(t *testing.T) {
	h := newSite(t, db.Options{}).handler(t)
	served := apitest.Do(t, h, apitest.Scenario{Path: "/api/v1/openapi.json"}).Body.Bytes()
	if *update {
		require.NoError(t, os.WriteFile("openapi/openapi.json", served, 0o644))
		return
	}
	assert.Equal(t, string(openapi.Document), string(served), "go test ./api -update rewrites the golden file")
	for _, word := range []string{"ErrorModel", "password_hash", "$schema", "key_hash"} {
		assert.NotContains(t, string(served), word)
	}
}

func TestEveryOperationHasAnIDAndItsProblems(t *testing.T) {
	h := newSite(t, db.Options{}).handler(t)
	body := apitest.Do(t, h, apitest.Scenario{Path: "/api/v1/openapi.json"}).Body.String()
	for _, id := range []string{"listStreams", "getStream", "getStreamPlayback", "getConfig", "getOBSConfig", "getOpenAPI", "getDocs"} {
		assert.Contains(t, body, `"operationId": "`+id+`"`)
	}
	for _, code := range []string{"invalid_cursor", "invalid_parameter", "not_found", "rate_limited", "internal", "timeout", "unavailable"} {
		assert.Contains(t, body, `"`+code+`"`)
	}
}

func TestStreamsAndPlayback(t *testing.T) {
	s := newSite(t, db.Options{})
	viewers := 500
	main := s.create(t, stream.Create{
		Slug: "main", Title: " Friday <script>blitz\u202e ", Description: "Line one\nline two", Category: "games",
		Tags: []string{"Chess", "blitz", "chess"}, Language: "en", MaxViewers: &viewers,
	})
	idle := s.create(t, stream.Create{Slug: "idle-one", Latency: "normal", DVRS: new(int)})
	s.create(t, stream.Create{Slug: "secret-one", Visibility: "private"})
	s.create(t, stream.Create{Slug: "friends", Visibility: "followers"})
	linked := s.create(t, stream.Create{Slug: "linked", Visibility: "unlisted"})
	s.create(t, stream.Create{Slug: "stopped"})
	require.NoError(t, s.streams.SetDisabled(t.Context(), "stopped", true, "spam"))
	away := liveInfo("linked")
	away.State = stream.SessionReconnecting
	s.deps.Live = onAir{infos: []api.LiveInfo{liveInfo("main"), away, liveInfo("secret-one"), liveInfo("stopped")}, viewers: map[string]int{"main": 12}}

	s.deps.Now = func() time.Time { return noon.Add(61*time.Second + 789*time.Millisecond) }
	apitest.Run(t, s.handler(t), []apitest.Scenario{
		{Path: "/api/v1/streams/main", Status: 200, Contains: []string{
			`"slug":"main"`, `"title":"Friday <script>blitz"`, `"tags":["Chess","blitz"]`, `"state":"live"`, `"viewers":12`,
			`"started_at":"2026-03-01T12:00:00.000Z"`, `"fps":29.97`, `"encoder":"obs <b>"`, `"owner":{"id":"` + s.owner.ID,
			`"display_name":"anna"`, `"thumbnail_url":null`, `"dvr_s":7200`, `"max_viewers":500`, `"duration_ms":61000`,
			`"ended_at":null`, `"description":"Line one\nline two"`,
		}, Lacks: []string{"password", "mds_", "hash", "ingest", "keys"}, Want: map[string]string{
			"Content-Type": "application/json; charset=utf-8", "Cache-Control": "public, max-age=5, stale-while-revalidate=30",
			"Vary": "Authorization, Origin, Accept-Encoding", "X-Content-Type-Options": "nosniff",
		}},
		{Path: "/api/v1/streams/" + main.ID, Status: 200, Contains: []string{`"slug":"main"`}},
		{Path: "/api/v1/streams/" + strings.ToUpper(main.ID), Status: 200, Contains: []string{`"slug":"main"`}},
		{Path: "/api/v1/streams/MAIN", Status: 200, Contains: []string{`"slug":"main"`}},
		{Path: "/api/v1/streams/idle-one", Status: 200, Contains: []string{`"state":"idle"`, `"viewers":0`}, Lacks: []string{`"session"`, "max_viewers"}},
		{Path: "/api/v1/streams/linked", Status: 200, Contains: []string{`"state":"reconnecting"`, `"visibility":"unlisted"`}},
		{Path: "/api/v1/streams/stopped", Status: 200, Contains: []string{`"state":"disabled"`}, Lacks: []string{"spam"}},
		{Path: "/api/v1/streams/secret-one", Status: 404, Contains: []string{`"code":"not_found"`}},
		{Path: "/api/v1/streams/friends", Status: 404, Contains: []string{`"code":"not_found"`}},
		{Path: "/api/v1/streams/nobody", Status: 404, Contains: []string{`"code":"not_found"`, `"instance":"/api/v1/streams/nobody"`}},
		{Path: "/api/v1/streams/0198f2a0-0000-7000-8000-00000000dead", Status: 404},

		{Path: "/api/v1/streams/main/playback", Status: 200, Contains: []string{
			`"state":"live"`, `"hls_url":"/live/main/index.m3u8"`, `"dvr_url":"/live/main/dvr.m3u8"`, `"whep_url":"/whep/main"`,
			`"low_latency":true`, `"target_latency_ms":1000`, `"name":"source"`, `"chat_room":"stream:` + main.ID, `"started_at":"2026-03-01T12:00:00.000Z"`,
		}},
		{Path: "/api/v1/streams/idle-one/playback", Status: 200, Contains: []string{
			`"state":"idle"`, `"hls_url":"/live/idle-one/index.m3u8"`, `"low_latency":false`, `"target_latency_ms":6000`, `"qualities":[]`, `"dvr_s":0`,
		}, Lacks: []string{"dvr_url", "started_at"}},
		{Path: "/api/v1/streams/" + idle.ID + "/playback", Status: 200, Contains: []string{"/live/idle-one/index.m3u8"}},
		{Path: "/api/v1/streams/" + linked.ID + "/playback", Status: 200, Contains: []string{`"state":"reconnecting"`, `"name":"source"`}},
		{Path: "/api/v1/streams/stopped/playback", Status: 200, Contains: []string{`"state":"disabled"`, `"qualities":[]`}},
		{Path: "/api/v1/streams/secret-one/playback", Status: 404, Contains: []string{`"code":"not_found"`}},

		{Path: "/api/v1/streams", Status: 200, Contains: []string{`"main"`, `"idle-one"`, `"next_cursor":null`}, Lacks: []string{"secret-one", "friends", "linked", "stopped"}},
		{Path: "/api/v1/streams?live=true", Status: 200, Contains: []string{`"main"`}, Lacks: []string{"idle-one", "secret-one", "stopped"}},
		{Path: "/api/v1/streams?live=false", Status: 200, Contains: []string{`"idle-one"`}, Lacks: []string{`"main"`}},
		{Path: "/api/v1/streams?tag=CHESS&category=games", Status: 200, Contains: []string{`"main"`}, Lacks: []string{"idle-one"}},
		{Path: "/api/v1/streams?tag=chess&category=news", Status: 200, Contains: []string{`"items":[]`}},
		{Path: "/api/v1/streams?live=true&tag=none", Status: 200, Contains: []string{`"items":[]`}},
	})
}

func TestURLsUseThePublicURL(t *testing.T) {
	s := newSite(t, db.Options{})
	s.create(t, stream.Create{Slug: "main"})
	s.deps.Config.PublicURL = "https://tv.example.com/"
	apitest.Run(t, s.handler(t), []apitest.Scenario{
		{Path: "/api/v1/streams/main/playback", Status: 200, Contains: []string{`"hls_url":"https://tv.example.com/live/main/index.m3u8"`}},
	})
}

func TestRoutesAndMethods(t *testing.T) {
	h := newSite(t, db.Options{}).handler(t)
	apitest.Run(t, h, []apitest.Scenario{
		{Path: "/api/v1/nothing", Status: 404, Contains: []string{`"code":"route_not_found"`}},
		{Path: "/api/v1/streams/", Status: 404, Contains: []string{`"code":"route_not_found"`}},
		{Path: "/api/v1/STREAMS", Status: 404, Contains: []string{`"code":"route_not_found"`}},
		{Path: "/api/v1/streams/a/b/c", Status: 404, Contains: []string{`"code":"route_not_found"`}},
		{Path: "/api/v1/you", Status: 404, Contains: []string{`"code":"route_not_found"`}},
		{Path: "/api/v1/streams/a%2Fplayback", Status: 404},
		{Method: "POST", Path: "/api/v1/videos", Status: 405, Contains: []string{`"code":"method_not_allowed"`}, Want: map[string]string{"Allow": "GET, HEAD"}},
		{Method: "PUT", Path: "/api/v1/videos/main", Status: 405, Want: map[string]string{"Allow": "GET, DELETE, PATCH, HEAD"}},
		{Method: "OPTIONS", Path: "/api/v1/config", Status: 405, Want: map[string]string{"Allow": "GET, HEAD"}},
		{Method: "BREW", Path: "/api/v1/config", Status: 405},
		{Method: "HEAD", Path: "/api/v1/config", Status: 200, Want: map[string]string{"Content-Type": "application/json; charset=utf-8"}},
		{Method: "HEAD", Path: "/api/v1/streams/nobody", Status: 404},
	})
	head := apitest.Do(t, h, apitest.Scenario{Method: "HEAD", Path: "/api/v1/config"})
	get := apitest.Do(t, h, apitest.Scenario{Path: "/api/v1/config"})
	assert.Empty(t, head.Body.String())
	assert.Equal(t, get.Header().Get("Content-Length"), head.Header().Get("Content-Length"))
	assert.Equal(t, get.Header().Get("ETag"), head.Header().Get("ETag"))
}

func TestConditionalRequests(t *testing.T) {
	s := newSite(t, db.Options{})
	s.create(t, stream.Create{Slug: "main"})
	h := s.handler(t)
	for _, path := range []string{"/api/v1/streams", "/api/v1/streams/main", "/api/v1/streams/main/playback", "/api/v1/config", "/api/v1/openapi.json", "/api/docs"} {
		first := apitest.Do(t, h, apitest.Scenario{Path: path})
		etag := first.Header().Get("ETag")
		require.Regexp(t, `^"(v[0-9]+-)?[A-Za-z0-9_-]{22}"$`, etag, "strong")
		for _, sent := range []string{etag, "W/" + etag, `"x", ` + etag, "*"} {
			again := apitest.Do(t, h, apitest.Scenario{Path: path, Headers: map[string]string{"If-None-Match": sent}})
			assert.Equal(t, http.StatusNotModified, again.Code, "%s %s", path, sent)
			assert.Empty(t, again.Body.String())
			assert.Equal(t, etag, again.Header().Get("ETag"))
			assert.Equal(t, first.Header().Get("Cache-Control"), again.Header().Get("Cache-Control"))
		}
		other := apitest.Do(t, h, apitest.Scenario{Path: path, Headers: map[string]string{"If-None-Match": `"x"`}})
		assert.Equal(t, http.StatusOK, other.Code)
	}
	before := apitest.Do(t, h, apitest.Scenario{Path: "/api/v1/streams/main"}).Header().Get("ETag")
	s.deps.Live = onAir{infos: []api.LiveInfo{liveInfo("main")}}
	after := apitest.Do(t, s.handler(t), apitest.Scenario{Path: "/api/v1/streams/main"}).Header().Get("ETag")
	assert.NotEqual(t, before, after)
}

func TestConfig(t *testing.T) {
	s := newSite(t, db.Options{})
	apitest.Run(t, s.handler(t), []apitest.Scenario{
		{Path: "/api/v1/config", Status: 200, Contains: []string{
			`"site_name":"mediad"`, `"registration":"open"`, `"host":"example.com"`, `"rtmp_port":1935`, `"rtmp_url":"rtmp://example.com/live"`,
			`"srt_port":null`, `"oidc":[]`, `"low_latency":true`, `"stream_title_max":120`,
		}, Want: map[string]string{"Cache-Control": "public, max-age=60"}},
	})
	s.deps.Config.Site = system.Site{IngestHost: "2001:db8::1", RTMPPort: 19350, OpenIngest: true, Name: "My TV"}
	apitest.Run(t, s.handler(t), []apitest.Scenario{
		{Path: "/api/v1/config", Status: 200, Contains: []string{
			`"rtmp_url":"rtmp://[2001:db8::1]:19350/live"`, `"open":true`, `"site_name":"My TV"`, `"rtmps_port":null`,
		}},
	})
}

func TestDocsPageWorksAlone(t *testing.T) {
	h := newSite(t, db.Options{}).handler(t)
	page := apitest.Do(t, h, apitest.Scenario{Path: "/api/docs"})
	body := page.Body.String()
	assert.Equal(t, http.StatusOK, page.Code)
	assert.Equal(t, "text/html; charset=utf-8", page.Header().Get("Content-Type"))
	for _, want := range []string{"/api/v1/streams/{stream}/playback", "listStreams", "invalid_cursor", "viewers | newest", "1 to 100", "StreamPlayback"} {
		assert.Contains(t, body, want)
	}
	for _, unwanted := range []string{"<script", "http://", "https://", "ZgotmplZ"} {
		assert.NotContains(t, body, unwanted)
	}
	policy := page.Header().Get("Content-Security-Policy")
	assert.Contains(t, policy, "default-src 'none'; style-src 'sha256-")
	assert.NotContains(t, policy, "unsafe")
}

func TestRateLimit(t *testing.T) {
	s := newSite(t, db.Options{})
	s.deps.Config.LimitScale = 0.01 // 3 calls
	h := s.handler(t)
	get := func(remote string) *apitest.Answer {
		return apitest.Do(t, h, apitest.Scenario{Path: "/api/v1/config", Remote: remote})
	}
	for left := range 3 {
		a := get("203.0.113.7:1000")
		assert.Equal(t, http.StatusOK, a.Code)
		assert.Equal(t, `"default";q=3;w=60`, a.Header().Get("RateLimit-Policy"))
		assert.Equal(t, fmt.Sprintf(`"default";r=%d;t=60`, 2-left), a.Header().Get("RateLimit"))
	}
	apitest.Run(t, h, []apitest.Scenario{
		{Path: "/api/v1/config", Remote: "203.0.113.7:2000", Status: 429, Contains: []string{`"code":"rate_limited"`, `"retry_after_ms":60000`},
			Want: map[string]string{"Retry-After": "60", "RateLimit": `"default";r=0;t=60`}},
		{Path: "/api/v1/nothing", Remote: "203.0.113.7:2000", Status: 429},
		{Path: "/api/v1/config", Remote: "203.0.113.8:2000", Status: 200},
		{Name: "one /64", Path: "/api/v1/config", Remote: "[2001:db8::1]:1", Status: 200},
		{Name: "the same /64", Path: "/api/v1/config", Remote: "[2001:db8::ffff:2]:1", Status: 200, Want: map[string]string{"RateLimit": `"default";r=1;t=60`}},
		{Name: "unbelieved header", Path: "/api/v1/config", Remote: "203.0.113.7:2000", Headers: map[string]string{"X-Forwarded-For": "198.51.100.1"}, Status: 429},
	})
	s.deps.Config.LimitScale = 0
	off := apitest.Do(t, s.handler(t), apitest.Scenario{Path: "/api/v1/config"})
	assert.Empty(t, off.Header().Get("RateLimit"))
}

func TestTrustedProxies(t *testing.T) {
	s := newSite(t, db.Options{})
	s.deps.Config.LimitScale = 0.01
	s.deps.Config.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	h := s.handler(t)
	left := func(remote, forwarded string) string {
		a := apitest.Do(t, h, apitest.Scenario{Path: "/api/v1/config", Remote: remote, Headers: map[string]string{"X-Forwarded-For": forwarded}})
		return a.Header().Get("RateLimit")
	}
	assert.Equal(t, `"default";r=2;t=60`, left("10.0.0.1:1", "198.51.100.1"))
	assert.Equal(t, `"default";r=1;t=60`, left("10.0.0.2:1", "1.2.3.4, 198.51.100.1, 10.9.9.9"), "the caller behind the chain, not what it wrote itself")
	assert.Equal(t, `"default";r=0;t=60`, left("[::1]:1", "198.51.100.1"))
	assert.Equal(t, `"default";r=2;t=60`, left("10.0.0.1:1", "198.51.100.2:4711"))
	assert.Equal(t, `"default";r=2;t=60`, left("10.0.0.1:1", "junk"), "then it is the proxy")
	assert.Equal(t, `"default";r=1;t=60`, left("10.0.0.1:1", ""))
}

func TestCORS(t *testing.T) {
	s := newSite(t, db.Options{})
	s.deps.Config.CORSOrigins = []string{"https://app.example.com"}
	preflight := func(origin string) map[string]string {
		return map[string]string{"Origin": origin, "Access-Control-Request-Method": "GET"}
	}
	apitest.Run(t, s.handler(t), []apitest.Scenario{
		{Name: "listed", Path: "/api/v1/config", Headers: map[string]string{"Origin": "https://app.example.com"}, Status: 200,
			Want: map[string]string{"Access-Control-Allow-Origin": "https://app.example.com", "Access-Control-Allow-Credentials": "true"}},
		{Name: "others", Path: "/api/v1/config", Headers: map[string]string{"Origin": "https://app.example.com.evil.com"}, Status: 200,
			Want: map[string]string{"Access-Control-Allow-Origin": ""}},
		{Name: "problems are readable too", Path: "/api/v1/streams/x", Headers: map[string]string{"Origin": "https://app.example.com"}, Status: 404,
			Want: map[string]string{"Access-Control-Allow-Origin": "https://app.example.com"}},
		{Name: "preflight", Method: "OPTIONS", Path: "/api/v1/config", Headers: preflight("https://app.example.com"), Status: 204,
			Want: map[string]string{"Access-Control-Max-Age": "600", "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, PATCH, DELETE"}},
		{Name: "preflight of others", Method: "OPTIONS", Path: "/api/v1/config", Headers: preflight("null"), Status: 204,
			Want: map[string]string{"Access-Control-Allow-Origin": "", "Access-Control-Allow-Methods": ""}},
	})
}

func TestRequestID(t *testing.T) {
	h := newSite(t, db.Options{}).handler(t)
	for sent, kept := range map[string]bool{"abc.DEF-1_2": true, strings.Repeat("x", 64): true, strings.Repeat("x", 65): false, "a b": false, "": false, "\"<": false} {
		a := apitest.Do(t, h, apitest.Scenario{Path: "/api/v1/streams/nobody", Headers: map[string]string{"X-Request-Id": sent}})
		got := a.Header().Get("X-Request-Id")
		assert.Equal(t, kept, got == sent, sent)
		assert.Regexp(t, `^[A-Za-z0-9._-]{1,64}$`, got)
		assert.Contains(t, a.Body.String(), `"request_id":"`+got+`"`)
	}
}

func TestFaultsInside(t *testing.T) {
	s := newSite(t, db.Options{})
	s.create(t, stream.Create{Slug: "main"})
	s.deps.Live = brokenLive{}
	apitest.Run(t, s.handler(t), []apitest.Scenario{
		{Path: "/api/v1/streams/main", Status: 500, Contains: []string{`"code":"internal"`}, Lacks: []string{"secret", "goroutine"}},
	})

	slow := newSite(t, db.Options{})
	slow.deps.Config.Timeout = time.Nanosecond
	apitest.Run(t, slow.handler(t), []apitest.Scenario{
		{Path: "/api/v1/streams/main", Status: 504, Contains: []string{`"code":"timeout"`}},
	})

	gone := newSite(t, db.Options{})
	gone.deps.Streams = stream.New(stream.Options{DB: dbtest.Closed(t)})
	apitest.Run(t, gone.handler(t), []apitest.Scenario{
		{Path: "/api/v1/streams/main", Status: 503, Contains: []string{`"code":"unavailable"`}, Lacks: []string{"sql", "closed"}, Want: map[string]string{"Retry-After": "1"}},
		{Path: "/api/v1/streams", Status: 503, Contains: []string{`"code":"unavailable"`}},
		{Path: "/api/v1/config", Status: 200},
	})
}

func TestLargeBodyIsRefused(t *testing.T) {
	h := newSite(t, db.Options{}).handler(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v1/streams", strings.NewReader(strings.Repeat("x", 1<<20+1)))
	require.NoError(t, err)
	r.RemoteAddr = "203.0.113.7:1"
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	assert.Equal(t, 413, w.Code)
	assert.Contains(t, w.Body.String(), `"max_bytes":1048576`)
}

func TestObserve(t *testing.T) {
	s := newSite(t, db.Options{})
	var seen []string
	s.deps.Observe = func(r api.Request) { seen = append(seen, fmt.Sprintf("%s %s %d", r.Method, r.Route, r.Status)) }
	h := s.handler(t)
	for _, scenario := range []apitest.Scenario{{Path: "/api/v1/streams/nobody"}, {Path: "/api/x"}, {Method: "BREW", Path: "/api/v1/config"}, {Method: "HEAD", Path: "/api/v1/config"}} {
		apitest.Do(t, h, scenario)
	}
	assert.Equal(t, []string{"GET /api/v1/streams/:stream 404", "GET  404", "other  405", "HEAD /api/v1/config 200"}, seen)
}

func TestDepsAreChecked(t *testing.T) {
	s := newSite(t, db.Options{})
	for _, spoil := range []func(*api.Deps){
		func(d *api.Deps) { d.Live = nil }, func(d *api.Deps) { d.Streams = nil }, func(d *api.Deps) { d.Config.LimitScale = -1 },
		func(d *api.Deps) { d.Config.CORSOrigins = []string{"*"} }, func(d *api.Deps) { d.Config.CORSOrigins = []string{"https://a.b/"} },
	} {
		deps := s.deps
		spoil(&deps)
		_, err := api.New(deps)
		require.Error(t, err)
	}
}
